"""Semantic checks of a blueprint: names, graph, references, arguments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError

from stepway.blueprints.arguments import KnownSteps, accepted_arguments, argument_problems
from stepway.blueprints.bounds import bound_problems
from stepway.blueprints.host_needs import lacking
from stepway.blueprints.models import Blueprint, Step
from stepway.blueprints.schema import Problem, schema_problems
from stepway.blueprints.source import Place
from stepway.blueprints.suggestions import suggestion
from stepway.blueprints.templates import WRITTEN
from stepway.hosts.access import HostKind
from stepway.workflows.model.plan import LEFT_OUT, Graph
from stepway.workflows.model.references import Reference, ReferenceInvalid, parse, texts

PROJECT_FIELDS = ("id", "name", "owner", "blueprint")
STEP_SUPPLIED = frozenset({"project", LEFT_OUT, WRITTEN})
UNDO_SUPPLIED = frozenset({"project", "result", LEFT_OUT})


def problems(blueprint: Blueprint, known_steps: KnownSteps | None) -> Iterator[Problem]:
    """Yield each problem with its place in the file.

    Later checks rely on earlier ones: report only the first problem. Without `known_steps`,
    activities and their arguments are not checked.
    """
    for place, reason in schema_problems(blueprint.parameters):
        yield ("parameters", *place), reason
    yield from bound_problems(blueprint)
    yield from _editable(blueprint)
    yield from _names(blueprint)
    if sum(step.weight for step in blueprint.steps) == 0:
        yield ("steps",), "all weights are 0; give at least one step a weight"
    try:
        graph = Graph(blueprint.steps)
    except CycleError as error:
        yield _cycle(blueprint, error)
        return
    for index, step in enumerate(blueprint.steps):
        yield from _references(blueprint, graph, index, step)
        yield from _lacking(("steps", index), step)
        if known_steps is not None:
            yield from _activities(known_steps, ("steps", index), step)


def _lacking(place: Place, step: Step) -> Iterator[Problem]:
    """Yield what the step's host lacks. The host of a credential is known when a project starts."""
    if step.uses == "setup_gitops" and _takes_local_key(step.arguments.get("cluster")):
        yield (
            (*place, "with", "cluster", "deploy_key", "credential"),
            "setup_gitops: the local host has no deploy keys; name the credential of another host",
        )
    if step.arguments.get("credential", HostKind.LOCAL.value) != HostKind.LOCAL.value:
        return
    for inner, reason in lacking(step.uses, step.arguments, HostKind.LOCAL, references=True):
        said = f"{step.uses}: {reason}; name the credential of another host"
        yield (*place, "with", *inner), said


def _takes_local_key(cluster: object) -> bool:
    key = cluster.get("deploy_key") if isinstance(cluster, dict) else None
    return isinstance(key, dict) and key.get("credential") == HostKind.LOCAL.value


def _editable(blueprint: Blueprint) -> Iterator[Problem]:
    known = blueprint.parameter_names
    for index, name in enumerate(blueprint.editable or []):
        if name not in known:
            yield ("editable", index), f"unknown parameter {name}{suggestion(name, known)}"


def _names(blueprint: Blueprint) -> Iterator[Problem]:
    names = Counter(step.step for step in blueprint.steps)
    seen: set[str] = set()
    for index, step in enumerate(blueprint.steps):
        if step.step in seen:
            yield ("steps", index, "step"), f"the step {step.step} is defined twice"
        seen.add(step.step)
        for key, others in (("needs", step.needs), ("after", step.after)):
            for number, other in enumerate(others):
                if other not in names:
                    reason = f"unknown step {other}{suggestion(other, names)}"
                    yield ("steps", index, key, number), reason


def _cycle(blueprint: Blueprint, error: CycleError) -> Problem:
    path = error.args[1]
    index = next(i for i, step in enumerate(blueprint.steps) if step.step in path)
    start = path.index(blueprint.steps[index].step)
    turned = [*path[start:-1], *path[: start + 1]]
    key = "needs" if blueprint.steps[index].needs else "after"
    return ("steps", index, key), f"steps depend on each other: {' <- '.join(turned)}"


def _references(blueprint: Blueprint, graph: Graph, index: int, step: Step) -> Iterator[Problem]:
    before = graph.ancestors(step.step)
    yield from _in_arguments(blueprint, before, ("steps", index, "with"), step.arguments)
    if step.undo:
        place = ("steps", index, "undo", "with")
        everything = {other.step for other in blueprint.steps}
        yield from _in_arguments(blueprint, everything, place, step.undo.arguments or {})


def _in_arguments(
    blueprint: Blueprint, before: set[str], place: Place, arguments: dict[str, object]
) -> Iterator[Problem]:
    for inner, text in texts(arguments, place):
        try:
            found = [part for part in parse(text) if isinstance(part, Reference)]
        except ReferenceInvalid as error:
            yield inner, str(error)
            return
        for reference in found:
            if reason := _reference(blueprint, before, reference):
                yield inner, f"{reference}: {reason}"


def _reference(blueprint: Blueprint, before: set[str], reference: Reference) -> str | None:
    match reference.path:
        case ("parameters", name, *_):
            known = blueprint.parameter_names
            return None if name in known else f"unknown parameter {name}{suggestion(name, known)}"
        case ("project", name):
            return None if name in PROJECT_FIELDS else _no_field(name)
        case ("steps", name, "result", *_):
            return None if name in before else _not_before(blueprint, name)
    return "use parameters.NAME, project.NAME or steps.STEP.result.NAME"


def _no_field(name: str) -> str:
    return f"unknown project field {name}{suggestion(name, PROJECT_FIELDS)}"


def _not_before(blueprint: Blueprint, name: str) -> str:
    names = [step.step for step in blueprint.steps]
    if name not in names:
        return f"unknown step {name}{suggestion(name, names)}"
    return f"{name} may still be running; add it to needs or after"


def _activities(known_steps: KnownSteps, place: Place, step: Step) -> Iterator[Problem]:
    yield from _activity(known_steps, place, step.uses, step.arguments, STEP_SUPPLIED)
    if undo := step.undo:
        inherited = accepted_arguments(step.arguments, known_steps.get(undo.uses))
        given = inherited if undo.arguments is None else undo.arguments
        yield from _activity(known_steps, (*place, "undo"), undo.uses, given, UNDO_SUPPLIED)


def _activity(
    known_steps: KnownSteps,
    place: Place,
    uses: str,
    given: dict[str, object],
    supplied: frozenset[str],
) -> Iterator[Problem]:
    if uses not in known_steps:
        yield (*place, "uses"), f"unknown step type {uses}{suggestion(uses, known_steps)}"
        return
    for inner, reason in argument_problems(given, known_steps[uses], supplied):
        yield (*place, "with", *inner), f"{uses}: {reason}"
