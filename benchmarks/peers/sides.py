"""Starts the peers as sides of a bench. A peer that cannot be installed is None, with a note."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from benchmarks.child import Child, python
from benchmarks.peers.install import node_peer, python_peer
from benchmarks.stage import Stage
from stepway.embedded.ports import HOST, Ports

NODE = "Node: BullMQ, ioredis, tRPC"
DBOS = "DBOS"
STREAMS = "Temporal workflow streams"
PREFECT = "Prefect"

DURABILITY = (
    "Durability. Ours: every change in Postgres with its event, the run in Temporal. Node: every "
    "change in Postgres, the job in Valkey; after a crash it restarts from its first step. DBOS: "
    "steps and stream in Postgres. Workflow streams: steps and stream in the workflow's history. "
    "Prefect: states in its database; a run whose process died does not resume. Polling: as ours."
)


@dataclass(frozen=True)
class Peer:
    """A running peer; Stepway must be faster than a `durable` one."""

    name: str
    side: Child
    durable: bool


async def node(stage: Stage) -> Peer | None:
    """Start the original design: BullMQ, ioredis and tRPC on Node."""
    folder = node_peer(stage.note)
    program = shutil.which("node")
    if folder is None or program is None:
        return None
    return Peer(NODE, await stage.run([program, str(folder / "peer.mjs")]), durable=False)


async def dbos(stage: Stage) -> Peer | None:
    """Start DBOS, with its own database on the same Postgres."""
    interpreter = python_peer("dbos", stage.note)
    if interpreter is None:
        return None
    url = await _database(stage, "dbos")
    command = [str(interpreter), "-m", "benchmarks.peers.python.dbos_peer"]
    return Peer(DBOS, await stage.run(command, PEER_DATABASE_URL=url), durable=True)


async def streams(stage: Stage) -> Peer | None:
    """Start Temporal's workflow streams, on the same Temporal server."""
    command = python("benchmarks.peers.python.streams_peer")
    return Peer(STREAMS, await stage.run(command), durable=True)


async def prefect(stage: Stage) -> Peer | None:
    """Start Prefect and its server, with its own database on the same Postgres."""
    interpreter = python_peer("prefect", stage.note)
    if interpreter is None:
        return None
    url = await _database(stage, "prefect")
    port = Ports(stage.settings.data_dir / "run" / "prefect.json", {}).get("prefect")
    environment = {
        "PREFECT_HOME": str(stage.folder / "prefect"),
        "PREFECT_API_DATABASE_CONNECTION_URL": url.replace("://", "+asyncpg://", 1),
        "PREFECT_API_URL": f"http://{HOST}:{port}/api",
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    server = ["prefect", "server", "start", "--host", HOST, "--port", str(port)]
    command = [str(interpreter), "-m", "benchmarks.sides.server", str(port)]
    await stage.run([*command, str(interpreter), "-m", *server], **environment)
    command = [str(interpreter), "-m", "benchmarks.peers.python.prefect_peer"]
    return Peer(PREFECT, await stage.run(command, **environment), durable=False)


async def _database(stage: Stage, name: str) -> str:
    await stage.pool.execute(f"CREATE DATABASE {name}")
    return stage.settings.database_url.rpartition("/")[0] + f"/{name}"
