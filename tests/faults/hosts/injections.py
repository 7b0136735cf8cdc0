"""The faults of Git hosts by name. Each ends by itself, or is cleared with its round."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import httpx

from tests.faults.cluster import Cluster
from tests.faults.hosts.forges import OWNER, Forge
from tests.support.githost.answers import Answer
from tests.support.githost.faults import Fault
from tests.support.githost.github import faults as github
from tests.support.servers import eventually

WRITES = r"^(POST|PUT|PATCH|DELETE) (?!.*(git-receive-pack|git-upload-pack|access_tokens)$)"
READS = r"^GET (?!.*/info/refs$)"
PUSHES = r"^POST .*git-receive-pack$"
CREATIONS = rf"^POST .*/(orgs/{OWNER}/repos|projects)$"
SETTINGS = (b"POST /api/", b"PUT /api/", b"PATCH /api/", b"DELETE /api/", b"/git-receive-pack ")
"""Beginnings of requests that change something; the proxy sees them as bytes."""

ROLLBACK_PATIENCE = 120.0
MEETING_PATIENCE = 5.0

HostFault = Callable[[str], Awaitable[bool]]


@dataclass
class HostFaults:
    """Injects faults into the hosts of a cluster, drawn from `dice`.

    `projects` are the host of each project of the round. `rolled_back` are those whose rollback was
    requested.
    """

    cluster: Cluster
    dice: random.Random
    counts: Counter[str]
    projects: dict[str, Forge] = field(default_factory=dict)
    rolled_back: set[str] = field(default_factory=set)
    _armed: list[tuple[str, Fault]] = field(default_factory=list)

    def kinds(self) -> dict[str, tuple[int, HostFault]]:
        """Return all kinds of faults with their weights."""
        if not self.projects:
            return {}
        return {
            "host: secondary limit": (8, self._secondary_limit),
            "host: primary limit": (5, self._primary_limit),
            "host: 502 after the effect": (8, self._error_after_effect),
            "host: cut after the effect": (8, self._cut_after_effect),
            "host: slow answer": (4, self._slow_answer),
            "host: new repository not visible": (4, self._not_visible),
            "host: away": (4, self._away),
            "host: token expired": (3, self._expired),
            "host: push cut": (5, self._push_cut),
            "host: push cut after it took place": (5, self._push_lost),
            "host: kill worker during a request": (8, self._kill_during_a_request),
            "host: cancel with rollback": (3, self._cancel_with_rollback),
            "host: cancel with rollback during a request": (3, self._cancel_during_a_request),
        }

    def finish(self) -> None:
        """Count the faults that had an effect, and forget the others."""
        for name, fault in self._armed:
            self.counts[name] += fault.met
        self._armed.clear()
        for forge in self.cluster.forges.values():
            forge.host.faults.clear()
            forge.host.world.hide_new = 0

    def _any(self) -> Forge:
        """Return the host of one of the round's projects."""
        return self.projects[self.dice.choice(list(self.projects))]

    def _arm(self, name: str, forge: Forge, fault: Fault) -> bool:
        """Let the fault be counted when it has met requests; return that it has not, yet."""
        self._armed.append((name, fault))
        return False

    async def _secondary_limit(self, name: str) -> bool:
        forge, times = self._any(), self.dice.randint(1, 3)
        seconds = self.dice.randint(0, 2)
        answer = github.secondary_limit(seconds) if forge.kind == "github" else _limit(seconds)
        pattern = self.dice.choice([WRITES, READS])
        return self._arm(name, forge, forge.host.faults.add(pattern, answer, times=times))

    async def _primary_limit(self, name: str) -> bool:
        forge = self._any()
        seconds = self.dice.randint(1, 3)
        answer = github.primary_limit(seconds) if forge.kind == "github" else _used_up(seconds)
        pattern = self.dice.choice([WRITES, READS])
        return self._arm(name, forge, forge.host.faults.add(pattern, answer))

    async def _error_after_effect(self, name: str) -> bool:
        forge, pattern = self._any(), self.dice.choice([WRITES, CREATIONS, PUSHES])
        answer = Answer(502, "<html><h1>502 Bad Gateway</h1></html>")
        return self._arm(name, forge, forge.host.faults.add(pattern, answer, effect=True))

    async def _cut_after_effect(self, name: str) -> bool:
        forge, pattern = self._any(), self.dice.choice([WRITES, CREATIONS])
        return self._arm(name, forge, forge.host.faults.add(pattern, lost=True, effect=True))

    async def _slow_answer(self, name: str) -> bool:
        forge, seconds = self._any(), self.dice.uniform(0.5, 3.0)
        return self._arm(name, forge, forge.host.faults.add("", delay=seconds, times=2))

    async def _not_visible(self, name: str) -> bool:
        forge = self._any()
        hidden = {id for id, one in forge.host.world.repositories.items() if one.hidden}
        forge.host.world.hide_new = self.dice.randint(1, 3)
        await asyncio.sleep(self.dice.uniform(1.0, 3.0))
        forge.host.world.hide_new = 0
        made = {id for id, one in forge.host.world.repositories.items() if one.hidden}
        return bool(made - hidden)

    async def _away(self, name: str) -> bool:
        await self._any().proxy.away(self.dice.uniform(0.5, 4.0))
        return True

    async def _expired(self, name: str) -> bool:
        """Let the tokens expire for a while; not during a rollback, which nobody could retry."""
        forge = self._any()
        if forge.valid.locked():
            return False
        async with forge.valid:
            before = len(forge.host.log)
            forge.expire()
            await asyncio.sleep(self.dice.uniform(0.5, 3.0))
            forge.renew()
        return any(entry.status == 401 for entry in forge.host.log[before:])

    async def _push_cut(self, name: str) -> bool:
        forge = self._any()
        return self._arm(name, forge, forge.host.faults.add(PUSHES, lost=True))

    async def _push_lost(self, name: str) -> bool:
        forge = self._any()
        return self._arm(name, forge, forge.host.faults.add(PUSHES, lost=True, effect=True))

    async def _kill_during_a_request(self, name: str) -> bool:
        """Kill the worker whose request the host has carried out, before it has the answer."""

        def kill(port: int) -> None:
            if self.cluster.kill_worker_at(port):
                self.counts[name] += 1

        self._any().proxy.lose_answer_to(self.dice.choice(SETTINGS), hit=kill)
        return False

    async def _cancel_with_rollback(self, name: str) -> bool:
        project = self.dice.choice(list(self.projects))
        async with self.projects[project].valid:
            return await self._cancel(project)

    async def _cancel_during_a_request(self, name: str) -> bool:
        """Cancel while the host carries a request out."""
        project = self.dice.choice(list(self.projects))
        forge = self.projects[project]
        pattern = self.dice.choice([WRITES, CREATIONS, PUSHES])
        async with forge.valid:
            fault = forge.host.faults.add(pattern, delay=self.dice.uniform(0.2, 1.5))

            async def met() -> bool:
                return bool(fault.met)

            with suppress(AssertionError):
                await eventually(met, MEETING_PATIENCE)
            return await self._cancel(project) and bool(fault.met)

    async def _cancel(self, project: str) -> bool:
        """Cancel with a rollback, and wait for its end."""
        self.rolled_back.add(project)
        path = f"/api/projects/{project}"
        try:
            async with httpx.AsyncClient(base_url=self.cluster.url, timeout=30) as http:
                answer = await http.post(f"{path}/initialization/cancel", json={"undo": True})
        except httpx.TransportError:
            return False
        if not answer.is_success:
            return False
        await eventually(lambda: self._has_ended(project), ROLLBACK_PATIENCE)
        return True

    async def _has_ended(self, project: str) -> bool:
        [row] = await self.cluster.fetch(
            "SELECT initialization_completed_at IS NOT NULL OR status = 'failed' AS ended"
            " FROM projects WHERE id = $1",
            project,
        )
        return bool(row["ended"])


def _limit(seconds: int) -> Answer:
    """GitLab's 429, and that of a proxy before Gitea."""
    return Answer(429, {"message": "Retry later"}, {"Retry-After": str(seconds)})


def _used_up(seconds: int) -> Answer:
    headers = {"RateLimit-Remaining": "0", "RateLimit-Reset": str(int(time.time()) + seconds)}
    return Answer(429, {"message": "Retry later"}, headers)
