"""The catalog of blueprints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepway.blueprints.arguments import KnownSteps
from stepway.blueprints.errors import BlueprintError, BlueprintUnknown
from stepway.blueprints.loader import load
from stepway.blueprints.models import Blueprint, Step
from stepway.blueprints.source import read
from stepway.blueprints.suggestions import suggestion
from stepway.blueprints.template_rules import TemplateRules

BUILT_IN = Path(__file__).parent


@dataclass(frozen=True)
class Catalog:
    """The loaded blueprints and their files, by name."""

    blueprints: dict[str, Blueprint]
    files: dict[str, Path]

    @classmethod
    def load(
        cls,
        folders: Sequence[Path] = (),
        known_steps: KnownSteps | None = None,
        rules: TemplateRules | None = None,
    ) -> Catalog:
        """Load the built-in blueprints and those in `folders`, from STEPWAY_BLUEPRINTS.

        `rules` are those of the operator about templates.

        Raises BlueprintError for the first invalid file, duplicate name or missing folder.
        """
        catalog = cls({}, {})
        places = (BUILT_IN, *folders)
        for file in (file for folder in places for file in _files(folder)):
            catalog._add(load(file, known_steps, places, rules), file)
        return catalog

    def get(self, name: str) -> Blueprint:
        """Return the blueprint of that name. Raises BlueprintUnknown."""
        if name not in self.blueprints:
            hint = suggestion(name, self.blueprints)
            raise BlueprintUnknown(f"unknown blueprint {name}{hint}")
        return self.blueprints[name]

    def template_root(self, name: str) -> Path:
        """Return the folder of the blueprint's file; template paths are relative to it.

        Raises BlueprintUnknown.
        """
        self.get(name)
        return self.files[name].parent

    def __iter__(self) -> Iterator[Blueprint]:
        return (self.blueprints[name] for name in sorted(self.blueprints))

    def _add(self, blueprint: Blueprint, file: Path) -> None:
        if first := self.files.get(blueprint.name):
            raise read(file).error(
                ("name",), f"the name {blueprint.name} is already used by {first}"
            )
        self.blueprints[blueprint.name] = blueprint
        self.files[blueprint.name] = file


def describe(blueprint: Blueprint) -> dict[str, Any]:
    """Return the public fields of a blueprint, as JSON."""
    shown = {
        "name": blueprint.name,
        "title": blueprint.title,
        "description": blueprint.description,
        "parameters": blueprint.parameters,
        "editable": blueprint.editable,
        "steps": [_describe_step(step) for step in blueprint.steps],
    }
    return {key: value for key, value in shown.items() if value is not None}


def _describe_step(step: Step) -> dict[str, Any]:
    shown = step.model_dump(
        include={"step", "display_name", "uses", "needs", "after", "optional", "weight"}
    )
    return {**shown, "undo": step.undo is not None}


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise BlueprintError(f"STEPWAY_BLUEPRINTS: {folder} is not a folder")
    return sorted(file for file in folder.iterdir() if file.suffix in (".yaml", ".yml"))
