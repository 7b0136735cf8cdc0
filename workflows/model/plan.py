"""The plan of one initialization, and the graph of its steps. Pure."""

# Annotations stay types here: as text, the data converter would evaluate them for each value anew.
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from typing import Any, Protocol

from stepway_tracking.record.facts import DONE_STATUSES, StepStatus

LEFT_OUT = "absent_references"
"""The argument that names what was left out of lists: `{"command.2": "parameters.tag"}`."""

States = Mapping[str, StepStatus]
_UNFINISHED = ("pending", "failed", "skipped")


@dataclass(frozen=True)
class RetryPlan:
    """Like Temporal's RetryPolicy: intervals in seconds; 0 attempts means no limit."""

    maximum_attempts: int = 3
    initial_interval: float = 1.0
    backoff_coefficient: float = 2.0
    maximum_interval: float = 100.0


@dataclass(frozen=True)
class UndoPlan:
    """The activity that rolls a step back; its arguments may refer to the step's own result.

    If `partial`, it also rolls back a step that has failed or was stopped, without a result.
    """

    uses: str
    arguments: dict[str, Any] = field(default_factory=dict)
    partial: bool = False


@dataclass(frozen=True)
class PlannedStep:
    """One step; `arguments` still hold references to results of steps, for `resolve`.

    `display_name` is text per language. `timeout` and `heartbeat` are seconds an attempt may
    take, and may be silent. `queue` is empty for the task queue of the initialization itself, see
    stepway.workflows.model.queues.
    """

    step: str
    display_name: dict[str, str]
    uses: str
    arguments: dict[str, Any] = field(default_factory=dict)
    needs: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    optional: bool = False
    weight: int = 1
    timeout: float = 600.0
    heartbeat: float | None = None
    retry: RetryPlan = field(default_factory=RetryPlan)
    undo: UndoPlan | None = None
    queue: str = ""


@dataclass(frozen=True)
class Plan:
    """The steps of an initialization; `time_limit` is in seconds, for all of them.

    `absent` says what becomes of an argument that refers to no value: it is left out (`omitted`),
    or None (`null`) in plans that were made before there was this field.
    """

    blueprint: str
    title: dict[str, str]
    steps: list[PlannedStep]
    time_limit: float
    absent: str = "null"


class Node(Protocol):
    """The fields of a step that the graph reads."""

    @property
    def step(self) -> str: ...
    @property
    def needs(self) -> list[str]: ...
    @property
    def after(self) -> list[str]: ...


def order(plan: Plan) -> list[str]:
    """Sort the steps by their dependencies, otherwise in the blueprint's order."""
    return Graph(plan.steps).order


class Graph:
    """The dependencies between steps. Raises graphlib.CycleError for a cycle.

    A step starts when each of its `needs` is completed and each of its `after` has ended,
    completed or skipped; so all steps before it, near or far, have ended by then.
    """

    def __init__(self, steps: Sequence[Node]) -> None:
        self.needs = {node.step: set(node.needs) for node in steps}
        self.after = {node.step: set(node.after) for node in steps}
        self.waits_for = {step: self.needs[step] | self.after[step] for step in self.needs}
        self.order = _topological(self.waits_for)
        position = {step: number for number, step in enumerate(self.order)}
        self._needs_in_order = {
            step: sorted(needs, key=position.__getitem__) for step, needs in self.needs.items()
        }

    def ready(self, states: States) -> list[str]:
        """Return the pending steps that may start now."""
        return [
            step
            for step in self.order
            if self._is_next(step, states)
            and all(states[need] == "completed" for need in self.needs[step])
        ]

    def to_skip(self, states: States) -> dict[str, str]:
        """Return the pending steps that need a skipped step, each with the reason."""
        states = dict(states)
        reasons: dict[str, str] = {}
        for step in self.order:
            skipped = [need for need in self._needs_in_order[step] if states[need] == "skipped"]
            if skipped and self._is_next(step, states):
                reasons[step] = f"needs {_listed(skipped)}, which {_was(skipped)} skipped"
                states[step] = "skipped"
        return reasons

    def blocked(self, states: States) -> dict[str, list[str]]:
        """Return the pending steps that depend on failed ones, each with those failed steps."""
        behind: dict[str, set[str]] = {}
        for step in self.order:
            behind[step] = {step} if states[step] == "failed" else set()
            if states[step] == "pending":
                behind[step].update(*(behind[other] for other in self.waits_for[step]))
        return {
            step: [other for other in self.order if other in behind[step]]
            for step in self.order
            if states[step] == "pending" and behind[step]
        }

    def ancestors(self, step: str) -> set[str]:
        """Return all steps that end before this one starts."""
        found: set[str] = set()
        waiting = [step]
        while waiting:
            new = self.waits_for[waiting.pop()] - found
            found |= new
            waiting.extend(new)
        return found

    def followers(self, step: str) -> list[str]:
        """Return all steps that depend on this one, directly or indirectly, in order."""
        found = {step}
        for other in self.order:
            if self.waits_for[other] & found:
                found.add(other)
        return [other for other in self.order if other in found and other != step]

    def runs_on_retry(self, states: States, steps: Iterable[str]) -> tuple[list[str], list[str]]:
        """Return the steps that a retry of these runs, and the completed ones it keeps, in order.

        It runs these steps, those that waited for them alone, and all others that are pending and
        free to run, as after the end of an initialization.

        A follower that also waits for another failed step, or needs one that stays skipped,
        does not run.
        """
        chosen = set(steps)
        affected = chosen.union(*(self.followers(step) for step in chosen))
        completes = self._completes(states, chosen, affected)
        affected |= {step for step in self.order if states[step] == "pending"}
        runs = [s for s in self.order if s in completes & affected and states[s] in _UNFINISHED]
        keeps = [s for s in self.order if states[s] == "completed" and s not in runs]
        return runs, keeps

    def _is_next(self, step: str, states: States) -> bool:
        """Return whether a step is pending and all its dependencies have ended."""
        return states[step] == "pending" and all(
            states[other] in DONE_STATUSES for other in self.waits_for[step]
        )

    def _completes(self, states: States, chosen: set[str], affected: set[str]) -> set[str]:
        """Return the steps that will be completed if no further step fails."""
        completes: set[str] = set()
        ends: set[str] = set()
        for step in self.order:
            state = states[step]
            undecided = state == "pending" or (state == "skipped" and step in affected)
            free = undecided and self.waits_for[step] <= ends
            certain = state in ("completed", "running") or step in chosen
            if certain or (free and self.needs[step] <= completes):
                completes.add(step)
            if state == "skipped" or free or step in completes:
                ends.add(step)
        return completes


def _topological(waits_for: Mapping[str, set[str]]) -> list[str]:
    index = {step: number for number, step in enumerate(waits_for)}
    names = list(waits_for)
    sorter = TopologicalSorter(waits_for)
    sorter.prepare()
    ready: list[int] = []
    ordered: list[str] = []
    while sorter.is_active():
        for step in sorter.get_ready():
            heappush(ready, index[step])
        step = names[heappop(ready)]
        ordered.append(step)
        sorter.done(step)
    return ordered


def _listed(names: list[str]) -> str:
    return " and ".join(", ".join(names).rsplit(", ", 1))


def _was(names: list[str]) -> str:
    return "was" if len(names) == 1 else "were"
