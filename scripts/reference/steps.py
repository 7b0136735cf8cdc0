"""The built-in steps: arguments, results and rollbacks, from the code of the activities."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from inspect import getdoc
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from sqlalchemy.ext.asyncio import create_async_engine

from scripts.reference.tables import table
from stepway.activities.registry import Resources, load_steps
from stepway.activities.repository.target import OnRepository
from stepway.blueprints.arguments import input_types
from stepway.runtime.settings import Settings
from stepway_tracking.record.progress import Skipped

GROUPS: dict[str, dict[str, str | None]] = {
    "Repository and template": {
        "resolve_credentials": None,
        "create_repository": "delete_repository",
        "push_template": "withdraw_template",
        "open_pull_request": "close_pull_request",
        "run_command": None,
    },
    "Settings of a repository": {
        "create_environments": "delete_environments",
        "add_collaborators": "remove_collaborators",
        "protect_branch": "unprotect_branch",
        "create_secrets": "delete_secrets",
        "create_webhook": "delete_webhook",
        "dispatch_pipeline": None,
    },
    "Deployment": {
        "setup_gitops": "remove_manifests",
        "apply_manifests": "delete_manifests",
        "wait_for_ready": None,
    },
    "Records and other systems": {
        "create_db_records": "delete_db_records",
        "finalize": None,
        "http_request": None,
        "simulate": None,
    },
}
"""Each step with the activity that rolls it back."""

SUPPLIED = {"project", "result", "absent_references", "template_written"}
"""Arguments that Stepway sets."""

_HIDDEN = re.compile(r"[^.]*`(absent_references|template_written)`[^.]*\.")
"""A sentence about one of them."""

_SHARED = [field.name for field in fields(OnRepository)]
_WORDS = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    dict: "mapping",
    Any: "any value",
}
_MANY = {"text": "texts", "whole number": "whole numbers", "mapping": "mappings"}


def built_in_steps() -> str:
    """A section for each group of steps. Raises ValueError for a step that is in none."""
    engine = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    steps = load_steps(Resources(Settings(step_modules=[]), engine))
    listed = {name for group in GROUPS.values() for pair in group.items() for name in pair if name}
    if listed != set(steps):
        raise ValueError(f"GROUPS and the built-in steps differ: {sorted(listed ^ set(steps))}")
    parts, shown = [_repository()], dict[type[Any], str]()
    for title, group in GROUPS.items():
        parts.append(f"## {title}")
        parts += [_step(name, undo, steps, shown) for name, undo in group.items()]
    return "\n\n".join(parts)


def _repository() -> str:
    return (
        "## The repository of a step\n\n"
        "All steps that work on a repository take these arguments.\n\n"
        f"{_said(OnRepository)}\n\n{_arguments(OnRepository, [])}"
    )


def _step(
    name: str,
    undo: str | None,
    steps: Mapping[str, Callable[..., Any]],
    shown: dict[type[Any], str],
) -> str:
    given = input_types(steps)[name]
    assert given is not None
    is_on = issubclass(given, OnRepository)
    parts = [f"### `{name}`", f"{_said(steps[name])} {_said(given)}"]
    if is_on:
        parts.append("Works on [the repository of the step](#the-repository-of-a-step).")
    parts += [
        _arguments(given, _SHARED if is_on else []),
        *_nested(name, given, shown),
        *_result(steps[name]),
        f"**Rollback** `{undo}`: {_said(steps[undo])}" if undo else "**Rollback**: none.",
    ]
    return "\n\n".join(part for part in parts if part)


def _arguments(given: type[Any], known: list[str]) -> str:
    hints = get_type_hints(given)
    rows = [
        (f"`{field.name}`", _type(hints[field.name]), _default(field))
        for field in fields(given)
        if field.name not in SUPPLIED and field.name not in known
    ]
    return table(("Argument", "Type", "Default"), rows) if rows else ""


def _nested(step: str, given: type[Any], shown: dict[type[Any], str]) -> Iterator[str]:
    """A table for each argument that is a mapping with fields, or a list of them.

    `shown` are those that another step has shown, with its name.
    """
    hints = get_type_hints(given)
    for field in fields(given):
        if field.name in SUPPLIED:
            continue
        for found in _mappings(hints[field.name]):
            if other := shown.get(found):
                yield f"Fields of `{field.name}`: as in [`{other}`](#{other})."
                continue
            shown[found] = step
            yield f"Fields of `{field.name}`: {_said(found)}\n\n{_arguments(found, [])}"


def _mappings(hint: Any) -> Iterator[type[Any]]:
    if is_dataclass(hint) and isinstance(hint, type):
        yield hint
    for part in get_args(hint):
        yield from _mappings(part)


def _result(step: Callable[..., Any]) -> Iterator[str]:
    found = get_type_hints(step)["return"]
    for made in get_args(found) or (found,):
        if made is Skipped:
            continue
        hints = get_type_hints(made)
        rows = [(f"`{field.name}`", _type(hints[field.name])) for field in fields(made)]
        yield f"**Result**: {_said(made)}\n\n{table(('Field', 'Type'), rows)}"


def _said(thing: Any) -> str:
    """The docstring, for readers who do not know the code."""
    text = _HIDDEN.sub("", " ".join((getdoc(thing) or "").split()))
    text = re.sub(r"\bNone\b", "null", text)
    text = text.replace("Raises step_error that", "Fails with an error that")
    return re.sub(r"Raises step_error\b", "Fails", text)


def _type(hint: Any) -> str:
    if isinstance(hint, type) and issubclass(hint, Enum):
        return ", ".join(f"`{one.value}`" for one in hint)
    if is_dataclass(hint):
        return f"mapping ({', '.join(f'`{field.name}`' for field in fields(hint))})"
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        *most, last = (f"`{part}`" for part in parts)
        return f"{', '.join(most)} or {last}"
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_type(p) for p in parts if p is not NoneType))
    if origin is list:
        inner = _type(parts[0])
        return f"list of {re.sub(r'text|whole number|mapping', lambda one: _MANY[one[0]], inner)}"
    if origin is dict:
        inner = _type(parts[1])
        return "mapping" if parts[1] is Any else f"mapping of names to: {inner}"
    return _WORDS[hint]


def _default(field: Field[Any]) -> str:
    value = field.default
    if field.default_factory is not MISSING:
        value = field.default_factory()
    if value is MISSING:
        return "required"
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return ", ".join(f"`{one}`" for one in value)
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
