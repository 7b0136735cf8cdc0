"""A pytest plugin: collects once, then runs the tests in a fork of the process for each mutant."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import asyncpg
import pytest

from stepway.embedded.process import ends_with_parent
from stepway.runtime.settings import Settings
from tests.conftest import LENT
from tests.mutants.mutant import Mutant, Unusable
from tests.tiers import tier_of

READY, UNUSABLE, PASSED, FAILED, STUCK = "ready", "unusable", "passed", "failed", "stuck"

BEGINNING = 120.0
"""Seconds that a fork may take to put its mutant in force, and to prepare what its first test with
servers needs: on a busy machine that takes longer than the tests."""


@dataclass
class Result:
    """How a mutant ended, and by which test: `killed`, `survived`, `timed out` or `unusable`."""

    mutant: Mutant
    verdict: str
    test: str = ""


@dataclass
class Forked:
    """The plugin. After the session, `results` has all results and `unfit` the tests that fail
    without a mutant; these are not run. A test is stuck after `patience` seconds and five times
    what it took without a mutant.
    """

    mutants: Sequence[Mutant]
    servers: Settings
    patience: float
    results: list[Result] = field(default_factory=list)
    unfit: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._kills: Counter[str] = Counter()
        self._kills_of: defaultdict[str, Counter[str]] = defaultdict(Counter)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run everything in place of pytest's own loop."""
        items = self._fit(session)
        for number, mutant in enumerate(self.mutants, 1):
            self.results.append(self._judge(mutant, items))
            last = self.results[-1]
            print(
                f"{number}/{len(self.mutants)} {last.verdict} {mutant.file.name}:{mutant.line}"
                f" {mutant.function} {last.test}",
                file=sys.stderr,
                flush=True,
            )
        return True

    def _fit(self, session: pytest.Session) -> list[pytest.Item]:
        """The tests that pass without a mutant, and how long each takes."""
        began = time.monotonic()
        for said, test in self._fork(None, session.items, until_failure=False):
            self._seconds[test] = time.monotonic() - began
            began = time.monotonic()
            if said == FAILED:
                self.unfit.append(test)
        return [item for item in session.items if item.nodeid not in self.unfit]

    def _judge(self, mutant: Mutant, items: list[pytest.Item]) -> Result:
        """Run the tests without servers first; of these, and of the others, first those that killed
        mutants of the same function, then those that killed many, then the quick ones.
        """
        of_function = self._kills_of[mutant.function]

        def promise(item: pytest.Item) -> tuple[float, ...]:
            test = item.nodeid
            return (
                _needs_servers(item),
                not of_function[test],
                -self._kills[test],
                self._seconds.get(test, 0.0),
            )

        test = ""
        for said, test in self._fork(mutant, sorted(items, key=promise)):
            if said == UNUSABLE:
                return Result(mutant, "unusable", test)
            if said == FAILED:
                self._kills[test] += 1
                of_function[test] += 1
                return Result(mutant, "killed", test)
            if said == STUCK:
                return Result(mutant, "timed out", test)
        return Result(mutant, "survived")

    def _fork(
        self, mutant: Mutant | None, items: list[pytest.Item], until_failure: bool = True
    ) -> Iterator[tuple[str, str]]:
        """Run tests in a fork; yield the result and the name of each."""
        copied = Copied(self.servers)
        reading, writing = os.pipe()
        bind = ends_with_parent(signal.SIGKILL)
        child = os.fork()
        if not child:
            try:
                if bind:
                    bind()
                os.setsid()
                _run(items, mutant, copied, writing, until_failure)
            finally:
                os._exit(0)
        os.close(writing)
        try:
            yield from self._said(reading, items)
        finally:
            os.close(reading)
            _end(child)
            if any(map(_needs_servers, items)):
                asyncio.run(copied.drop())

    def _said(self, reading: int, items: list[pytest.Item]) -> Iterator[tuple[str, str]]:
        """Read the fork's output, a line for each test; a test without a line is stuck."""
        waiting = iter([*items, None])
        rest = b""
        item = next(waiting)
        limit = BEGINNING
        prepared = False
        while item:
            if not select.select([reading], [], [], limit)[0]:
                yield STUCK, item.nodeid
                return
            part = os.read(reading, 4096)
            if not part:  # The mutant has ended the process.
                yield FAILED, item.nodeid
                return
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                said, _, test = line.decode().partition(" ")
                if said != READY:
                    yield said, test
                    item = next(waiting)
                if said == UNUSABLE:
                    return
            if item:
                limit = self.patience + 5 * self._seconds.get(item.nodeid, 30.0)
                if _needs_servers(item) and not prepared:
                    limit, prepared = limit + BEGINNING, True


@dataclass
class Copied:
    """The servers, with a copy of the migrated database that is made when it is needed."""

    servers: Settings
    name: str = field(default_factory=lambda: f"mutant_{uuid4().hex[:8]}")
    made: bool = False

    async def lend(self) -> Settings:
        """Make the copy, once; return settings with its address."""
        base, _, options = self.servers.database_url.partition("?")
        server, _, template = base.rpartition("/")
        if not self.made:
            await self._execute("postgres", f"CREATE DATABASE {self.name} TEMPLATE {template}")
            self.made = True
        url = f"{server}/{self.name}" + (f"?{options}" if options else "")
        return self.servers.model_copy(update={"database_url": url})

    async def change(self, statement: str) -> None:
        """Execute a statement in the copy."""
        await self.lend()
        await self._execute(self.name, statement)

    async def drop(self) -> None:
        """Drop the copy, if there is one."""
        await self._execute("postgres", f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")

    async def _execute(self, database: str, statement: str) -> None:
        connection = await asyncpg.connect(self.servers.database_url, database=database)
        await connection.execute(statement)
        await connection.close()


def _run(
    items: list[pytest.Item],
    mutant: Mutant | None,
    copied: Copied,
    writing: int,
    until_failure: bool,
) -> None:
    """In the fork: put the mutant in force and run the tests; write a line for each."""

    def say(said: str, text: str) -> None:
        os.write(writing, f"{said} {text}\n".encode())

    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    session = items[0].session

    session.config.stash[LENT] = copied.lend
    try:
        if mutant and isinstance(mutant.apply, str):
            asyncio.run(copied.change(mutant.apply))
        elif mutant:
            mutant.apply()
    except (Unusable, asyncpg.PostgresError) as error:
        say(UNUSABLE, repr(str(error)))
        return
    say(READY, "")
    for item, following in zip(items, [*items[1:], None], strict=True):
        failed = session.testsfailed
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        say(FAILED if session.testsfailed > failed else PASSED, item.nodeid)
        if until_failure and session.testsfailed:
            return


def _needs_servers(item: pytest.Item) -> bool:
    return tier_of(item.path) != "unit"


def _end(child: int) -> None:
    """End a fork and all processes that it has started."""
    for end in (os.killpg, os.kill):
        try:
            end(child, signal.SIGKILL)
        except ProcessLookupError:
            continue
    os.waitpid(child, 0)
