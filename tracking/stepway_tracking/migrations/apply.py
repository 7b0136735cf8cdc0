"""Applies migrations with Alembic, in one transaction; concurrent calls wait for each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from stepway_tracking.migrations.history import (
    KINDS,
    History,
    Kind,
    damage,
    missing_query,
    tables_of,
)
from stepway_tracking.record.errors import SchemaError

T = TypeVar("T")

LOCK = 0x5745_5057
"""Key of the advisory lock: arbitrary, but the same in all versions."""


@dataclass(frozen=True)
class Migration:
    """One migration; `title` is the first line of its docstring.

    `waits` says that it must wait until all processes of older versions have stopped.
    """

    distribution: str
    revision: str
    kind: Kind
    title: str
    waits: bool = False

    def __str__(self) -> str:
        return f"{self.distribution} {self.revision}: {self.title}"


async def migrate(
    database_url: str, histories: Sequence[History], *, post: bool = False
) -> list[Migration]:
    """Apply the pending `pre` migrations, with `post` also the `post` migrations; returns them.

    A history that the database does not have yet is always applied completely. A history may depend
    on those before it. Raises SchemaError if the database was migrated for a newer version that
    does not work with this one, or has tables of another application.
    """
    return await _locked(database_url, partial(_migrate, histories=histories, post=post))


async def pending(database_url: str, histories: Sequence[History]) -> list[Migration]:
    """The pending migrations, `pre` before `post`; changes nothing.

    Raises SchemaError as `migrate` does, and if a table or function is missing that the version
    table says was created.
    """
    return await _locked(database_url, partial(_pending, histories=histories))


def alembic_config(history: History) -> Config:
    """Alembic's configuration for a history; no file is needed."""
    config = Config()
    config.set_main_option("script_location", _escaped(Path(__file__).parent))
    config.set_main_option("version_locations", _escaped(history.versions))
    config.set_main_option("path_separator", "newline")
    config.attributes["version_table"] = history.version_table
    return config


async def _locked(database_url: str, work: Callable[[Connection], T]) -> T:
    # The driver parses the URL, as it does for the record's pool.
    url = f"postgresql://{database_url.split('://', 1)[-1]}"
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=partial(asyncpg.connect, url, timeout=10),
        poolclass=NullPool,
    )
    try:
        async with engine.begin() as connection:
            # Concurrent calls must wait here: Alembic's context is global in the process.
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def _migrate(connection: Connection, histories: Sequence[History], post: bool) -> list[Migration]:
    states = [_state(connection, history) for history in histories]
    _require_known(states, post)
    steps = [step for state, step in _steps(states) if step.kind == "pre" or post or state.empty]
    for state in states:
        if state.adopted:
            command.stamp(_on(connection, state.history), state.applied[0])
            state.history.on_adopt(connection)
    for state, step in _steps(states):
        if step in steps:
            command.upgrade(_on(connection, state.history), step.revision)
    return steps


def _pending(connection: Connection, histories: Sequence[History]) -> list[Migration]:
    states = [_state(connection, history) for history in histories]
    _require_known(states, post=False)
    steps = [step for _, step in _steps(states)]
    if not any(step.kind == "pre" for step in steps):
        missing = connection.exec_driver_sql(missing_query(histories)).scalars().all()
        if problem := damage(missing):
            raise SchemaError(problem)
    return steps


@dataclass(frozen=True)
class _State:
    """A database's state in a history: `applied` has its last revision of each kind."""

    history: History
    applied: list[str]
    adopted: bool = False

    @property
    def empty(self) -> bool:
        """Whether the database has no revision; no older process can be using it then."""
        return not self.applied


def _state(connection: Connection, history: History) -> _State:
    name = history.version_table
    if tables_of(connection, [name]):
        rows = connection.exec_driver_sql(f"SELECT version_num FROM {name}").scalars().all()
        if rows:
            return _State(history, list(rows))
    adopted = history.adopt(connection)
    return _State(history, [adopted] if adopted else [], adopted is not None)


def _steps(states: Sequence[_State]) -> list[tuple[_State, Migration]]:
    return [
        (state, _migration(state, revision, kind))
        for kind in KINDS
        for state in states
        if not state.history.unknown(state.applied)
        for revision in state.history.pending(state.applied, kind)
    ]


def _migration(state: _State, revision: str, kind: Kind) -> Migration:
    history = state.history
    script = ScriptDirectory.from_config(alembic_config(history)).get_revision(revision)
    waits = kind == "post" and not state.empty
    return Migration(history.distribution, revision, kind, script.doc, waits)


def _require_known(states: Sequence[_State], post: bool) -> None:
    """Raise SchemaError for a database that only a newer version can migrate."""
    newer = [row for state in states for row in state.history.unknown(state.applied)]
    if newer and (post or any("_post" in row for row in newer)):
        product = states[-1].history.distribution
        raise SchemaError(
            f"the database was migrated for a newer version ({', '.join(newer)}): "
            f"use that version of {product}"
        )


def _on(connection: Connection, history: History) -> Config:
    config = alembic_config(history)
    config.attributes["connection"] = connection
    return config


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")
