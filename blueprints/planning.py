"""Makes the plan of an initialization from a blueprint, a project and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepway.blueprints.git_template import written_fields
from stepway.blueprints.models import Blueprint, Retry, Step
from stepway.blueprints.parameters import complete_parameters
from stepway.blueprints.templates import PUSH_TEMPLATE, WRITTEN
from stepway.workflows.model.plan import Plan, PlannedStep, RetryPlan, UndoPlan
from stepway.workflows.model.queues import queue_of
from stepway.workflows.model.references import bind


def make_plan(
    blueprint: Blueprint, project: Mapping[str, str], parameters: Mapping[str, Any]
) -> Plan:
    """Return the plan of an initialization; `project` has id, name and owner.

    References to parameters and to the project are replaced by their values; references to results
    of steps stay for `stepway.workflows.model.references.resolve`. Raises ParametersInvalid.
    """
    values = {
        "parameters": complete_parameters(blueprint, parameters),
        "project": {**project, "blueprint": blueprint.name},
    }
    steps = [_planned(step, values) for step in blueprint.steps]
    title = dict(blueprint.title)
    return Plan(blueprint.name, title, steps, blueprint.time_limit, absent="omitted")


def _planned(step: Step, values: Mapping[str, Any]) -> PlannedStep:
    return PlannedStep(
        step=step.step,
        display_name=dict(step.display_name),
        uses=step.uses,
        arguments={**bind(step.arguments, values), **_written(step)},
        needs=list(step.needs),
        after=list(step.after),
        optional=step.optional,
        weight=step.weight,
        timeout=step.timeout,
        heartbeat=step.heartbeat,
        retry=_retry(step.retry),
        undo=_undo(step, values),
        queue=queue_of(step.uses, step.queue),
    )


def _written(step: Step) -> dict[str, Any]:
    if step.uses != PUSH_TEMPLATE:
        return {}
    fields = written_fields(step.arguments.get("template"))
    return {WRITTEN: fields} if fields else {}


def _retry(retry: Retry) -> RetryPlan:
    return RetryPlan(
        retry.maximum_attempts,
        retry.initial_interval,
        retry.backoff_coefficient,
        retry.longest_interval,
    )


def _undo(step: Step, values: Mapping[str, Any]) -> UndoPlan | None:
    if step.undo is None:
        return None
    given = step.arguments if step.undo.arguments is None else step.undo.arguments
    return UndoPlan(step.undo.uses, bind(given, values), step.undo.partial)
