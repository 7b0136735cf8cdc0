"""Rounds of faults: start projects, watch them, inject faults until they end, check everything."""

from __future__ import annotations

import asyncio
import json
import random
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import httpx

from tests.faults import blueprint
from tests.faults.checks import NOTHING, Record, Seen, record_faults, state_faults, watcher_faults
from tests.faults.cluster import Cluster
from tests.faults.collecting import collect
from tests.faults.hosts.blueprint import NAME as HOSTED_NAME
from tests.faults.hosts.blueprint import parameters_of
from tests.faults.hosts.checks import TOLERATED, host_faults
from tests.faults.hosts.forges import Forge
from tests.faults.hosts.search import search
from tests.faults.hosts.seen import OnHost, seen_on
from tests.faults.injections import Injector
from tests.faults.recovery import ALLOWED
from tests.faults.summary import Summary
from tests.faults.watchers import Chromium, Node, Own, Plain, Watcher
from tests.support.canaries import overheard
from tests.support.servers import eventually

FAULTY, STEADY, HOSTED = 2, 2, 2
"""Numbers of projects in a round, by their blueprint."""

FAULTS = 42
END_PATIENCE = 180.0
"""Seconds until a project that is no longer hurt must have ended: the sweep's time included."""

SEEN_PATIENCE = 60.0


class Rounds:
    """Runs rounds on a cluster, always the same ones for the same seed as far as chance goes.

    What contradicts itself is kept in `keep`, a file a project.
    """

    def __init__(
        self, cluster: Cluster, seed: int, keep: Path | None, outages: tuple[float, ...]
    ) -> None:
        self._cluster = cluster
        self._dice = random.Random(seed)
        self._keep = keep
        self._stack = AsyncExitStack()
        self.summary = Summary(seed, ALLOWED)
        self._own, self._plain, self._node = Own(), Plain(), Node()
        self._watchers: list[Watcher] = [self._plain, self._own, self._node, Chromium()]
        self._forges: dict[str, Forge] = {}
        self._injector = Injector(cluster, self._dice, self._plain, self._node, outages=outages)

    async def start(self) -> None:
        """Start the watchers, and listen to Valkey."""
        self._heard = await self._stack.enter_async_context(
            overheard(self._cluster.settings.redis_url)
        )
        for watcher in self._watchers:
            await watcher.start(self._cluster.url)

    async def stop(self) -> None:
        """Stop the watchers."""
        await self._stack.aclose()
        for watcher in self._watchers:
            await watcher.stop()

    async def run(self, rounds: int) -> Summary:
        """Run the rounds; continues after violations and collects them."""
        began = time.monotonic()
        summary = self.summary
        for number in range(1, rounds + 1):
            known = len(summary.violations)
            names = await self._round()
            summary.rounds = number
            summary.seconds = time.monotonic() - began
            summary.faults = self._injector.counts
            print(f"round {number}, {summary.seconds:.0f} s: {', '.join(names)}", flush=True)
            for violation in summary.violations[known:]:
                print(f"  VIOLATION {violation}", flush=True)
        return summary

    async def watch_one(self, name: str, **parameters: object) -> str:
        """Start a project and watch it; return its ID."""
        project = await self._create(name, parameters)
        for watcher in self._watchers:
            await watcher.watch(project)
        return project

    async def until_ended(self, projects: list[str]) -> None:
        """Wait until the projects are active or cancelled; a timeout is a violation."""

        async def ended() -> bool:
            rows = await self._cluster.fetch(
                "SELECT status, initialization_completed_at IS NOT NULL AS ended FROM projects"
                " WHERE id = ANY($1::uuid[])",
                projects,
            )
            return all(row["ended"] and row["status"] in ("active", "cancelled") for row in rows)

        with suppress(AssertionError):
            await eventually(ended, END_PATIENCE)

    async def check(self, project: str) -> None:
        """Check the record and every watcher's events; stop watching the projects."""
        forge = self._forges.get(project)
        record = await collect(self._cluster, project, TOLERATED if forge else NOTHING)
        found = record_faults(record)
        seen_on_host = seen_on(forge, record.project) if forge else None
        if forge and seen_on_host:
            found += host_faults(record, seen_on_host, forge.secrets, forge.kind)
            self.summary.hosted[f"{forge.kind} {_outcome(record)}"] += 1
        final = record.project["version"]
        for watcher in self._watchers:
            seen = await self._seen_to_the_end(watcher, project, final)
            found += [f"{watcher.name}: {fault}" for fault in watcher_faults(seen, final)]
            self.summary.versions += len(seen)
            self.summary.watchers += 1
            await watcher.forget(project)
        if project in self._own.states:
            found += state_faults(self._own.states[project], record)
        self.summary.projects += 1
        self.summary.statuses[record.project["status"]] += 1
        self.summary.violations += [f"{project}: {fault}" for fault in found]
        if found:
            await self._keep_evidence(project, record, seen_on_host)

    async def search_secrets(self) -> None:
        """Look for the secrets of the hosts wherever something is kept; each one is a violation."""
        found = await search(self._cluster, self._heard)
        self.summary.secrets = len(self._cluster.canaries)
        self.summary.violations += found
        for forge in self._cluster.forges.values():
            wrong = [f"request that does not fit: {each}" for each in forge.host.violations]
            self.summary.violations += wrong

    async def _round(self) -> list[str]:
        await self._cluster.until_serving()
        projects = [await self.start_faulty() for _ in range(FAULTY)]
        steady = [self._new_folder() for _ in range(STEADY)]
        projects += [await self._start(blueprint.STEADY, folder) for folder in steady]
        hosted = [await self.start_hosted() for _ in range(HOSTED)]
        projects += hosted
        self._injector.projects = projects
        self._injector.hosts.projects = {project: self._forges[project] for project in hosted}
        person = asyncio.create_task(self._retry_what_fails(projects))
        names = []
        try:
            for _ in range(FAULTS):
                # Faults come at random times.
                await asyncio.sleep(self._dice.uniform(0.0, 0.5))
                names.append(await self._injector.inject())
            await self._injector.finish()
            for folder in steady:
                await asyncio.to_thread((folder / f"{blueprint.HELD}.open").touch)
            await self._cluster.until_serving()
            await self.until_ended(projects)
        finally:
            person.cancel()
        for project in projects:
            await self.check(project)
        self.summary.violations += self._injector.violations
        self._injector.violations.clear()
        return names

    async def start_faulty(self) -> str:
        """Start and watch a project with all kinds of steps; return its ID."""
        return await self._start(blueprint.NAME, self._new_folder())

    async def start_hosted(self) -> str:
        """Start and watch a project on one of the Git hosts; return its ID."""
        forge = self._cluster.forges[self._dice.choice(list(self._cluster.forges))]
        credential = self._dice.choice(forge.credentials)
        given = parameters_of(forge, credential, self._new_folder())
        project = await self.watch_one(HOSTED_NAME, **given)
        self._forges[project] = forge
        return project

    def _new_folder(self) -> Path:
        folder = self._cluster.folder / uuid4().hex
        folder.mkdir()
        return folder

    async def _start(self, name: str, folder: Path) -> str:
        return await self.watch_one(name, folder=str(folder))

    async def _create(self, name: str, parameters: dict[str, object]) -> str:
        project = f"p-{uuid4().hex[:12]}"
        body = {"name": project, "blueprint": name, "parameters": parameters}

        async def created() -> str:
            with suppress(httpx.TransportError):
                async with httpx.AsyncClient(base_url=self._cluster.url, timeout=30) as http:
                    headers = {"Idempotency-Key": project}
                    answer = await http.post("/api/projects", json=body, headers=headers)
                    if answer.is_success:
                        return str(answer.json()["project"]["id"])
            return ""

        return str(await eventually(created, END_PATIENCE))

    async def _retry_what_fails(self, projects: list[str]) -> None:
        """Retry failed steps, as a person does, until the projects have ended."""
        async with httpx.AsyncClient(base_url=self._cluster.url, timeout=30) as http:
            while True:
                for project in projects:
                    with suppress(httpx.TransportError, KeyError, json.JSONDecodeError):
                        path = f"/api/projects/{project}"
                        if (await http.get(path)).json()["status"] == "failed":
                            await http.post(f"{path}/initialization/retry")
                await self._cluster.relaunch_ended()
                # The pace of a person.
                await asyncio.sleep(0.5)

    async def _seen_to_the_end(self, watcher: Watcher, project: str, final: int) -> list[Seen]:
        async def done() -> bool:
            seen = await watcher.seen(project)
            return bool(seen) and seen[-1].id >= final

        with suppress(AssertionError):
            await eventually(done, SEEN_PATIENCE)
        return list(await watcher.seen(project))

    async def _keep_evidence(self, project: str, record: Record, on_host: OnHost | None) -> None:
        if self._keep is None:
            return
        seen = {one.name: [str(e) for e in await one.seen(project)] for one in self._watchers}
        evidence = {**asdict(record), "seen": seen}
        evidence["on_host"] = asdict(on_host) if on_host else None
        text = json.dumps(evidence, indent=1, default=str)
        await asyncio.to_thread((self._keep / f"{project}.json").write_text, text)


def _outcome(record: Record) -> str:
    """Return the project's status, and whether it was rolled back."""
    status = str(record.project["status"])
    return f"{status}, rolled back" if record.project.get("rollback") else status
