"""Record the histories that the replay test replays: `uv run python -m tests.replay.record`.

Arguments name the shapes to record; without any, all of them. docs/how-to/change-a-workflow.md
says when to.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from temporalio.client import Client

from stepway.embedded.servers import EmbeddedServers
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
    """Start real servers, run each shape and save the history of its newest run."""
    with TemporaryDirectory(prefix="stepway-", ignore_cleanup_errors=True) as folder:
        blueprints = _written(Path(folder, "blueprints"), names)
        async with EmbeddedServers(Settings(data_dir=Path(folder, "data"))) as found:
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
    history = json.loads((await workflow_of(client, project).fetch_history()).to_json())
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
