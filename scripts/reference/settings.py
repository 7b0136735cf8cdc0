"""The settings, from their Pydantic classes."""

from __future__ import annotations

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from scripts.reference.tables import table
from stepway.runtime.api_settings import ApiSettings
from stepway.runtime.client_settings import ClientSettings
from stepway.runtime.server_settings import ServerSettings
from stepway.runtime.setting_types import PREFIX, RoleSettings
from stepway.runtime.worker_settings import WorkerSettings

ROLES: dict[str, type[RoleSettings]] = {
    "Servers and keys: every role but the client commands": ServerSettings,
    "Workers and the API": WorkerSettings,
    "The API": ApiSettings,
    "Client commands": ClientSettings,
}


def settings() -> str:
    """A table of variables for each role."""
    sections = []
    seen: set[str] = set()
    for title, role in ROLES.items():
        own = {name: field for name, field in role.model_fields.items() if name not in seen}
        seen |= own.keys()
        rows = [_row(name, field) for name, field in own.items()]
        sections.append(f"## {title}\n\n{table(('Variable', 'Default', 'Meaning'), rows)}")
    return "\n\n".join(sections)


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
