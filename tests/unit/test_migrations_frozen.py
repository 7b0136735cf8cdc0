"""A released migration must not change: databases have already applied it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from stepway.migrations.history import HISTORIES
from stepway_tracking.migrations.apply import alembic_config
from stepway_tracking.migrations.history import KINDS, History

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("migrations.sha256")
FOLDERS = (
    "migrations/versions",
    "tracking/stepway_tracking/migrations/versions",
    "tracking/stepway_tracking/migrations/sql",
)

each_history = pytest.mark.parametrize(
    "history", HISTORIES, ids=lambda history: history.distribution
)


def listed() -> dict[str, str]:
    lines = (line.split() for line in LIST.read_text().splitlines())
    return {name: digest for digest, name in lines}


def test_no_migration_has_changed() -> None:
    files = sorted(
        file
        for folder in FOLDERS
        for file in (ROOT / folder).iterdir()
        if file.suffix in (".py", ".sql")
    )
    found = {
        str(file.relative_to(ROOT)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }
    landed = listed()
    changed = [name for name in landed if found.get(name) != landed[name]]
    assert not changed, f"write a new migration instead of changing {changed}"
    added = sorted(set(found) - set(landed))
    assert not added, f"for a new migration: sha256sum {' '.join(added)} >> {LIST}"


@each_history
def test_names_of_files_are_revisions_of_two_straight_lines(history: History) -> None:
    scripts = ScriptDirectory.from_config(alembic_config(history))
    for kind in KINDS:
        names = history.revisions(kind)
        before = [None, *names[:-1]]
        assert [scripts.get_revision(name).down_revision for name in names] == before
    every = {name for kind in KINDS for name in history.revisions(kind)}
    assert {script.revision for script in scripts.walk_revisions()} == every
    assert len({name.partition("_")[0] for name in every}) == len(every), "a number is used once"
