"""Record the streams that every fold is checked with: `uv run python -m tests.fold.record`.

Each stream comes from a real initialization, read from the API as clients read it. The expected
states come from Postgres: a trigger keeps a snapshot of each version with which a transaction
ended. The streams in an odd order are made from the recorded ones.

A file holds `events`; `gaps`, the indices of events that come too early and are not applied; and
`states`, by the index of the event after which a client must have that state. A state is a snapshot
without `project.updated_at`, and with `ended`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg

from stepway.embedded.servers import EmbeddedServers
from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.settings import Settings
from stepway_tracking.postgres import open_pool
from tests.support.folding import snapshot_as_json
from tests.support.servers import Json, Stepway, running_stepway, write_blueprint

HERE = Path(__file__).parent

KEEP_SNAPSHOTS = """
CREATE TABLE snapshots (project_id uuid, version bigint, body jsonb,
                        PRIMARY KEY (project_id, version));
CREATE FUNCTION keep_snapshot() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO snapshots
  SELECT p.id, p.version, stepway_initialization_json_v3(p) FROM projects p
  WHERE p.id = NEW.project_id
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER keep_snapshot AFTER INSERT ON project_initialization_events
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION keep_snapshot();
"""

Events = list[Json]


@dataclass(frozen=True)
class Recorded:
    """A project's complete stream, and its snapshots by version."""

    events: Events
    snapshots: Mapping[int, Json]

    def place(self, version: int) -> int:
        """Return the index of the event with a version."""
        return [version_of(event) for event in self.events].index(version)

    def snapshot(self, version: int) -> Json:
        """Return the snapshot event of a version."""
        return {"type": "snapshot", "data": self.snapshots[version]}

    def committed(self, least: int) -> int:
        """Return the first version, at least `least`, at which a transaction ended."""
        return min(version for version in self.snapshots if version >= least)


def version_of(event: Json) -> int:
    """Return the version after an event."""
    return int(event["data"]["version"])


# The stories


async def succeed(stepway: Stepway, project: str) -> Events:
    """Steps with sub-steps and progress, to the end."""
    return await watch(stepway, project)


async def retry(stepway: Stepway, project: str) -> Events:
    """A step fails, waits for a person, and is retried."""
    watching = asyncio.create_task(watch(stepway, project))
    await stepway.until(project, "failed")
    await stepway.control(project, "steps/doomed/retry", {"parameters": {"value": "good"}})
    return await watching


async def reopen(stepway: Stepway, project: str) -> Events:
    """Cancelled, rolled back, and retried after the end; the client connects again for that."""
    watching = asyncio.create_task(watch(stepway, project))
    await stepway.until(project, "failed")
    await stepway.control(project, "cancel", {"undo": True})
    until_end = await watching
    await stepway.control(project, "steps/doomed/retry", {"parameters": {"value": "good"}})
    return until_end + await watch(stepway, project, version_of(until_end[-1]))


async def reopen_unseen(stepway: Stepway, project: str) -> Events:
    """A client comes after an end was overtaken: the API tells it as an event of the project."""
    await reopen(stepway, project)
    return await watch(stepway, project)


async def watch(stepway: Stepway, project: str, after: int = 0) -> Events:
    """Read the stream after a version until its end."""
    events = await stepway.watch(project, after)
    return [{"type": event["event"], "data": event["data"]} for event in events]


@dataclass(frozen=True)
class Story:
    """A blueprint's steps and the controls that people use."""

    play: Callable[[Stepway, str], Awaitable[Events]]
    steps: list[Json]
    more: Json = field(default_factory=dict)


SAY: Json = {"step": "first", "uses": "say"}
DOOMED: Json = {"step": "doomed", "uses": "fixable", "with": {"value": "${{ parameters.value }}"}}
WITH_VALUE: Json = {
    "parameters": {"type": "object", "properties": {"value": {"type": "string", "default": "bad"}}}
}
UNDOABLE = [{**SAY, "undo": {"uses": "noop"}}, DOOMED]

STORIES = {
    "succeeded": Story(succeed, [SAY, {"step": "second", "with": {"seconds": 1.5}}]),
    "retried": Story(retry, [DOOMED, {"step": "last", "uses": "noop"}], WITH_VALUE),
    "reopened": Story(reopen, UNDOABLE, WITH_VALUE),
    "replayed": Story(reopen_unseen, UNDOABLE, WITH_VALUE),
}


# What is made of them


def duplicated(recorded: Recorded) -> Events:
    """Every event comes twice, and earlier ones come once more."""
    events = recorded.events
    return [again for i, e in enumerate(events) for again in (e, e, events[i // 2 or 1])]


def late(recorded: Recorded) -> Events:
    """Every second event comes after the next one, which then comes again."""
    first, *events = recorded.events
    pairs = zip(events[::2], events[1::2], strict=False)
    rest = events[len(events) // 2 * 2 :]
    return [first, *(e for one, other in pairs for e in (other, one, other)), *rest]


def jumped(recorded: Recorded) -> Events:
    """Events are lost and a snapshot replaces them; then some of the events in the snapshot arrive
    again.
    """
    events, middle = recorded.events, len(recorded.events) // 2
    version = recorded.committed(version_of(events[middle]))
    lost = [*events[: middle - 4], *events[middle - 1 : middle + 1]]
    return [*lost, recorded.snapshot(version), *events[recorded.place(version) - 1 :]]


def restored(recorded: Recorded) -> Events:
    """A client with a version from the future gets a snapshot of a lower one, and goes on."""
    version = recorded.committed(len(recorded.events) // 3)
    again = recorded.events[recorded.place(version) + 1 :]
    return [*recorded.events[:-3], recorded.snapshot(version), *again]


def progressed(recorded: Recorded) -> Events:
    """Only changed fields of a running step, after a snapshot."""
    changes = [e for e in recorded.events if e["type"] == "step"]
    changes = [e for e in changes if "status" not in e["data"]["step"]]
    changes = [e for e in changes if e["data"]["step"]["step"] == "second"]
    return [recorded.snapshot(version_of(changes[0]) - 1), *changes]


DERIVED: dict[Callable[[Recorded], Events], str] = {
    duplicated: "reopened",
    late: "reopened",
    jumped: "reopened",
    restored: "retried",
    progressed: "succeeded",
}


# Recording


async def record() -> None:
    """Start real servers, run each story and write all files."""
    with TemporaryDirectory(prefix="stepway-", ignore_cleanup_errors=True) as name:
        folder = blueprints(Path(name))
        async with EmbeddedServers(Settings(data_dir=Path(name, "data"))) as found:
            await upgrade_database(found.sqlalchemy_url)
            async with await open_pool(found.database_url) as pool:
                await pool.execute(KEEP_SNAPSHOTS)
                async with running_stepway(found, folder) as stepway:
                    await _record(stepway, pool)


def blueprints(folder: Path) -> Path:
    """The folder, with a blueprint for each story."""
    for name, story in STORIES.items():
        write_blueprint(folder, story.steps, name, **story.more)
    return folder


async def _record(stepway: Stepway, pool: asyncpg.Pool) -> None:
    recorded = {name: await act(name, stepway, pool) for name in STORIES}
    for name, story in STORIES.items():
        _write(name, story.play.__doc__, recorded[name].events, recorded[name])
    for derive, name in DERIVED.items():
        _write(derive.__name__, derive.__doc__, derive(recorded[name]), recorded[name])


async def act(name: str, stepway: Stepway, pool: asyncpg.Pool) -> Recorded:
    """Run a story; return a client's events and the recorded snapshots."""
    project = await stepway.create(name)
    events = await STORIES[name].play(stepway, project)
    rows = await pool.fetch("SELECT version, body FROM snapshots WHERE project_id = $1", project)
    snapshots = {row["version"]: _anonymous(json.loads(row["body"])) for row in rows}
    return Recorded(_anonymous(events), snapshots)


def _anonymous(tree: Any) -> Any:
    """Remove error stacks, which contain folders of the recording machine."""
    if isinstance(tree, list):
        return [_anonymous(item) for item in tree]
    if isinstance(tree, dict):
        return {
            key: "Traceback" if key == "error_stack" and value else _anonymous(value)
            for key, value in tree.items()
        }
    return tree


def _write(name: str, about: str | None, events: Events, recorded: Recorded) -> None:
    """Format JSON with one event or state per line."""
    gaps, states = _expected(events, recorded.snapshots)
    lines = ",\n".join(map(_line, events))
    told = ",\n".join(f'"{index}": {_line(state)}' for index, state in states.items())
    (HERE / f"{name}.json").write_text(
        f'{{"about": {_line(about)},\n"events": [\n{lines}\n],\n"gaps": {gaps},\n'
        f'"states": {{\n{told}\n}}}}\n'
    )
    print(f"{name}: {len(events)} events, {len(gaps)} gaps, {len(states)} states")


def _expected(events: Events, snapshots: Mapping[int, Json]) -> tuple[list[int], dict[int, Json]]:
    """Return the indices of premature events, and the states at versions with a snapshot."""
    gaps: list[int] = []
    states: dict[int, Json] = {}
    state: Json = {}
    version, ended = 0, False
    for index, event in enumerate(events):
        kind, follows = event["type"], version_of(event) - version
        if kind != "snapshot" and follows > 1:
            gaps.append(index)
        if kind != "snapshot" and follows != 1:
            continue
        version = version_of(event)
        if version not in snapshots:
            continue
        state = snapshot_as_json(snapshots[version])
        # Only these two contain an end.
        ended = state["ended"] and (ended or kind in ("snapshot", "end"))
        state["ended"] = ended
        if kind != "step":
            states[index] = state
    assert state["version"] == version, "the last version ended a transaction"
    return gaps, states | {len(events) - 1: state}


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    asyncio.run(record())
