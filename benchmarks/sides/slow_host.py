"""The tests' GitHub, whose answers take a given time, or say that the rate limit is used up."""

from __future__ import annotations

import asyncio

from benchmarks.sides.answering import answer
from tests.support.githost.github.faults import primary_limit
from tests.support.githost.github.pushes import GitHubSurface
from tests.support.githost.server import running_host

EVERY = 10**9
ACCOUNT = "erin"


async def main() -> None:
    """Serve until the bench ends."""
    with running_host(GitHubSurface) as host:
        host.world.add_account(ACCOUNT)
        token = host.world.add_token(ACCOUNT, {"repo", "workflow"})

        async def slow(seconds: float) -> None:
            host.faults.clear()
            host.faults.add("GET .*/user$", delay=seconds, times=EVERY)

        async def limited(seconds: int) -> None:
            host.faults.clear()
            host.faults.add("GET .*/user$", primary_limit(seconds), times=EVERY)

        async def asked() -> int:
            return len(host.requests("GET .*/user$"))

        handlers = {"slow": slow, "limited": limited, "asked": asked}
        await answer(handlers, url=host.url, token=token.value)


if __name__ == "__main__":
    asyncio.run(main())
