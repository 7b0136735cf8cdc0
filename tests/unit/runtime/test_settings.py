"""An invalid setting stops the start with one line that names its variable."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from stepway.runtime.setting_types import SettingsError
from stepway.runtime.settings import check_token_source, load_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.upper().startswith("STEPWAY_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_without_any_variable_the_servers_are_embedded_and_the_defaults_hold() -> None:
    settings = load_settings()
    assert (settings.database_url, settings.redis_url, settings.temporal_address) == ("", "", "")
    assert (settings.temporal_namespace, settings.temporal_task_queue) == ("default", "stepway")


def test_unknown_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWAY_FOO", "1")
    with pytest.raises(SettingsError, match=r"^STEPWAY_FOO: unknown setting"):
        load_settings()


def test_variables_of_the_tests_stop_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STEPWAY_TEST_KUBERNETES", "STEPWAY_TESTDATA", "STEPWAY_LIVE_GITHUB_TOKEN"):
        monkeypatch.setenv(name, "1")
    load_settings()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("STEPWAY_DATBASE_URL", "; did you mean STEPWAY_DATABASE_URL?"),
        ("STEPWAY_REDIS", "; did you mean STEPWAY_REDIS_URL?"),
        ("STEPWAY_FOO", ""),
    ],
)
def test_unknown_variable_like_a_known_one_has_a_suggestion(
    monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == f"{name}: unknown setting{told}"


def test_unknown_variable_in_the_env_file_is_refused_by_name() -> None:
    Path(".env").write_text("STEPWAY_REDIS=redis://localhost\nOTHER=1\n")
    with pytest.raises(SettingsError, match=r"^STEPWAY_REDIS: unknown setting"):
        load_settings()


def test_env_file_is_read_and_the_environment_outranks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("STEPWAY_TEMPORAL_NAMESPACE=file\nSTEPWAY_API_TOKEN=file\n")
    monkeypatch.setenv("STEPWAY_API_TOKEN", "environment")
    settings = load_settings()
    assert (settings.temporal_namespace, settings.api_token) == ("file", "environment")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STEPWAY_DATABASE_URL", "mysql://somebody:hunter2@localhost/stepway"),
        ("STEPWAY_DATABASE_URL", "localhost:5432"),
        ("STEPWAY_REDIS_URL", "http://:hunter2@localhost:6379"),
        ("STEPWAY_TEMPORAL_ADDRESS", "localhost"),
        ("STEPWAY_TEMPORAL_ADDRESS", ":7233"),
        ("STEPWAY_TEMPORAL_ADDRESS", "http://localhost:port"),
        ("STEPWAY_API_URL", "localhost:8000"),
        ("STEPWAY_TEMPORAL_UI_URL", "ftp://localhost"),
        ("STEPWAY_STEPS_AT_ONCE", "0"),
        ("STEPWAY_STEP_QUEUES", "east,West"),
        ("STEPWAY_LOG_STORE", "gs://bucket"),
    ],
)
def test_malformed_value_is_one_line_that_names_the_variable_and_shows_no_password(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    text = str(caught.value)
    assert text.startswith(f"{name}: must ")
    assert "\n" not in text
    assert "hunter2" not in text


def test_lists_are_split_where_the_contract_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWAY_BLUEPRINTS", "/one:/two:")
    monkeypatch.setenv("STEPWAY_STEP_MODULES", "first,package.second")
    settings = load_settings()
    assert settings.blueprints == [Path("/one"), Path("/two")]
    assert settings.step_modules == ["first", "package.second"]


def test_data_folder_is_absolute_so_that_a_change_of_folder_does_not_move_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STEPWAY_DATA_DIR", "data")
    assert load_settings().data_dir == tmp_path / "data"


URL, TOKEN = "STEPWAY_API_URL", "STEPWAY_API_TOKEN"


@pytest.mark.parametrize(
    ("file", "environment", "said"),
    [
        (f"{URL}=https://evil.example", {TOKEN: "mine"}, rf"^{URL} is from .env and {TOKEN} from"),
        (f"{URL}=https://evil.example\n{TOKEN}=x", {TOKEN: "mine"}, "foreign server"),
        ("stepway_api_url=https://evil.example", {TOKEN: "mine"}, "foreign server"),
        (f"{URL}=https://evil.example/${{{TOKEN}}}", {}, "must not refer"),
        (f"{URL}=https://evil.example/${{HOME}}", {TOKEN: "mine"}, "must not refer"),
        (f"{URL}=https://evil.example\n{TOKEN}=${{HOME}}", {}, "must not refer"),
    ],
)
def test_foreign_folder_gets_no_token(
    monkeypatch: pytest.MonkeyPatch, file: str, environment: dict[str, str], said: str
) -> None:
    Path(".env").write_text(file + "\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said):
        check_token_source(load_settings())


@pytest.mark.parametrize(
    ("file", "environment"),
    [
        ("", {URL: "https://mine.example", TOKEN: "mine"}),
        ("", {TOKEN: "mine"}),
        (f"{URL}=https://theirs.example\n{TOKEN}=theirs", {}),
        (f"{TOKEN}=theirs", {}),
        (f"{URL}=https://theirs.example", {}),
        (f"{URL}=https://evil.example", {URL: "https://mine.example", TOKEN: "mine"}),
        (f"{URL}=", {TOKEN: "mine"}),
    ],
)
def test_address_and_token_of_one_source_are_used(
    monkeypatch: pytest.MonkeyPatch, file: str, environment: dict[str, str]
) -> None:
    Path(".env").write_text(file + "\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    check_token_source(settings)
    assert "evil" not in settings.api_url


def test_a_log_store_without_its_extra_names_commands_that_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setenv("STEPWAY_LOG_STORE", "s3://acme/logs")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    text = str(refused.value)
    assert text.startswith("STEPWAY_LOG_STORE: needs the package obstore; ")
    commands = re.findall("`([^`]+)`", text)
    assert commands == [
        "uv sync --inexact --no-dev --extra s3",
        "uv tool install 'dist/stepway-….whl[s3]'",
    ]
    guide = (Path(__file__).parents[3] / "docs/how-to/read-logs.md").read_text()
    assert f"\n{commands[0]} " in guide


def test_a_client_reads_settings_whose_log_store_is_not_mounted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STEPWAY_LOG_STORE", f"file://{tmp_path}/logs")
    settings = load_settings()
    with pytest.raises(SettingsError, match=r"STEPWAY_LOG_STORE: the folder .* does not exist"):
        settings.log_blobs()
    assert not (tmp_path / "logs").exists()
