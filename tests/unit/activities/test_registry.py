"""The registry of steps: valid and invalid modules."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from temporalio import activity

from stepway.activities.registry import Resources, load_steps
from stepway.runtime.setting_types import SettingsError
from stepway.runtime.settings import Settings

BUILT_IN = {
    "resolve_credentials",
    "create_repository",
    "push_template",
    "create_environments",
    "create_db_records",
    "setup_gitops",
    "finalize",
    "run_command",
    "simulate",
    "delete_repository",
    "withdraw_template",
    "apply_manifests",
    "delete_manifests",
    "wait_for_ready",
    "add_collaborators",
    "remove_collaborators",
    "protect_branch",
    "unprotect_branch",
    "create_secrets",
    "delete_secrets",
    "create_webhook",
    "delete_webhook",
    "open_pull_request",
    "close_pull_request",
    "dispatch_pipeline",
    "http_request",
    "delete_environments",
    "delete_db_records",
    "remove_manifests",
}


@pytest.fixture(autouse=True)
def search_path(monkeypatch, tmp_path) -> None:
    """Give each test a separate current folder and Python path."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)


def load(*modules: str, step_path: Sequence[Path] = ()) -> dict[str, Any]:
    engine = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    settings = Settings(step_modules=list(modules), step_path=list(step_path))
    return load_steps(Resources(settings, engine))


@pytest.fixture
def module(monkeypatch) -> ModuleType:
    module = ModuleType("steps_of_an_operator")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def offer(module: ModuleType, *offered: Any) -> None:
    module.step_activities = lambda resources: offered


def write_module(folder: Path, name: str, step: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(
        "from temporalio import activity\n"
        "from stepway.steps import ProjectRef, Resources\n"
        f"@activity.defn(name={step!r})\n"
        "def run(project: ProjectRef) -> None: ...\n"
        "def step_activities(resources: Resources):\n"
        "    return [run]\n"
    )


def test_the_built_in_steps_are_there():
    assert set(load()) == BUILT_IN


def test_an_operators_module_adds_its_steps(module):
    @activity.defn(name="send_mail")
    def send_mail() -> None: ...

    offer(module, send_mail)
    steps = load(module.__name__)
    assert steps["send_mail"] is send_mail
    assert set(steps) == BUILT_IN | {"send_mail"}


def test_a_second_step_of_one_type_is_refused(module):
    @activity.defn(name="finalize")
    def finalize() -> None: ...

    offer(module, finalize)
    with pytest.raises(
        SettingsError, match=r"STEPWAY_STEP_MODULES: .*defines the step 'finalize' again"
    ):
        load(module.__name__)


def test_a_function_that_is_no_activity_is_refused(module):
    offer(module, print)
    with pytest.raises(SettingsError, match=r"STEPWAY_STEP_MODULES: .*is not an activity"):
        load(module.__name__)


def test_a_module_without_step_activities_is_named():
    Path("empty_steps.py").write_text("")
    with pytest.raises(SettingsError) as e:
        load("empty_steps")
    assert str(e.value) == (
        f"STEPWAY_STEP_MODULES: empty_steps ({Path('empty_steps.py').absolute()}) "
        "must define step_activities(resources)"
    )


def test_a_module_that_imports_a_missing_module_is_named_with_both():
    Path("importing_steps.py").write_text("import no_such_dependency\n")
    with pytest.raises(SettingsError) as e:
        load("importing_steps")
    assert str(e.value) == (
        f"STEPWAY_STEP_MODULES: importing_steps ({Path('importing_steps.py').absolute()}) "
        "imports the module no_such_dependency, which is not installed"
    )


def test_a_missing_module_is_named_with_the_folders_that_were_searched(tmp_path):
    other = tmp_path / "steps"
    other.mkdir()
    with pytest.raises(SettingsError) as e:
        load("no_such_module_of_steps", step_path=[other])
    assert str(e.value) == (
        "STEPWAY_STEP_MODULES: no_such_module_of_steps cannot be imported: ModuleNotFoundError: "
        f"No module named 'no_such_module_of_steps'; looked in {tmp_path}, {other}, then among "
        "the installed packages"
    )


def test_a_syntax_error_is_told_with_its_place():
    Path("wrong_steps.py").write_text("x = 1\ndef broken(:\n")
    with pytest.raises(SettingsError, match=r"SyntaxError: .*\(wrong_steps\.py, line 2\)") as e:
        load("wrong_steps")
    assert f"wrong_steps ({Path('wrong_steps.py').absolute()})" in str(e.value)
    assert "looked in" not in str(e.value)


def test_a_module_that_ends_the_process_is_told():
    Path("leaving_steps.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(SettingsError, match=r"leaving_steps\.py\) .*imported: SystemExit: 3"):
        load("leaving_steps")


def test_the_current_folder_comes_before_the_step_path_and_that_in_its_order(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    write_module(tmp_path, "steps_here", "of_the_current_folder")
    write_module(first, "steps_here", "hidden_by_the_current_folder")
    write_module(first, "steps_there", "of_the_first_folder")
    write_module(second, "steps_there", "hidden_by_the_first_folder")
    steps = load("steps_here", "steps_there", step_path=[first, second])
    assert set(steps) == BUILT_IN | {"of_the_current_folder", "of_the_first_folder"}


def test_a_step_path_that_is_no_folder_is_named(tmp_path):
    with pytest.raises(SettingsError, match=f"STEPWAY_STEP_PATH: {tmp_path}/none is not a folder"):
        load("anything", step_path=[tmp_path / "none"])


@pytest.mark.parametrize("name", ["activities", "workflows", "api", "worker", "tracking"])
def test_modules_may_have_any_name_that_a_temporal_project_uses(tmp_path, name, monkeypatch):
    monkeypatch.delitem(sys.modules, name, raising=False)
    write_module(tmp_path, name, "of_their_own")
    assert "of_their_own" in load(name)
    monkeypatch.delitem(sys.modules, name)
