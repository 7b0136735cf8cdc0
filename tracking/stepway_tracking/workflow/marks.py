"""Which activity is which step: set by workflow code, carried in the activity's header."""

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
    """The step that an activity is; `undo` when it takes the step back.

    After `slow_after` ms an attempt is marked slow, which changes nothing else. Where it `beats`,
    its worker heartbeats for it, so that a lost worker is noticed though the step says nothing.
    """

    project_id: str
    step: str
    undo: bool = False
    slow_after: int | None = None
    beats: bool = False

    def to_payload(self) -> Payload:
        """The header's value."""
        return PayloadConverter.default.to_payload(self)

    @staticmethod
    def of(headers: Mapping[str, Payload]) -> StepMark | None:
        """The mark in an activity's headers, if it has one."""
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
    """In workflow code: activities started within are recorded as this step of the project."""
    token = _current.set(StepMark(project_id, step, undo, slow_after, beats))
    try:
        yield
    finally:
        _current.reset(token)


class MarkingInterceptor(WorkflowInboundInterceptor):
    """Puts the mark of the code that starts an activity into the activity's header."""

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        """Wrap the outbound side."""
        super().init(_MarkingOutbound(outbound))


class _MarkingOutbound(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> ActivityHandle[Any]:
        mark = _current.get()
        if mark is not None:
            input.headers = {**input.headers, HEADER: mark.to_payload()}
        return super().start_activity(input)
