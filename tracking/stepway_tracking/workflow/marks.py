"""Marks activities as steps: workflow code sets the mark, the activity's header carries it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadConverter
from temporalio.worker import (
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowOutboundInterceptor,
)
from temporalio.workflow import ActivityHandle

HEADER = "stepway-step"


@dataclass(frozen=True)
class StepMark:
    """The step that an activity runs, or rolls back if `undo` is set.

    After `slow_after` ms an attempt is marked as slow, for information only. With `beats`, the
    worker sends heartbeats for the step, so that Temporal notices a lost worker even if the step
    itself sends none.
    """

    project_id: str
    step: str
    undo: bool = False
    slow_after: int | None = None
    beats: bool = False

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
    """Record the activities that workflow code starts within this context as a step."""
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
            input.headers = {**input.headers, HEADER: mark.to_payload()}
        return super().start_activity(input)
