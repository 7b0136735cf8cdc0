"""Refuses steps that ask their Git host for what that kind of host lacks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from stepway.api.input_invalid import InputInvalid
from stepway.blueprints.host_needs import LOCAL, host_of, lacking
from stepway.blueprints.models import Step
from stepway.blueprints.source import Place
from stepway.vault.vault import Vault
from stepway.workflows.model.plan import PlannedStep
from stepway.workflows.model.references import Reference, parse, texts

Steps = Sequence[tuple[Step, PlannedStep]]
"""Steps as the blueprint has them, each with the plan that parameters make of it."""

InspectSteps = Callable[[str, Steps], Awaitable[None]]
"""Gets the owner of a project and steps; raises to refuse them."""


async def refuse_lacking(vault: Vault, owner: str, steps: Steps) -> None:
    """Raise InputInvalid, which names step, argument and host. No host is asked.

    A credential that does not exist, or that only the result of a step names, is left to the steps.
    """
    named = {_credential(planned) for _, planned in steps} - {LOCAL}
    kinds = await vault.kinds(owner, named) if named else {}
    errors = [error for step, planned in steps for error in _errors(step, planned, kinds)]
    if errors:
        raise InputInvalid(HTTPStatus.UNPROCESSABLE_ENTITY, errors[0]["detail"], errors)


def using(step: Step, parameters: Mapping[str, Any]) -> bool:
    """Whether an argument of a step refers to one of these parameters."""
    paths = (_paths(text) for _, text in texts(step.arguments))
    return any(path[0] in parameters for found in paths for path in found)


def _credential(planned: PlannedStep) -> str:
    return str(planned.arguments.get("credential", LOCAL))


def _errors(
    step: Step, planned: PlannedStep, kinds: Mapping[str, str | None]
) -> Iterator[dict[str, str]]:
    credential = _credential(planned)
    kind = host_of(credential, kinds)
    if kind is None:
        return
    for place, reason in lacking(planned.uses, planned.arguments, kind, references=False):
        where = ".".join(map(str, (step.step, *place)))
        parameter = _parameter(step.arguments, ("credential",)) or _parameter(step.arguments, place)
        pointer = ("parameters", *parameter) if parameter else ("blueprint",)
        remedy = f"use the credential of another host than {credential!r}"
        if place:
            remedy += f", or leave `{place[-1]}` out"
        yield {
            "name": str(parameter[0]) if parameter else where,
            "pointer": "".join(f"/{part}" for part in pointer),
            "detail": f"{where}: {reason}; {remedy}",
        }


def _parameter(arguments: Mapping[str, Any], place: Place) -> Place:
    """Return the parameter that gives what is at a place; nothing if the blueprint gives it."""
    given: Any = arguments
    for number, key in enumerate(place):
        try:
            given = given[key]
        except (KeyError, IndexError):
            return ()
        if isinstance(given, str):
            paths = _paths(given)
            return (*paths[0], *place[number + 1 :]) if len(paths) == 1 else ()
    return ()


def _paths(text: str) -> list[tuple[str, ...]]:
    """Return the parameters that a text refers to, each as a path below the parameters."""
    references = (part.path for part in parse(text) if isinstance(part, Reference))
    return [path[1:] for path in references if path[0] == "parameters" and path[1:]]
