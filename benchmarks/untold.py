"""A publisher for what only Postgres is asked about."""

from __future__ import annotations

from collections.abc import Sequence


class Untold:
    """Publishes nothing."""

    async def publish(self, project_id: str, messages: Sequence[str]) -> None:
        """Nothing."""
