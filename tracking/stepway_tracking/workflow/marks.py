"""Marks activities as steps: workflow code sets the mark, the activity's header carries it.

The worker holds a step to its limits, because Temporal's own timeouts and attempts would also count
the time that the record waits for Postgres and the attempts that a worker loses. So the mark
carries the activity's limits, and Temporal gets those of the worker.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.common import RetryPolicy
from temporalio.converter import PayloadConverter
from temporalio.worker import (
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowOutboundInterceptor,
)
from temporalio.workflow import ActivityHandle

from stepway_tracking.record.facts import MOST_LOSSES, MOST_WAITS

HEADER = "stepway-step"

WORKER_SILENCE = timedelta(seconds=15)
"""Time without a heartbeat after which Temporal gives a step to another worker."""

SHORTEST_SILENCE = timedelta(seconds=4)
"""The shortest such time that a step's own heartbeat timeout makes: a worker whose event loop is
blocked needs that long until it sends heartbeats from a thread."""

OUTAGE_LIMIT = timedelta(days=1)
"""How long the start or the end of a step waits for Postgres before the step fails."""


@dataclass(frozen=True)
class StepMark:
    """The step that an activity runs, or rolls back if `undo` is set.

    After `slow_after` ms an attempt is marked as slow, for information only. With `beats`, the
    worker sends heartbeats for the step, so that Temporal notices a lost worker even if the step
    itself sends none.

    `timeout` and `heartbeat` are the seconds that the step's code may take and may be silent.
    `attempts` is how many attempts may fail, 0 means any number; lost attempts are not among them.
    Without `attempts` they are counted by Temporal. The worker holds an activity to no limit if it
    was scheduled before marks had limits, or without a heartbeat timeout.
    """

    project_id: str
    step: str
    undo: bool = False
    slow_after: int | None = None
    beats: bool = False
    timeout: float | None = None
    heartbeat: float | None = None
    attempts: int | None = None

    def to_payload(self) -> Payload:
        """Encode the mark as the header's value."""
        return PayloadConverter.default.to_payload(self)

    @staticmethod
    def of(headers: Mapping[str, Payload]) -> StepMark | None:
        """The mark in an activity's headers; None if there is none."""
        payload = headers.get(HEADER)
        return PayloadConverter.default.from_payload(payload, StepMark) if payload else None


_current: ContextVar[StepMark | None] = ContextVar("stepway_mark", default=None)


@contextmanager
def tracked(
    project_id: str,
    step: str,
    *,
    undo: bool = False,
    slow_after: int | None = None,
    beats: bool = False,
) -> Iterator[None]:
    """Record the activities that workflow code starts within this context as a step.

    If the activity has a heartbeat timeout, its `start_to_close_timeout`, `heartbeat_timeout` and
    `maximum_attempts` hold for the step's own code: the worker enforces them, and the time that the
    record waits for Postgres and the attempts that workers lose do not count. With `beats`, the
    worker heartbeats for the step, and the heartbeat timeout is not the step's. Without a heartbeat
    timeout, Temporal enforces the timeout and counts everything.
    """
    token = _current.set(StepMark(project_id, step, undo, slow_after, beats))
    try:
        yield
    finally:
        _current.reset(token)


class MarkingInterceptor(WorkflowInboundInterceptor):
    """Writes the current mark into the header of each activity that workflow code starts."""

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        """Wrap the outbound side."""
        super().init(_MarkingOutbound(outbound))


class _MarkingOutbound(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> ActivityHandle[Any]:
        mark = _current.get()
        if mark is not None:
            if mark.beats or input.heartbeat_timeout is not None:
                mark = _with_limits(mark, input)
                _give_limits_of_worker(input, mark)
            input.headers = {**input.headers, HEADER: mark.to_payload()}
        return super().start_activity(input)


def _with_limits(mark: StepMark, input: StartActivityInput) -> StepMark:
    policy = input.retry_policy
    return replace(
        mark,
        beats=True,
        timeout=_seconds(input.start_to_close_timeout),
        heartbeat=None if mark.beats else _seconds(input.heartbeat_timeout),
        attempts=policy.maximum_attempts if policy else 0,
    )


def _give_limits_of_worker(input: StartActivityInput, mark: StepMark) -> None:
    if input.start_to_close_timeout is not None:
        # The start and the end may each wait for Postgres; this ends what no worker ends.
        input.start_to_close_timeout += 2 * OUTAGE_LIMIT + timedelta(hours=1)
    input.heartbeat_timeout = WORKER_SILENCE
    if mark.heartbeat is not None:
        input.heartbeat_timeout = max(SHORTEST_SILENCE, timedelta(seconds=mark.heartbeat))
    if mark.attempts:
        policy = input.retry_policy or RetryPolicy()
        most = mark.attempts + 2 * MOST_LOSSES + MOST_WAITS
        input.retry_policy = replace(policy, maximum_attempts=most)


def _seconds(time: timedelta | None) -> float | None:
    return None if time is None else time.total_seconds()
