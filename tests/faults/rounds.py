"""Rounds of faults: projects are started, watched and hurt until they end, then all is checked."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
from temporalio.api.enums.v1 import EventType
from temporalio.service import RPCError

from tests.faults.checks import Json, Record, Seen, record_faults, watcher_faults
from tests.faults.cluster import Cluster
from tests.faults.injections import HEARTBEAT, Injector
from tests.faults.watchers import Chromium, Node, Own, Plain, Watcher
from tests.support.servers import eventually, write_blueprint
from workflows.messages import workflow_id

PROJECTS = 3
FAULTS = 14
END_PATIENCE = 180.0
"""Seconds until a project that is no longer hurt must have ended: the sweep's time included."""

SEEN_PATIENCE = 60.0
QUICK = {"maximum_attempts": 0, "initial_interval": 0.2, "maximum_interval": 1}


@dataclass
class Summary:
    """What a run came to."""

    seed: int
    rounds: int = 0
    projects: int = 0
    watchers: int = 0
    versions: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    recoveries: list[float] = field(default_factory=list)

    def line(self) -> str:
        """All of it in one line."""
        hurt = sum(n for name, n in self.faults.items() if not name.startswith("("))
        found = Counter(_kind(violation) for violation in self.violations)
        return (
            f"{self.rounds} rounds, {hurt} faults, {self.projects} projects, "
            f"{self.watchers} watchers, {self.versions} versions delivered: "
            f"{found['gap']} gaps, {found['duplicate']} duplicates, "
            f"{found['lost ending']} lost endings, {found['run twice']} steps run twice, "
            f"{found['other']} other violations (seed {self.seed}, {self.seconds:.0f} s)"
        )


def _kind(violation: str) -> str:
    for kind, words in (
        ("gap", ("gap ", "before any snapshot")),
        ("duplicate", ("duplicate ", "snapshot ")),
        ("lost ending", ("lost ending",)),
        ("run twice", ("completed twice",)),
    ):
        if any(word in violation for word in words):
            return kind
    return "other"


class Rounds:
    """Runs rounds on a cluster, always the same ones for the same seed as far as chance goes."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster = cluster
        self._dice = random.Random(seed)
        self.summary = Summary(seed)
        self._plain, self._node = Plain(), Node()
        self._watchers: list[Watcher] = [self._plain, Own(), self._node, Chromium()]
        self._injector = Injector(cluster, self._dice, self._plain, self._node)

    async def start(self) -> None:
        """Bring the watchers up."""
        for watcher in self._watchers:
            await watcher.start(self._cluster.url)

    async def stop(self) -> None:
        """Send the watchers home."""
        for watcher in self._watchers:
            await watcher.stop()

    async def run(self, rounds: int) -> Summary:
        """Run rounds; stops at none, and keeps every violation."""
        began = time.monotonic()
        for number in range(1, rounds + 1):
            names = await self._round()
            self.summary.rounds = number
            self.summary.seconds = time.monotonic() - began
            self.summary.faults = Counter(self._injector.counts)
            print(f"round {number}: {', '.join(names)}", flush=True)
            for violation in self.summary.violations:
                print(f"  VIOLATION {violation}", flush=True)
        return self.summary

    async def _round(self) -> list[str]:
        await self._cluster.until_serving()
        projects = [await self._create() for _ in range(PROJECTS)]
        self._injector.projects = projects
        for watcher in self._watchers:
            for project in projects:
                await watcher.watch(project)
        person = asyncio.create_task(self._retry_what_fails(projects))
        names = []
        try:
            for _ in range(FAULTS):
                await asyncio.sleep(self._dice.uniform(0.0, 0.6))
                names.append(await self._injector.inject())
            await self._injector.finish()
            await self._cluster.until_serving()
            await self._until_ended(projects)
        finally:
            person.cancel()
        for project in projects:
            await self._check(project)
        return names

    async def _create(self) -> str:
        folder = self._cluster.folder
        name = f"p-{uuid4().hex[:12]}"
        own = folder / name
        own.mkdir()
        body = {"name": name, "blueprint": "faulty", "parameters": {"folder": str(own)}}
        headers = {"Idempotency-Key": name}

        async def created() -> str:
            with suppress(httpx.TransportError):
                async with httpx.AsyncClient(base_url=self._cluster.url, timeout=30) as http:
                    answer = await http.post("/api/projects", json=body, headers=headers)
                    if answer.status_code in (200, 201):
                        return str(answer.json()["project"]["id"])
            return ""

        return str(await eventually(created, END_PATIENCE))

    async def _retry_what_fails(self, projects: list[str]) -> None:
        """A person who retries whatever has failed, until all of it is done."""
        async with httpx.AsyncClient(base_url=self._cluster.url, timeout=30) as http:
            while True:
                for project in projects:
                    with suppress(httpx.TransportError, KeyError, json.JSONDecodeError):
                        path = f"/api/projects/{project}"
                        if (await http.get(path)).json()["status"] == "failed":
                            await http.post(f"{path}/initialization/retry")
                await self._cluster.relaunch_ended()
                await asyncio.sleep(0.5)

    async def _until_ended(self, projects: list[str]) -> None:
        async def ended() -> bool:
            rows = await self._fetch(
                "SELECT status, initialization_completed_at IS NOT NULL AS ended FROM projects"
                " WHERE id = ANY($1::uuid[])",
                projects,
            )
            return all(row["ended"] and row["status"] in ("active", "cancelled") for row in rows)

        try:
            await eventually(ended, END_PATIENCE)
        except AssertionError:
            rows = await self._fetch(
                "SELECT id, status, initialization_error FROM projects WHERE id = ANY($1::uuid[])",
                projects,
            )
            self.summary.violations.append(f"did not end: {[dict(row) for row in rows]}")

    async def _check(self, project: str) -> None:
        record = await self._record(project)
        found = [f"{project}: {fault}" for fault in record_faults(record)]
        final = record.project["version"]
        for watcher in self._watchers:
            seen = await self._seen_to_the_end(watcher, project, final)
            faults = watcher_faults(seen, final)
            found += [f"{project}: {watcher.name}: {fault}" for fault in faults]
            self.summary.versions += len(seen)
            self.summary.watchers += 1
            await watcher.forget(project)
        self.summary.projects += 1
        self.summary.statuses[record.project["status"]] += 1
        self.summary.violations += found

    async def _seen_to_the_end(self, watcher: Watcher, project: str, final: int) -> list[Seen]:
        async def done() -> bool:
            seen = await watcher.seen(project)
            return bool(seen) and seen[-1].id >= final

        with suppress(AssertionError):
            await eventually(done, SEEN_PATIENCE)
        return await watcher.seen(project)

    async def _record(self, project: str) -> Record:
        [row] = await self._fetch(
            """
            SELECT stepway_project_json(p)::text AS project,
                   stepway_steps_json(p.id)::text AS steps,
                   (SELECT jsonb_agg(to_jsonb(a) - 'result')
                    FROM project_initialization_attempts a WHERE a.project_id = p.id)::text
                     AS attempts,
                   (SELECT jsonb_agg(to_jsonb(e) ORDER BY e.version)
                    FROM project_initialization_events e WHERE e.project_id = p.id)::text
                     AS events
            FROM projects p WHERE id = $1
            """,
            project,
        )
        loaded: dict[str, Json] = {name: json.loads(text) for name, text in row.items()}
        return Record(
            loaded["project"],
            loaded["steps"],  # type: ignore[arg-type]
            loaded["attempts"] or [],  # type: ignore[arg-type]
            loaded["events"],  # type: ignore[arg-type]
            await self._completed_activities(project),
        )

    async def _completed_activities(self, project: str) -> set[str]:
        """The ids of the steps' activities that Temporal's history of the last run calls done."""
        handle = self._cluster.temporal.get_workflow_handle(workflow_id(project))
        try:
            history = await handle.fetch_history()
        except RPCError:
            return set()
        scheduled = {
            event.event_id: event.activity_task_scheduled_event_attributes.activity_id
            for event in history.events
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        }
        return {
            scheduled[event.activity_task_completed_event_attributes.scheduled_event_id]
            for event in history.events
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
        }

    async def _fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self._cluster.settings.database_url, timeout=10)
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close()


def write_faulty_blueprint(folder: Path) -> None:
    """A project type with everything in it: parallel, slow, flaky, parts, skipped, failing."""
    step = {"heartbeat": HEARTBEAT, "timeout": 30, "retry": QUICK}
    steps: list[Json] = [
        {"step": "quick", "needs": [], "with": {"seconds": 0.3}},
        {"step": "slow", "needs": [], "with": {"seconds": 1.5}},
        {"step": "parts", "uses": "say", "needs": ["quick"]},
        {"step": "flaky", "uses": "flaky", "needs": ["quick"], "with": {"times": 1}},
        {"step": "slower", "needs": ["slow"], "with": {"seconds": 2.5}},
        {
            "step": "fails",
            "uses": "flaky",
            "needs": ["parts"],
            "with": {"times": 1},
            "retry": {"maximum_attempts": 1},
        },
        {"step": "nothing", "uses": "leave", "needs": ["parts"]},
        {"step": "last", "needs": ["slower", "fails", "flaky"], "after": ["nothing"]},
    ]
    parameters = {"type": "object", "properties": {"folder": {"type": "string"}}}
    for one in steps:
        one["with"] = {"folder": "${{ parameters.folder }}", **one.get("with", {})}
    write_blueprint(folder, [{**step, **one} for one in steps], "faulty", parameters=parameters)
