"""The fields of a blueprint, from its Pydantic models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.reference.tables import table
from stepway.blueprints.models import Blueprint

SECTIONS = {
    "Blueprint": "The file",
    "Step": "A step",
    "Retry": "`retry`",
    "Undo": "`undo`",
}


def blueprint_fields() -> str:
    """A table for each kind of object in the file."""
    schema = Blueprint.model_json_schema()
    models = {"Blueprint": schema, **schema["$defs"]}
    return "\n\n".join(_section(title, models[name]) for name, title in SECTIONS.items())


def _section(title: str, model: Mapping[str, Any]) -> str:
    required = model.get("required", [])
    rows = [
        (f"`{name}`", _default(name, field, required), field.get("description", ""))
        for name, field in model["properties"].items()
    ]
    return f"## {title}\n\n{table(('Field', 'Default', 'Meaning'), rows)}"


def _default(name: str, field: Mapping[str, Any], required: list[str]) -> str:
    if name in required:
        return "required"
    value = field.get("default")
    if value in (None, {}, []) or isinstance(value, dict):
        return "none"
    shown = str(value).lower() if isinstance(value, bool) else f"{value:g}"
    return f"`{shown}`"
