"""A publisher for benches that measure only Postgres."""

from __future__ import annotations

from collections.abc import Sequence


class NullPublisher:
    """A publisher that does nothing."""

    async def publish(self, project_id: str, messages: Sequence[str]) -> None:
        """Do nothing."""
