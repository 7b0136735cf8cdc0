"""The settings, from the classes that read them."""

from __future__ import annotations

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from scripts.reference.tables import table
from tracking.settings import PREFIX, Settings


def settings() -> str:
    """A row for each variable: its name, its default and its meaning."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    return table(("Variable", "Default", "Meaning"), rows)


def _row(name: str, field: FieldInfo) -> tuple[str, str, str]:
    return f"`{PREFIX}{name.upper()}`", _default(field), field.description or ""


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if value in (None, "", [], PydanticUndefined):
        return "none"
    shown = ",".join(map(str, value)) if isinstance(value, list) else value
    return f"`{shown}`"
