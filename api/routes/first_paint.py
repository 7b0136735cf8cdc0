"""Renders an initialization's page with its steps, so that they are visible before scripts run.

The web build emits one template per language from the page's components; the scripts then draw the
same live. Only callers who may read the initialization get this page.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID

from asyncpg import PostgresError
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, nodes
from starlette.requests import Request

from stepway.api.auth.guard import admit_by
from stepway.api.auth.policy import ROUTES
from stepway.api.auth.refusals import Refusal
from stepway_tracking.postgres import UNREACHABLE
from stepway_tracking.record.errors import ProjectUnknown

LANGUAGE = "stepway.language"
"""The cookie with the language that the person chose last."""

LANGUAGES = ("en", "zh")
FOLDER = "first-paint"
"""Folder of the templates in the built page."""

PATIENCE = 1.0
"""Seconds to wait for the steps; after that, send the page without them."""

SLOTS = {
    "project_id",
    "project_name",
    "progress",
    "is_open",
    "step.status",
    "step.step",
    "step.name",
}
"""The variables of each template: it must use all of them and no others."""

_READING = ROUTES["GET", "/api/projects/{project_id}/initialization"]


class TemplateUnfit(Exception):
    """A template of the built page uses other variables than SLOTS."""


class FirstPaint:
    """The templates of one built page. Raises TemplateUnfit if they do not fit this server."""

    def __init__(self, built: Path) -> None:
        folder = built / FOLDER
        self._environment = Environment(
            loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined
        )
        for language in LANGUAGES:
            file = folder / f"{language}.html"
            if wrong := _slots(self._environment, file.read_text()) ^ SLOTS:
                named = ", ".join(sorted(wrong))
                raise TemplateUnfit(
                    f"{file} does not fit this server ({named}): run scripts/web-build"
                )

    def render(self, initialization: dict[str, Any], language: str) -> str:
        """Return the HTML page with an initialization `{project, steps, progress, version}`."""
        template: Template = self._environment.get_template(f"{language}.html")
        steps = [step for step in initialization["steps"] if step["parent_step"] is None]
        return template.render(
            project_id=initialization["project"]["id"],
            project_name=initialization["project"]["name"],
            progress=int(initialization["progress"]),
            is_open=initialization["project"]["initialization_completed_at"] is None,
            steps=[
                {
                    "step": step["step"],
                    "status": step["status"],
                    "name": _display_name(step, language),
                }
                for step in steps
            ],
        )

    async def answer(self, request: Request) -> str | None:
        """Return the page for this request, or None if the steps cannot or must not be shown."""
        try:
            async with asyncio.timeout(PATIENCE):
                project_id = UUID(request.path_params["project_id"])
                await admit_by(request, _READING)
                snapshot = await request.app.state.resources.reader.snapshot(project_id)
        except (ValueError, Refusal, ProjectUnknown, *UNREACHABLE, PostgresError):
            return None
        if snapshot is None:
            return None
        return self.render(json.loads(snapshot.body), _language(request))


def is_built(built: Path) -> bool:
    """Whether the folder holds the page and its templates."""
    files = ["index.html", *(f"{FOLDER}/{language}.html" for language in LANGUAGES)]
    return all((built / file).is_file() for file in files)


def _slots(environment: Environment, source: str) -> set[str]:
    """Return the variables that a template uses: `project_id`, `step.name`…"""
    template = environment.parse(source)
    loops = [(loop.target, loop.iter) for loop in template.find_all(nodes.For)]
    of_loops = {name.name for pair in loops for name in pair if isinstance(name, nodes.Name)}
    names = {name.name for name in template.find_all(nodes.Name)} - of_loops
    parts = template.find_all(nodes.Getattr)
    return names | {
        f"{part.node.name}.{part.attr}" for part in parts if isinstance(part.node, nodes.Name)
    }


def _display_name(step: dict[str, Any], language: str) -> str:
    names = (step["metadata"] or {}).get("display_names") or {}
    return str(names.get(language) or step["display_name"] or step["step"])


def _language(request: Request) -> str:
    asked = request.cookies.get(LANGUAGE) or request.headers.get("Accept-Language", "")
    return "zh" if asked.lower().startswith("zh") else "en"
