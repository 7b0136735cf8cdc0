"""`stepway worker` without logs of steps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from stepway import worker
from stepway.cli.main import main


@asynccontextmanager
async def no_logs(*_: Any, **__: Any) -> AsyncIterator[None]:
    """Instead of `open_logs`."""
    yield None


if __name__ == "__main__":
    worker.open_logs = no_logs
    main(["worker"])
