"""The shapes of an initialization's history: each a blueprint and the controls that people use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.controls import until_ended
from tests.support.servers import Json, Stepway, eventually

VALUE: Json = {"type": "object", "properties": {"value": {"type": "string", "default": "bad"}}}
NOOP: Json = {"uses": "noop"}
BROKEN: Json = {"uses": "broken"}
UNDONE: Json = {**NOOP, "undo": {"uses": "noop"}}
FIXABLE: Json = {"uses": "fixable", "with": {"value": "${{ parameters.value }}"}}
LONG: Json = {"uses": "run_command", "with": {"command": ["sleep", "60"]}}
GOOD: Json = {"parameters": {"value": "good"}}

Story = Callable[[Stepway, str], Awaitable[Any]]


@dataclass(frozen=True)
class Shape:
    """A blueprint's steps by name, and what happens once the project is there.

    No step has a folder: histories hold no path of the machine that recorded them. At
    `suggested_at` events Temporal suggests to continue as new.
    """

    steps: dict[str, Json]
    story: Story
    more: Json = field(default_factory=dict)
    suggested_at: int = 4096

    def blueprint(self, name: str) -> Json:
        """Return the blueprint in the form of the YAML file."""
        steps = [{"step": step, **given} for step, given in self.steps.items()]
        return {"name": name, "steps": steps, **self.more}


async def _succeed(stepway: Stepway, project: str) -> None:
    await stepway.until(project, "active")


async def _fix(stepway: Stepway, project: str) -> None:
    await stepway.until(project, "failed")
    await stepway.control(project, "steps/doomed/retry")
    await stepway.until_step(project, "doomed", "failed")
    await stepway.until(project, "failed")
    await stepway.control(project, "steps/doomed/retry", GOOD)
    await stepway.until(project, "active")


async def _retry_all(stepway: Stepway, project: str) -> None:
    await stepway.until(project, "failed")
    await stepway.control(project, "retry")
    await stepway.until(project, "failed")
    await stepway.control(project, "cancel")
    await until_ended(stepway, project, "cancelled")


async def _skip(stepway: Stepway, project: str) -> None:
    await stepway.until(project, "failed")
    await stepway.control(project, "steps/doomed/skip", {"reason": "not needed"})
    await stepway.until(project, "active")


async def _undo(stepway: Stepway, project: str) -> None:
    await stepway.until(project, "failed")
    await stepway.control(project, "cancel", {"undo": True})
    await until_ended(stepway, project, "cancelled")


async def _cancel_what_runs(stepway: Stepway, project: str) -> None:
    await stepway.until_step(project, "long", "running")
    await stepway.control(project, "cancel", {"undo": True})
    await until_ended(stepway, project, "cancelled")


async def _run_out_of_time(stepway: Stepway, project: str) -> None:
    await until_ended(stepway, project, "failed")


async def _continue(stepway: Stepway, project: str) -> None:
    await until_ended(stepway, project, "failed")
    await stepway.control(project, "steps/doomed/retry", GOOD)
    await stepway.until(project, "active")


async def _continue_undone(stepway: Stepway, project: str) -> None:
    await _undo(stepway, project)
    await stepway.control(project, "steps/doomed/retry", GOOD)
    await stepway.until(project, "active")


async def _continue_as_new(stepway: Stepway, project: str) -> None:
    await stepway.until(project, "failed")
    for times in (1, 2, 3):
        await stepway.control(project, "steps/doomed/retry")

        async def tried(times: int = times) -> bool:
            return len(await stepway.attempts(project, "doomed")) > times

        await eventually(tried)
        await stepway.until_step(project, "doomed", "failed")
        await stepway.until(project, "failed")
    await stepway.control(project, "steps/doomed/retry", GOOD)
    await stepway.until(project, "active")


async def _give_up(stepway: Stepway, project: str) -> None:
    await stepway.until(project, "failed")
    await stepway.control(project, "cancel")
    await until_ended(stepway, project, "cancelled")


WIDE = {f"step_{n}_".ljust(63, "x"): {**BROKEN, "needs": []} for n in range(26)}

SHAPES = {
    "plain": Shape({"a": NOOP, "b": NOOP, "c": NOOP}, _succeed),
    "plain-indexed-at-start": Shape({"a": NOOP, "b": NOOP, "c": NOOP}, _succeed),
    "retried-indexed-at-start": Shape(
        {"a": NOOP, "doomed": FIXABLE, "b": NOOP}, _fix, {"parameters": VALUE}
    ),
    "parallel": Shape(
        {
            "a": {**NOOP, "needs": []},
            "b": {**NOOP, "needs": ["a"]},
            "c": {**NOOP, "needs": ["a"]},
            "d": {**NOOP, "needs": ["b"], "after": ["c"]},
        },
        _succeed,
    ),
    "retried": Shape({"a": NOOP, "doomed": FIXABLE, "b": NOOP}, _fix, {"parameters": VALUE}),
    "retried-all": Shape(
        {"left": {**BROKEN, "needs": []}, "right": {**BROKEN, "needs": []}}, _retry_all
    ),
    "capped": Shape(WIDE, _give_up),
    "soft-skipped-as-recorded": Shape(
        {"a": {"uses": "leave"}, "b": {**NOOP, "needs": ["a"]}}, _succeed
    ),
    "cancelled-within-grace": Shape({"a": UNDONE, "long": LONG, "b": NOOP}, _cancel_what_runs),
    "continued-as-new": Shape(
        {"a": NOOP, "doomed": FIXABLE, "b": NOOP},
        _continue_as_new,
        {"parameters": VALUE},
        suggested_at=60,
    ),
    "skipped": Shape(
        {"doomed": {**BROKEN, "optional": True}, "b": {**NOOP, "needs": ["doomed"]}}, _skip
    ),
    "soft-skipped": Shape({"a": {"uses": "leave"}, "b": {**NOOP, "needs": ["a"]}}, _succeed),
    "cancelled-with-undo": Shape({"a": UNDONE, "b": UNDONE, "doomed": BROKEN, "c": NOOP}, _undo),
    "cancelled-while-running": Shape({"a": UNDONE, "long": LONG, "b": NOOP}, _cancel_what_runs),
    "time-limit": Shape({"a": NOOP, "doomed": BROKEN}, _run_out_of_time, {"time_limit": 1.0}),
    "continued": Shape(
        {"a": NOOP, "doomed": FIXABLE, "b": NOOP},
        _continue,
        {"time_limit": 2.0, "parameters": VALUE},
    ),
    "continued-after-undo": Shape(
        {"a": UNDONE, "doomed": FIXABLE, "b": NOOP}, _continue_undone, {"parameters": VALUE}
    ),
}
