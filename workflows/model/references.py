"""References in a blueprint's arguments: `${{ parameters.x }}`, `${{ steps.a.result.y }}`.

A string that is one reference and nothing else stands for the value with its type; references
among other text stand for the value's text. `${{ "text" }}` stands for the text itself, whatever
it holds: so `bind` can put foreign text into arguments that `resolve` reads again, and no value
is ever taken for a reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Place = tuple[str | int, ...]

OPENING = "${{"
# Stands for an empty value beside a reference, which without it would be the whole text.
_EMPTY = '${{ "" }}'
_EXPRESSION = re.compile(
    r'\$\{\{\s*(?:(?P<path>[a-z_]\w*(?:\.[\w-]+)*)|(?P<quoted>"(?:[^"\\]|\\.)*"))\s*\}\}',
    re.ASCII | re.DOTALL | re.IGNORECASE,
)


class ReferenceInvalid(ValueError):
    """A `${{` that begins neither a reference nor a quoted text."""


@dataclass(frozen=True)
class Reference:
    """The path of one reference: `("steps", "a", "result", "y")`."""

    path: tuple[str, ...]

    def __str__(self) -> str:
        return f"{OPENING} {'.'.join(self.path)} }}}}"


def parse(text: str) -> list[str | Reference]:
    """Split a text into plain texts, no two of them side by side, and references.

    Raises ReferenceInvalid.
    """
    parts: list[str | Reference] = []
    position = 0
    while (start := text.find(OPENING, position)) >= 0:
        match = _EXPRESSION.match(text, start)
        if match is None:
            raise ReferenceInvalid(f"{_excerpt(text[start:])} is not a reference")
        if start > position:
            _append(parts, text[position:start])
        _append(parts, _expression(match))
        position = match.end()
    if position < len(text):
        _append(parts, text[position:])
    return parts


def texts(tree: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Every text in a tree, each with its place; the keys of mappings are not among them."""
    if isinstance(tree, str):
        yield place, tree
    elif isinstance(tree, Mapping):
        for key, item in tree.items():
            yield from texts(item, (*place, key))
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from texts(item, (*place, index))


def bind(tree: Any, values: Mapping[str, Any]) -> Any:
    """The tree with references to what `values` holds replaced, and all others left to `resolve`.

    Raises ReferenceInvalid.
    """
    return _map_texts(tree, lambda text: _bind_text(text, values))


def resolve(arguments: Any, results: Mapping[str, Any]) -> Any:
    """The arguments with the references to steps replaced by values from their results.

    `results` maps a step to its result. What is missing (the step was skipped) is None, or no
    text among other text. Raises ReferenceInvalid.
    """
    values = {"steps": {step: {"result": result} for step, result in results.items()}}
    return _map_texts(arguments, lambda text: _resolve_text(text, values))


def steps_named(arguments: Any) -> set[str]:
    """The steps whose results `resolve` would look for. Raises ReferenceInvalid."""
    return {
        part.path[1]
        for _, text in texts(arguments)
        for part in parse(text)
        if isinstance(part, Reference) and part.path[0] == "steps" and len(part.path) > 1
    }


def quote(tree: Any) -> Any:
    """The tree spelled so that `resolve` gives back just this tree."""
    return _map_texts(tree, _quote_text)


def _expression(match: re.Match[str]) -> str | Reference:
    if path := match["path"]:
        return Reference(tuple(path.split(".")))
    try:
        return str(json.loads(match["quoted"], strict=False))
    except ValueError:
        raise ReferenceInvalid(f"{_excerpt(match['quoted'])} is not a JSON string") from None


def _append(parts: list[str | Reference], part: str | Reference) -> None:
    if isinstance(part, str) and parts and isinstance(parts[-1], str):
        parts[-1] += part
    else:
        parts.append(part)


def _bind_text(text: str, values: Mapping[str, Any]) -> Any:
    parts = parse(text)
    match parts:
        case [Reference() as only]:
            return quote(_lookup(values, only)) if only.path[0] in values else text
    bound: list[str | Reference] = []
    for part in parts:
        known = isinstance(part, Reference) and part.path[0] in values
        _append(bound, _text(part, values) if known else part)
    if len(bound) == 1 and isinstance(bound[0], str):
        return _quote_text(bound[0])
    return "".join(str(p) if isinstance(p, Reference) else _quote_text(p) or _EMPTY for p in bound)


def _resolve_text(text: str, values: Mapping[str, Any]) -> Any:
    parts = parse(text)
    match parts:
        case [Reference() as only]:
            return _lookup(values, only)
    return "".join(_text(part, values) for part in parts)


def _quote_text(text: str) -> str:
    return f"{OPENING} {json.dumps(text)} }}}}" if OPENING in text else text


def _text(part: str | Reference, values: Mapping[str, Any]) -> str:
    value = _lookup(values, part) if isinstance(part, Reference) else part
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _lookup(values: Any, reference: Reference) -> Any:
    for name in reference.path:
        if isinstance(values, Mapping):
            values = values.get(name)
        elif isinstance(values, list) and name.isdecimal():
            values = values[int(name)] if int(name) < len(values) else None
        else:
            return None
    return values


def _map_texts(tree: Any, change: Callable[[str], Any]) -> Any:
    if isinstance(tree, str):
        return change(tree)
    if isinstance(tree, Mapping):
        return {key: _map_texts(item, change) for key, item in tree.items()}
    if isinstance(tree, list):
        return [_map_texts(item, change) for item in tree]
    return tree


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:60]}…"
