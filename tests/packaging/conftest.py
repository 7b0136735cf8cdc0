"""The two wheels, built once, and environments to install them into."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]


OWN_MODULES = ("activities", "api", "cli", "tracking", "worker", "workflows")
"""Names of modules in users' projects that equal names of our folders."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with modules of these names, which our code must not import."""
    for name in OWN_MODULES:
        (tmp_path / f"{name}.py").write_text(f"raise AssertionError('{name} was imported')\n")
    return tmp_path


def tracked_files(*folders: str) -> set[str]:
    """The files in git under these folders."""
    listed = subprocess.run(
        ["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(listed.stdout.splitlines())


def find_uv() -> str:
    """Return the path of uv: from PATH, or the one that the scripts have installed."""
    return shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")


def run(*command: str | Path, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a program without the settings of this process; never raises for its exit status."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("STEPWAY_", "VIRTUAL_ENV", "UV_PROJECT", "PYTHONPATH"))
    }
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment | more,
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope="session")
def server_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of `stepway`, built as users build it: from the source distribution."""
    folder = tmp_path_factory.mktemp("server")
    built = run(find_uv(), "build", "--package", "stepway", "--out-dir", folder, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("stepway-*.whl")
    return wheel


@pytest.fixture(scope="session")
def library_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of `stepway-tracking`."""
    folder = tmp_path_factory.mktemp("library")
    built = run(find_uv(), "build", "--package", "stepway-tracking", "--out-dir", folder, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("stepway_tracking-*.whl")
    return wheel


@dataclass(frozen=True)
class Environment:
    """A virtual environment with one wheel and its dependencies."""

    folder: Path

    def program(self, name: str) -> Path:
        return self.folder / "bin" / name

    def run(
        self, program: str, *arguments: str | Path, cwd: Path, **more: str
    ) -> subprocess.CompletedProcess[str]:
        return run(self.program(program), *arguments, cwd=cwd, **more)

    def has(self, module: str, cwd: Path) -> bool:
        return self.run("python", "-c", f"import {module}", cwd=cwd).returncode == 0


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Environment]:
    """Install a wheel into a fresh virtual environment."""

    def install(wheel: Path) -> Environment:
        folder = tmp_path_factory.mktemp("environment") / "venv"
        made = run(find_uv(), "venv", "--python", sys.executable, folder, cwd=folder.parent)
        assert made.returncode == 0, made.stderr
        python = folder / "bin" / "python"
        done = run(find_uv(), "pip", "install", "--python", python, wheel, cwd=folder.parent)
        assert done.returncode == 0, done.stderr
        return Environment(folder)

    return install


def assert_licensed_and_bounded(wheel: Path) -> None:
    """Assert that the metadata names the licence, and takes no next major version of the SDK.

    Parts of the SDK are used that are not public.
    """
    held = ZipFile(wheel)
    [file] = [name for name in held.namelist() if name.endswith(".dist-info/METADATA")]
    metadata = held.read(file).decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert file.replace("METADATA", "licenses/LICENSE") in held.namelist()
    [sdk] = re.findall(r"^Requires-Dist: temporalio(.*)", metadata, re.MULTILINE)
    assert "<2" in sdk
