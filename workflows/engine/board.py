"""Where each step stands, in the workflow's memory; the rows say the same to everyone else."""

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
        """Take changed arguments; the steps and their order stay."""
        self.steps = {step.step: step for step in plan.steps}
        self.omits_absent = plan.absent == "omitted"

    def start(self, step: str) -> None:
        """The step runs, for one more round."""
        self.rounds[step] += 1
        self._set(step, "running")

    def complete(self, step: str, result: Any) -> None:
        """The step has completed with this result."""
        self.results[step] = result
        self.finished.append(step)
        self._set(step, "completed")

    def remember(self, step: str, result: Any) -> None:
        """Take the result of a completed step from the record."""
        self.results[step] = result
        self.kept.discard(step)

    def fail(self, step: str, error: str) -> None:
        """The step has failed for good."""
        self.errors[step] = error
        self._set(step, "failed")

    def skip(self, step: str) -> None:
        """The step is left out."""
        self.errors.pop(step, None)
        self._set(step, "skipped")

    def reset(self, step: str) -> None:
        """The step is ahead again."""
        self.errors.pop(step, None)
        self.results.pop(step, None)
        self.kept.discard(step)
        if step in self.finished:
            self.finished.remove(step)
        self.reopened.discard(step)
        self._set(step, "pending")

    def having(self, *states: StepStatus) -> list[str]:
        """The steps in one of these states, in order."""
        return [step for step in self.graph.order if self.states[step] in states]

    def retried_by_all(self, *, ended: bool) -> list[str]:
        """What a retry of all retries: the failed steps; after the end, all uncompleted steps."""
        return self.having("failed", "skipped", "pending") if ended else self.having("failed")

    def runs_again(self, chosen: list[str]) -> tuple[list[str], list[str]]:
        """What a retry of these steps runs, and the steps whose rows must begin anew for it."""
        runs, _ = self.graph.runs_on_retry(self.states, chosen)
        anew = self.reopened | {step for step in runs if self.states[step] != "pending"}
        return runs, [step for step in self.graph.order if step in anew]

    def failures(self) -> str:
        """What failed and why, a line a step."""
        return "\n".join(
            f"{self.title(step)}: {self.errors.get(step, '')}" for step in self.having("failed")
        )

    def change_id(self, step: str, action: str) -> str:
        """What a change of a step is called: the same in whatever order changes are written."""
        return f"{step}/{self.rounds[step]}/{action}"

    def title(self, step: str) -> str:
        """A step's name for people."""
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
    """English if there is any, else the first language there is."""
    return texts.get("en") or next(iter(texts.values()), "")
