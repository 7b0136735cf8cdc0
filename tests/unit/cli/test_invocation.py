"""Printed commands work when copied into the shell."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stepway.cli.run.places import client_command
from stepway.cli.view.invocation import command
from stepway.runtime.settings import Settings


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in a virtual environment that is not on the PATH."""
    folder = tmp_path / "my project" / ".venv" / "bin"
    folder.mkdir(parents=True)
    for name in ("python", "stepway"):
        (folder / name).touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return folder / "stepway"


def test_it_is_called_by_its_path_from_the_folder_above(program: Path) -> None:
    project = program.parents[2]
    assert command("watch", "shop", folder=project) == ".venv/bin/stepway watch shop"
    assert command("list", folder=project.parent) == "'my project/.venv/bin/stepway' list"


def test_it_is_called_by_its_whole_path_from_another_folder(program: Path, tmp_path: Path) -> None:
    assert command("list", folder=tmp_path / "elsewhere") == f"'{program}' list"


def test_it_is_called_by_its_name_where_the_shell_finds_it(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(program.parent))
    assert command("list", folder=program.parents[2]) == "stepway list"


def test_another_stepway_that_the_shell_finds_is_not_meant(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stepway").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command("list", folder=program.parents[2]) == ".venv/bin/stepway list"


def test_without_its_program_it_is_called_as_a_module(program: Path) -> None:
    program.unlink()
    assert command("list") == f"'{sys.executable}' -m stepway list"


def test_the_api_is_named_where_it_is_not_where_commands_look(program: Path) -> None:
    settings = Settings(api_url="http://127.0.0.1:8000")
    folder = program.parents[2]
    assert client_command(settings, settings, "list", folder=folder) == ".venv/bin/stepway list"
    serving = settings.model_copy(update={"api_url": "http://127.0.0.1:31234"})
    assert client_command(settings, serving, "list", folder=folder) == (
        "STEPWAY_API_URL=http://127.0.0.1:31234 .venv/bin/stepway list"
    )
