"""Changes all texts inside a value or a JSON document."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

Change = Callable[[str], str]

_JSON_TEXT = re.compile(r'"(?:[^"\\]|\\.)*+"')


def map_texts(value: Any, change: Change) -> Any:
    """Change every text in a value, keys included; return the same object if nothing changes.

    Covers JSON values, bytes, tuples, named tuples, sets, dataclasses and Pydantic models. Other
    objects stay unchanged. Raises only the errors of `change`.
    """
    if isinstance(value, str):
        return _if_changed(value, change(value))
    if isinstance(value, bytes | bytearray):
        return _bytes(value, change)
    if isinstance(value, Mapping):
        return _mapping(value, change)
    if isinstance(value, list | tuple | set | frozenset):
        return _items(value, change)
    if isinstance(value, BaseModel):
        return _model(value, change)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [each.name for each in dataclasses.fields(value) if hasattr(value, each.name)]
        return _object(value, {name: getattr(value, name) for name in names}, change)
    return value


def map_json_texts(encoded: str, change: Change) -> str:
    """Change every text in a JSON document of any depth."""

    def changed(match: re.Match[str]) -> str:
        text = json.loads(match[0])
        new = change(text)
        return match[0] if new == text else json.dumps(new)

    return _JSON_TEXT.sub(changed, encoded)


def _if_changed(before: Any, after: Any) -> Any:
    # An unchanged text keeps its class, for example a StrEnum.
    return before if before == after else after


def _bytes(value: bytes | bytearray, change: Change) -> Any:
    text = bytes(value).decode(errors="surrogateescape")
    changed = change(text)
    return value if changed == text else changed.encode(errors="surrogateescape")


def _mapping(value: Mapping[Any, Any], change: Change) -> Any:
    changed = {map_texts(name, change): map_texts(each, change) for name, each in value.items()}
    same = len(changed) == len(value) and all(
        name is new and value[name] is changed[new]
        for name, new in zip(value, changed, strict=True)
    )
    return value if same else changed


def _items(value: Any, change: Change) -> Any:
    before = list(value)
    changed = [map_texts(each, change) for each in before]
    if all(one is other for one, other in zip(before, changed, strict=True)):
        return value
    if hasattr(value, "_make"):
        return value._make(changed)
    plain = next(kind for kind in (list, tuple, frozenset, set) if isinstance(value, kind))
    return plain(changed)


def _model(value: BaseModel, change: Change) -> Any:
    parts = value.__dict__ | (value.__pydantic_extra__ or {})
    update = _changed(parts, change)
    return value.model_copy(update=update) if update else value


def _object(value: Any, parts: dict[str, Any], change: Change) -> Any:
    update = _changed(parts, change)
    if not update:
        return value
    # __init__ and __setattr__ may refuse, as in a frozen dataclass, so they are bypassed.
    made = copy.copy(value)
    for name, each in update.items():
        object.__setattr__(made, name, each)
    return made


def _changed(parts: Mapping[str, Any], change: Change) -> dict[str, Any]:
    changed = {name: map_texts(each, change) for name, each in parts.items()}
    return {name: each for name, each in changed.items() if each is not parts[name]}
