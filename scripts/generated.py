"""Generates the web's files from Python, for `scripts/generate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stepway.api.app import create_app
from stepway.api.routes.projects import NAME
from stepway.runtime.settings import Settings
from stepway_tracking.record import facts

WEB = Path(__file__).parents[1] / "web"

SHARED = (
    "PROJECT_STATUSES",
    "END_STATUSES",
    "STEP_STATUSES",
    "DONE_STATUSES",
    "EVENT_TYPES",
    "STEP_ACTIONS",
    "SUB_STEP_ACTIONS",
    "PROJECT_ACTIONS",
    "DERIVED_PROJECT_ACTIONS",
    "ATTEMPT_OUTCOMES",
    "STEPWAY_METADATA",
    "INSERTED_STEP",
    "FEWEST_FOR_ESTIMATE",
)
"""The record's facts that the page needs."""

TYPES = {
    "ProjectStatus": "PROJECT_STATUSES",
    "EndStatus": "END_STATUSES",
    "StepStatus": "STEP_STATUSES",
    "EventType": "EVENT_TYPES",
    "AttemptOutcome": "ATTEMPT_OUTCOMES",
}
"""TypeScript types; each is the union of the values of one list."""


def generated() -> dict[Path, str]:
    """The text of each generated file, by path."""
    return {WEB / "openapi.json": openapi(), WEB / "src/api/facts.ts": typescript_facts()}


def openapi() -> str:
    """The API's OpenAPI document; it does not depend on settings."""
    schema = create_app(Settings.model_construct()).openapi()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def typescript_facts() -> str:
    """The record's facts and the pattern of project names, as TypeScript."""
    values = {name: getattr(facts, name) for name in SHARED}
    lines = ["/** Written by scripts/generate from stepway_tracking/record/facts.py. */"]
    for name, value in (values | {"PROJECT_NAME": NAME}).items():
        lines.append(f"export const {name} = {_typescript(value)}")
    for name, of in TYPES.items():
        lines.append(f"export type {name} = (typeof {of})[number]")
    return "\n".join(lines) + "\n"


def _typescript(value: Any) -> str:
    text = json.dumps(value)
    if len(text) > 100:
        text = json.dumps(value, indent=2)
    return f"{text} as const" if isinstance(value, tuple | dict) else text


if __name__ == "__main__":
    for file, text in generated().items():
        file.write_text(text)
