"""The catalog: order of folders, unique names, clear errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepway.blueprints import catalog as catalog_module
from stepway.blueprints.catalog import Catalog, describe
from stepway.blueprints.errors import BlueprintError, BlueprintUnknown

TEXT = """\
# A comment first
name: {0}
title: One
parameters: {{type: object, properties: {{size: {{type: integer}}}}}}
steps:
  - {{step: a, uses: make, undo: {{uses: unmake}}}}
  - {{step: b, uses: make, needs: [a], optional: true, weight: 3}}
"""


@pytest.fixture(autouse=True)
def built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the built-in folder by a temporary one."""
    folder = tmp_path / "built-in"
    folder.mkdir()
    (folder / "first.yaml").write_text(TEXT.format("first"))
    (folder / "notes.txt").write_text("not a blueprint")
    monkeypatch.setattr(catalog_module, "BUILT_IN", folder)
    return folder


def folder_with(folder: Path, **texts: str) -> Path:
    folder.mkdir()
    for name, text in texts.items():
        (folder / f"{name}.yml").write_text(text)
    return folder


def test_built_in_folder_comes_with_the_given_ones(tmp_path: Path, built_in: Path) -> None:
    more = folder_with(tmp_path / "more", second=TEXT.format("second"))
    catalog = Catalog.load([more])
    assert [blueprint.name for blueprint in catalog] == ["first", "second"]
    assert catalog.get("second").title == {"en": "One"}
    assert catalog.template_root("second") == more
    assert catalog.template_root("first") == built_in


def test_name_used_twice_is_refused_with_both_files(tmp_path: Path, built_in: Path) -> None:
    more = folder_with(tmp_path / "more", other=TEXT.format("first"))
    with pytest.raises(BlueprintError) as caught:
        Catalog.load([more])
    expected = (
        f"{more / 'other.yml'}:2: the name first is already used by {built_in / 'first.yaml'}"
    )
    assert str(caught.value) == expected


def test_missing_folder_is_refused_with_the_settings_name(tmp_path: Path) -> None:
    with pytest.raises(BlueprintError, match=r"STEPWAY_BLUEPRINTS: .*/none is not a folder"):
        Catalog.load([tmp_path / "none"])


def test_bad_blueprint_stops_the_loading(tmp_path: Path) -> None:
    with pytest.raises(BlueprintError, match=r"first\.yaml:6: unknown step type make"):
        Catalog.load(known_steps={"run_command": None})


def test_unknown_name_is_refused_with_those_that_exist() -> None:
    catalog = Catalog.load()
    with pytest.raises(BlueprintUnknown, match="unknown blueprint firts; did you mean first"):
        catalog.get("firts")
    with pytest.raises(BlueprintUnknown, match="unknown blueprint xyz; available: first"):
        catalog.template_root("xyz")


def test_description_for_clients_names_steps_and_parameters() -> None:
    shown = describe(Catalog.load().get("first"))
    assert shown == {
        "name": "first",
        "title": {"en": "One"},
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"size": {"type": "integer"}},
        },
        "steps": [
            {
                "step": "a",
                "display_name": {"en": "A"},
                "uses": "make",
                "needs": [],
                "after": [],
                "optional": False,
                "weight": 1,
                "undo": True,
            },
            {
                "step": "b",
                "display_name": {"en": "B"},
                "uses": "make",
                "needs": ["a"],
                "after": [],
                "optional": True,
                "weight": 3,
                "undo": False,
            },
        ],
    }


PUSHES = """\
name: {0}
parameters: {{type: object, properties: {{kind: {{type: string}}}}}}
steps:
  - step: push
    uses: push_template
    with:
      template: {1}
"""


def test_missing_template_is_found_when_the_blueprint_is_loaded(tmp_path: Path) -> None:
    more = folder_with(tmp_path / "more", one=PUSHES.format("one", "Mine"))
    with pytest.raises(BlueprintError) as caught:
        Catalog.load([more])
    assert str(caught.value) == (
        f"{more / 'one.yml'}:7: template 'Mine' not found beside the blueprints"
    )
    (more / "Mine").mkdir()
    assert Catalog.load([more]).get("one")


@pytest.mark.parametrize("name", ["../more", "/etc", '""', ".", "link"])
def test_template_that_leads_out_of_the_folders_is_refused(tmp_path: Path, name: str) -> None:
    more = folder_with(tmp_path / "more", one=PUSHES.format("one", name))
    (more / "link").symlink_to("/etc")
    with pytest.raises(BlueprintError, match=r"one\.yml:7: template .* not found beside"):
        Catalog.load([more])


def test_template_that_a_parameter_names_is_left_to_the_run(tmp_path: Path) -> None:
    more = folder_with(tmp_path / "more", one=PUSHES.format("one", '"${{ parameters.kind }}"'))
    assert Catalog.load([more]).get("one")
