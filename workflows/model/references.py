"""References in a blueprint's arguments: `${{ parameters.x }}`, `${{ steps.a.result.y }}`.

A string that is one reference and nothing else stands for the value with its type; references
among other text stand for the value's text, as `text_of` makes it. Where there is no value (a
parameter that nobody gave, the result of a skipped step), the argument or list item is left out,
and other text gets none. `${{ "text" }}` stands for the text itself, whatever
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


# What a reference stands for where there is no value; JSON's null is a value.
_ABSENT = object()


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
    """Yield every text in a tree with its path, except the keys of mappings."""
    if isinstance(tree, str):
        yield place, tree
    elif isinstance(tree, Mapping):
        for key, item in tree.items():
            yield from texts(item, (*place, key))
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from texts(item, (*place, index))


def bind(tree: Any, values: Mapping[str, Any]) -> Any:
    """Replace the references to `values` in a tree, and leave all others to `resolve`.

    An absent item of a list is left to `resolve` too, which can name it. Raises ReferenceInvalid.
    """
    return _present(_map_texts(tree, lambda text, place: _bind_text(text, place, values)))


def resolve(arguments: Any, results: Mapping[str, Any]) -> Any:
    """Replace the references to steps in the arguments with values from their results.

    `results` maps a step to its result. What is absent is None: the rule of plans whose `absent`
    is `null`. Raises ReferenceInvalid.
    """
    values = _of_steps(results)
    return _map_texts(arguments, lambda text, _: _present(_resolve_text(text, values)))


def resolve_present(arguments: Any, results: Mapping[str, Any]) -> tuple[Any, dict[str, str]]:
    """Like `resolve`, without absent values; also return the omitted items of lists.

    These are given by place: `{"command.2": "parameters.tag"}`. Raises ReferenceInvalid.
    """
    values = _of_steps(results)
    left_out: dict[str, str] = {}

    def change(text: str, place: Place) -> Any:
        value = _resolve_text(text, values)
        if value is _ABSENT and place and isinstance(place[-1], int):
            (reference,) = parse(text)
            assert isinstance(reference, Reference)
            left_out[".".join(map(str, place))] = ".".join(reference.path)
        return value

    return _present(_map_texts(arguments, change)), left_out


def text_of(value: Any) -> str:
    """Convert a value to text: JSON, except for strings, and "" for None."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def steps_named(arguments: Any) -> set[str]:
    """Return the steps whose results `resolve` reads. Raises ReferenceInvalid."""
    return {
        part.path[1]
        for _, text in texts(arguments)
        for part in parse(text)
        if isinstance(part, Reference) and part.path[0] == "steps" and len(part.path) > 1
    }


def quote(tree: Any) -> Any:
    """Quote a tree, so that `resolve` returns the same tree."""
    return _map_texts(tree, lambda text, _: _quote_text(text))


def _of_steps(results: Mapping[str, Any]) -> dict[str, Any]:
    return {"steps": {step: {"result": result} for step, result in results.items()}}


def _present(value: Any) -> Any:
    return None if value is _ABSENT else value


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


def _bind_text(text: str, place: Place, values: Mapping[str, Any]) -> Any:
    parts = parse(text)
    match parts:
        case [Reference() as only]:
            if only.path[0] not in values:
                return text
            value = _lookup(values, only)
            in_list = bool(place) and isinstance(place[-1], int)
            return text if value is _ABSENT and in_list else quote(value)
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
    return text_of(_present(_lookup(values, part))) if isinstance(part, Reference) else part


def _lookup(values: Any, reference: Reference) -> Any:
    for name in reference.path:
        if isinstance(values, Mapping):
            values = values.get(name, _ABSENT)
        elif isinstance(values, list) and name.isdecimal():
            values = values[int(name)] if int(name) < len(values) else _ABSENT
        else:
            return _ABSENT
    return values


def _map_texts(tree: Any, change: Callable[[str, Place], Any], place: Place = ()) -> Any:
    """Change each text in a tree; omit the values that become absent."""
    if isinstance(tree, str):
        return change(tree, place)
    if isinstance(tree, Mapping):
        items = {key: _map_texts(item, change, (*place, key)) for key, item in tree.items()}
        return {key: item for key, item in items.items() if item is not _ABSENT}
    if isinstance(tree, list):
        changed = [_map_texts(item, change, (*place, n)) for n, item in enumerate(tree)]
        return [item for item in changed if item is not _ABSENT]
    return tree


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:60]}…"
