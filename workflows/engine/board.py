"""The state of each step in the workflow's memory. The rows show the same to everyone else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from stepway.workflows.model.messages import Continued, Resumed
from stepway.workflows.model.plan import Graph, Plan, PlannedStep
from stepway_tracking.record.facts import StepStatus


class Board:
    """The state of one initialization; every change sets `changed`, which wakes the workflow."""

    def __init__(
        self,
        plan: Plan,
        resumed: Resumed | None,
        clock: Callable[[], datetime],
        continued: Continued | None = None,
    ) -> None:
        self.steps: dict[str, PlannedStep] = {}
        self.replace_plan(plan)
        self.graph = Graph(plan.steps)
        self.states: dict[str, StepStatus] = dict.fromkeys(self.steps, "pending")
        self.since: dict[str, datetime] = {}
        self.results: dict[str, Any] = {}
        self.errors: dict[str, str] = {}
        self.rounds: dict[str, int] = dict.fromkeys(self.steps, 0)
        self.finished: list[str] = []
        self.reopened: set[str] = set()
        self.kept: set[str] = set()
        self.changed = True
        self._clock = clock
        if resumed:
            self._resume(resumed)
        if continued:
            self._continue(continued)

    def replace_plan(self, plan: Plan) -> None:
        """Replace the arguments of steps; steps and order stay the same."""
        self.steps = {step.step: step for step in plan.steps}
        self.omits_absent = plan.absent == "omitted"

    def start(self, step: str) -> None:
        """Mark a step as running, in its next round."""
        self.rounds[step] += 1
        self._set(step, "running")

    def complete(self, step: str, result: Any) -> None:
        """Mark a step as completed with this result."""
        self.results[step] = result
        self.finished.append(step)
        self._set(step, "completed")

    def remember(self, step: str, result: Any) -> None:
        """Take the result of a completed step from the record."""
        self.results[step] = result
        self.kept.discard(step)

    def fail(self, step: str, error: str) -> None:
        """Mark a step as failed: no further attempt follows."""
        self.errors[step] = error
        self._set(step, "failed")

    def skip(self, step: str) -> None:
        """Mark a step as skipped."""
        self.errors.pop(step, None)
        self._set(step, "skipped")

    def reset(self, step: str) -> None:
        """Mark a step as pending again."""
        self.errors.pop(step, None)
        self.results.pop(step, None)
        self.kept.discard(step)
        if step in self.finished:
            self.finished.remove(step)
        self.reopened.discard(step)
        self._set(step, "pending")

    def having(self, *states: StepStatus) -> list[str]:
        """Return the steps in one of these states, in order."""
        return [step for step in self.graph.order if self.states[step] in states]

    def retried_by_all(self, *, ended: bool) -> list[str]:
        """What a retry of all retries: the failed steps; after the end, all uncompleted steps."""
        return self.having("failed", "skipped", "pending") if ended else self.having("failed")

    def runs_again(self, chosen: list[str]) -> tuple[list[str], list[str]]:
        """Return the steps that a retry of these runs, and those whose rows it resets."""
        runs, _ = self.graph.runs_on_retry(self.states, chosen)
        anew = self.reopened | {step for step in runs if self.states[step] != "pending"}
        return runs, [step for step in self.graph.order if step in anew]

    def failures(self) -> str:
        """Return the failed steps with their errors, one line per step."""
        return "\n".join(
            f"{self.title(step)}: {self.errors.get(step, '')}" for step in self.having("failed")
        )

    def change_id(self, step: str, action: str) -> str:
        """Return the ID of a step's change; it does not depend on the order of writes."""
        return f"{step}/{self.rounds[step]}/{action}"

    def title(self, step: str) -> str:
        """Return the display name of a step."""
        return default_text(self.steps[step].display_name)

    def _set(self, step: str, state: StepStatus) -> None:
        self.states[step] = state
        self.since[step] = self._clock()
        self.changed = True

    def _resume(self, resumed: Resumed) -> None:
        self.reopened = set(resumed.reopened)
        self.kept = set(resumed.kept)
        for step in self.graph.order:
            match resumed.states.get(step):
                case "completed":
                    self.complete(step, resumed.results.get(step))
                case "failed":
                    self.fail(step, resumed.errors.get(step, ""))
                case "skipped":
                    self.skip(step)
                case "running":
                    self._set(step, "running")
        in_order = [step for step in resumed.finished if step in self.finished]
        self.finished = [*in_order, *(one for one in self.finished if one not in in_order)]

    def _continue(self, continued: Continued) -> None:
        self._resume(continued.stood)
        self.rounds.update(continued.rounds)
        self.finished = [*continued.finished]
        self.since = {step: datetime.fromisoformat(at) for step, at in continued.since.items()}


def default_text(texts: dict[str, str]) -> str:
    """Return the English text, or the first one if there is none."""
    return texts.get("en") or next(iter(texts.values()), "")
