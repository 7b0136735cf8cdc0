"""Record the histories that the replay test replays: `uv run python -m tests.replay.record`.

Arguments name the shapes to record; without any, all of them. docs/how-to/change-a-workflow.md
says when to.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from pytest import MonkeyPatch
from temporalio.client import Client, WorkflowHistory

from stepway.embedded.servers import EmbeddedServers
from stepway.embedded.temporal import Temporal
from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.settings import Settings
from stepway.runtime.temporal import connect_temporal
from tests.replay.shapes import SHAPES
from tests.support.controls import until_closed, workflow_of
from tests.support.servers import Stepway, running_stepway

HISTORIES = Path(__file__).parent / "histories"

PROCESS = re.compile(r"\d+@\S+")
"""A process ID and host name in Temporal's names of workers and sticky queues."""


async def record(names: list[str]) -> None:
    """Start real servers, run each shape, and save the histories of its runs.

    That of the newest run has the shape's name, those of earlier ones `NAME-run-1` and so on.
    """
    for suggested_at, same in groupby(names, key=lambda name: SHAPES[name].suggested_at):
        option = f"--dynamic-config-value=limit.historyCount.suggestContinueAsNew={suggested_at}"
        with (
            TemporaryDirectory(prefix="stepway-", ignore_cleanup_errors=True) as folder,
            MonkeyPatch.context() as patch,
        ):
            command = Temporal.command
            patch.setattr(Temporal, "command", lambda self: [*command(self), option])  # noqa: B023
            await _record_in(Path(folder), list(same))


async def _record_in(folder: Path, names: list[str]) -> None:
    blueprints = _written(folder / "blueprints", names)
    async with EmbeddedServers(Settings(data_dir=folder / "data")) as found:
        await upgrade_database(found.sqlalchemy_url)
        client = await connect_temporal(found)
        async with running_stepway(found, blueprints) as stepway:
            for name in names:
                await _record(name, stepway, client)


def _written(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for name in names:
        text = yaml.safe_dump(SHAPES[name].blueprint(name))
        (folder / f"{name}.yaml").write_text(text)
    return folder


async def _record(name: str, stepway: Stepway, client: Client) -> None:
    project = await stepway.create(name)
    await SHAPES[name].story(stepway, project)
    await until_closed(client, project)
    runs = [await workflow_of(client, project).fetch_history()]
    while before := _continued_from(runs[0]):
        handle = client.get_workflow_handle(runs[0].workflow_id, run_id=before)
        runs.insert(0, await handle.fetch_history())
    for number, run in enumerate(runs, 1):
        suffix = f"-run-{number}" if number < len(runs) else ""
        _save(f"{name}{suffix}", json.loads(run.to_json()))


def _continued_from(run: WorkflowHistory) -> str:
    return run.events[0].workflow_execution_started_event_attributes.continued_execution_run_id


def _save(name: str, history: Any) -> None:
    text = json.dumps(_anonymous(history), indent=1, ensure_ascii=False, sort_keys=True)
    (HISTORIES / f"{name}.json").write_text(f"{text}\n")
    print(f"{name}: {len(history['events'])} events")


def _anonymous(tree: Any) -> Any:
    """Return the history without details of the recording machine."""
    if isinstance(tree, list):
        return [_anonymous(item) for item in tree]
    if isinstance(tree, dict):
        return {
            key: "" if key == "stackTrace" else _anonymous(value) for key, value in tree.items()
        }
    return PROCESS.sub("recorder", tree) if isinstance(tree, str) else tree


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1:] or list(SHAPES)))
