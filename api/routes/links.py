"""Links from an answer to Temporal's UI, as `temporal_url` of a project and of its steps."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from stepway.runtime.api_settings import ApiSettings

Json = dict[str, Any]


def link_project(body: bytes, settings: ApiSettings) -> bytes:
    """A project's JSON with its link; null where the UI's address is not set."""
    project: Json = json.loads(body)
    return _dumped({**project, "temporal_url": temporal_url(project, settings)})


def link_steps(body: bytes, project: bytes, settings: ApiSettings) -> bytes:
    """The JSON of a project's steps, each with its link."""
    link = temporal_url(json.loads(project), settings)
    return _dumped([{**step, "temporal_url": link} for step in json.loads(body)])


def link_initialization(body: bytes, settings: ApiSettings) -> bytes:
    """An initialization's JSON with the links of the project and of each step."""
    found: Json = json.loads(body)
    link = {"temporal_url": temporal_url(found["project"], settings)}
    steps = [{**step, **link} for step in found["steps"]]
    return _dumped({**found, "project": {**found["project"], **link}, "steps": steps})


def temporal_url(project: Json, settings: ApiSettings) -> str | None:
    """Where Temporal's UI shows the project's workflow: the run of now, else the latest."""
    if not settings.temporal_ui_url:
        return None
    parts = ["namespaces", settings.temporal_namespace, "workflows", project["workflow_id"]]
    if project["run_id"]:
        parts += [project["run_id"], "history"]
    return "/".join([settings.temporal_ui_url, *(quote(part, safe="") for part in parts)])


def _dumped(found: Json | list[Json]) -> bytes:
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
