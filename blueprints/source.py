"""Reads a YAML file as plain data, with the line of each value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from stepway.blueprints.errors import BlueprintError

Place = tuple[str | int, ...]

MAX_DEPTH = 50
_PLAIN = (str, bool, int, float, type(None))


@dataclass(frozen=True)
class Source:
    """The data of one file; `lines` maps the place of each value to its line, from 1."""

    file: Path
    data: Any
    lines: dict[Place, int]

    def line(self, place: Sequence[str | int]) -> int:
        """Return the line of a place, or of the nearest enclosing place that is in the file."""
        for length in range(len(place), 0, -1):
            if (line := self.lines.get(tuple(place[:length]))) is not None:
                return line
        return self.lines.get((), 1)

    def error(self, place: Sequence[str | int], reason: str) -> BlueprintError:
        """Return the error to raise for a place."""
        return _error(self.file, self.line(place), reason)


def read(file: Path) -> Source:
    """Read a YAML file with one document. Raises BlueprintError."""
    text = _text(file)
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _error(file, mark.line + 1 if mark else 1, _problem(error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _error(file, line, f"the character {error.character:#x} is not allowed") from None
    builder = _Builder(file, loader)
    data = builder.build(node, ()) if node else None
    return Source(file, data, builder.lines)


@dataclass
class _Builder:
    """Turns YAML nodes into data; rejects values that JSON cannot represent and duplicate keys."""

    file: Path
    loader: yaml.SafeLoader
    lines: dict[Place, int] = field(default_factory=dict)

    def build(self, node: yaml.Node, place: Place) -> Any:
        self.lines.setdefault(place, _line(node))
        if len(place) > MAX_DEPTH:
            raise self._error(node, "is nested too deeply or refers to itself")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*place, i)) for i, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key in data:
                first = self.lines[(*place, key)]
                raise self._error(key_node, f"duplicate key {key}, first used on line {first}")
            self.lines[(*place, key)] = _line(key_node)
            data[key] = self.build(value_node, (*place, key))
        return data

    def _key(self, node: yaml.Node) -> str:
        if node.tag == "tag:yaml.org,2002:merge":
            raise self._error(node, "merge keys (<<) are not supported; write the fields out")
        if not isinstance(node, yaml.ScalarNode) or node.tag != "tag:yaml.org,2002:str":
            raise self._error(node, f"the key {_written(node)} is not text; put it in quotes")
        return str(node.value)

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            value = self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError):
            raise self._error(node, f"{_written(node)} is not a valid {node.tag}") from None
        if type(value) not in _PLAIN or (isinstance(value, float) and not math.isfinite(value)):
            raise self._error(node, f"{_written(node)} is not a JSON value; put it in quotes")
        return value

    def _error(self, node: yaml.Node, reason: str) -> BlueprintError:
        return _error(self.file, _line(node), reason)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _error(file, line, "is not UTF-8 text") from None
    except OSError as error:
        raise _error(file, 1, f"cannot be read: {error.strerror}") from None


def _error(file: Path, line: int, reason: str) -> BlueprintError:
    return BlueprintError(f"{file}:{line}: {' '.join(reason.split())}")


def _problem(error: yaml.MarkedYAMLError) -> str:
    return "is not YAML: " + ", ".join(part for part in (error.context, error.problem) if part)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _written(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else "written here"
