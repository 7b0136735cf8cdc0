"""Adds links to Temporal's UI, as `temporal_url` of a project and its steps."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from stepway.runtime.api_settings import ApiSettings

Json = dict[str, Any]


def link_project(body: bytes, settings: ApiSettings) -> bytes:
    """Add the link to a project's JSON; null if no UI is configured."""
    project: Json = json.loads(body)
    return _dumped({**project, "temporal_url": temporal_url(project, settings)})


def link_steps(body: bytes, project: bytes, settings: ApiSettings) -> bytes:
    """Add the link to each of a project's steps."""
    link = temporal_url(json.loads(project), settings)
    return _dumped([{**step, "temporal_url": link} for step in json.loads(body)])


def link_initialization(found: Json, settings: ApiSettings) -> Json:
    """Return an initialization with the link at its project and at each step."""
    link = {"temporal_url": temporal_url(found["project"], settings)}
    steps = [{**step, **link} for step in found["steps"]]
    return {**found, "project": {**found["project"], **link}, "steps": steps}


def temporal_url(project: Json, settings: ApiSettings) -> str | None:
    """Return the URL of the project's current workflow run in Temporal's UI, or of its latest."""
    if not settings.temporal_ui_url:
        return None
    parts = ["namespaces", settings.temporal_namespace, "workflows", project["workflow_id"]]
    if project["run_id"]:
        parts += [project["run_id"], "history"]
    return "/".join([settings.temporal_ui_url, *(quote(part, safe="") for part in parts)])


def _dumped(found: Json | list[Json]) -> bytes:
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
