"""The two wheels, built once, and environments to install them into."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def find_uv() -> str:
    """uv on the PATH, else the one that the scripts have installed."""
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


@dataclass(frozen=True)
class Wheels:
    """The files that `uv build --all-packages` makes."""

    server: Path
    library: Path


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    folder = tmp_path_factory.mktemp("dist")
    built = run(find_uv(), "build", "--all-packages", "--out-dir", folder, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    (server,) = folder.glob("stepway-*.whl")
    (library,) = folder.glob("stepway_tracking-*.whl")
    return Wheels(server, library)


@dataclass(frozen=True)
class Environment:
    """A virtual environment with one wheel and what that depends on."""

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
