"""An initialization as one caller sees it."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from stepway.api.auth.policy import Person
from stepway.api.commands.offers import NONE, offers
from stepway.api.dependencies import require_project
from stepway.api.resources import AppResources
from stepway.api.routes.links import link_initialization
from stepway.runtime.scopes import Scope


async def initialization_for(caller: Person, project_id: UUID, given: AppResources) -> bytes:
    """Return an initialization's JSON with links to Temporal and the caller's controls.

    Raises ProjectUnknown.
    """
    snapshot = require_project(await given.reader.snapshot(project_id), project_id)
    found: dict[str, Any] = json.loads(snapshot.body)
    controls = NONE
    if given.rules.may(caller, Scope.CONTROL, found["project"]["owner"]):
        controls = await offers(given.records, found)
    linked = link_initialization(found, given.settings)
    shown = {**linked, "controls": controls.model_dump()}
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()
