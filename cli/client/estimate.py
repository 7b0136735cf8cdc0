"""Reads the estimated remaining time of an initialization from the API."""

from __future__ import annotations

from datetime import UTC, datetime

from stepway.cli.client.errors import ClientError
from stepway.cli.client.fold import Initialization
from stepway.cli.client.http import Api
from stepway.cli.view.words import TimeLeft, is_held_up
from stepway_tracking.record.facts import DONE_STATUSES


class Estimates:
    """Requests the estimate at first, and again whenever a step has ended."""

    def __init__(self, api: Api, project_id: str) -> None:
        self._api = api
        self._project_id = project_id
        self._moment: tuple[str, int] | None = None
        self._left: TimeLeft | None = None

    def left(self, state: Initialization) -> TimeLeft | None:
        """Return the remaining time; None after too few earlier runs or a failed request, and while
        a step waits for a limit or a worker.
        """
        ended = sum(step["status"] in DONE_STATUSES for step in state.steps.values())
        if (state.status, ended) != self._moment:
            self._moment = (state.status, ended)
            self._left = self._ask() if state.status == "initializing" else None
        now = datetime.now(UTC)
        return None if any(is_held_up(step, now) for step in state.steps.values()) else self._left

    def _ask(self) -> TimeLeft | None:
        try:
            found = self._api.get(f"/projects/{self._project_id}/initialization/estimate")
        except ClientError:
            return None  # Watching works without the estimate.
        low, high = found["p50_ms"], found["p95_ms"]
        if low is None or high is None:
            return None
        return TimeLeft(low, max(low, high), datetime.now(UTC))
