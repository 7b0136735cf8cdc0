"""The parameters of a retry, and the plan that is made with them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from stepway.api.commands.records import ProjectRecord
from stepway.blueprints.errors import ParameterError, ParametersInvalid
from stepway.blueprints.models import Blueprint
from stepway.blueprints.parameters import changed_parameters
from stepway.blueprints.planning import make_plan
from stepway.vault.redaction import REDACTED
from stepway.vault.sealing import SealedParameters, hide_seals
from stepway.workflows.model import messages
from stepway.workflows.model.messages import Retry
from stepway.workflows.model.plan import Plan


class RetryParameters:
    """Reads a project's parameters and applies the changes that a retry asks for."""

    def __init__(self, sealed: SealedParameters) -> None:
        self._sealed = sealed

    def with_changes(
        self,
        retry: Retry,
        project: ProjectRecord,
        parameters: Mapping[str, Any],
        newest: dict[str, Any] | None = None,
    ) -> Retry:
        """Return the retry with the changed parameters and their plan. Raises ParametersInvalid.

        `newest` are the parameters of the project's workflow, if the record's are behind.
        """
        shown = _as_shown(project.parameters)
        # A secret that comes back as it was shown has not changed.
        given = {
            name: value
            for name, value in parameters.items()
            if not (_is_hidden(value) and value == shown.get(name))
        }
        if not given:
            return retry
        before = newest if newest is not None else self.present(project, given)
        blueprint = Blueprint.model_validate(project.definition)
        changed = changed_parameters(blueprint, before, given, lost=lost(project))
        changes = {
            name: {"from": before.get(name), "to": value}
            for name, value in changed.items()
            if value != before.get(name)
        }
        plan = plan_of(project, changed)
        based_on = messages.digest(before)
        return replace(retry, parameters=changed, plan=plan, changes=changes, based_on=based_on)

    def present(self, project: ProjectRecord, given: Collection[str] = ()) -> dict[str, Any]:
        """Return the project's parameters; the retry replaces the ones named in `given`.

        Raises ParametersInvalid for the others that an earlier version has stored as "[redacted]".
        """
        missing = [name for name in lost(project) if name not in given]
        if missing:
            detail = (
                f"was stored as {REDACTED} by an earlier version: give it again, with the retry "
                "of a step"
            )
            raise ParametersInvalid([ParameterError(name, f"/{name}", detail) for name in missing])
        return self._sealed.reveal(str(project.id), project.parameters)


def lost(project: ProjectRecord) -> list[str]:
    """Return the parameters that an earlier version has stored as "[redacted]"."""
    return [name for name, value in project.parameters.items() if _is_hidden(value)]


def plan_of(project: ProjectRecord, parameters: Mapping[str, Any]) -> Plan:
    """Return the plan of the project's blueprint with these parameters."""
    reference = {"id": str(project.id), "name": project.name, "owner": project.owner}
    return make_plan(Blueprint.model_validate(project.definition), reference, parameters)


def _is_hidden(value: Any) -> bool:
    return REDACTED in json.dumps(value, ensure_ascii=False)


def _as_shown(parameters: Mapping[str, Any]) -> dict[str, Any]:
    shown = hide_seals(json.dumps(parameters).encode())
    return dict(json.loads(shown))
