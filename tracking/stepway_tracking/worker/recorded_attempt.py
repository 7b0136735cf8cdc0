"""The parts that an attempt at a step and an attempt at its rollback share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from temporalio import activity
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

from stepway_tracking.record.facts import MOST_LOSSES, MOST_WAITS
from stepway_tracking.record.store import Outcome, Store
from stepway_tracking.worker.attempt_writer import AttemptWriter
from stepway_tracking.worker.limits import StepLimits
from stepway_tracking.workflow.marks import StepMark


class RecordedAttempt:
    """An attempt whose changes are written to the record.

    `heartbeat` repeats the attempt's last heartbeat; it is called while Postgres is unreachable.
    `limits` run the activity's code.
    """

    _before = Outcome("")
    """Numbers of earlier failures, losses and waits, which the record returns for the start."""

    def __init__(
        self,
        store: Store,
        converter: DataConverter,
        mark: StepMark,
        info: activity.Info,
        heartbeat: Callable[[], None],
        limits: StepLimits,
    ) -> None:
        self._store = store
        self._converter = converter
        self._mark = mark
        self._info = info
        self._limits = limits
        self._writer = AttemptWriter(store, mark, info, heartbeat, lambda: limits.is_cancelled)

    def _check_bounds(self, start: Outcome) -> None:
        """Keep the numbers of the start. Raises ApplicationError if a number is too large."""
        self._before = start
        if self._mark.attempts is None:
            return
        what = "rollback" if self._mark.undo else "step"
        if start.losses >= MOST_LOSSES:
            _give_up(f"The {what} was interrupted {start.losses} times: its worker stopped.")
        if start.waits >= MOST_WAITS:
            _give_up(
                f"The {what} has waited {start.waits} times because another system asked it to."
            )

    def _is_last_failure(self) -> bool:
        """Whether a failure of this attempt uses up the attempts. Waits are not among them."""
        most = self._mark.attempts or 0
        return most > 0 and self._before.failures + 1 >= most


def _give_up(reason: str) -> NoReturn:
    text = f"{reason} Retry it when the cause is gone."
    raise ApplicationError(text, type="Interrupted", non_retryable=True)
