"""The parts that an attempt at a step and an attempt at its rollback share."""

from __future__ import annotations

from collections.abc import Callable

from temporalio import activity
from temporalio.converter import DataConverter

from stepway_tracking.record.store import Store
from stepway_tracking.worker.attempt_writer import AttemptWriter
from stepway_tracking.worker.limits import StepLimits
from stepway_tracking.workflow.marks import StepMark


class RecordedAttempt:
    """An attempt whose changes are written to the record.

    `heartbeat` repeats the attempt's last heartbeat; it is called while Postgres is unreachable.
    `limits` run the activity's code.
    """

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
