"""The reference of the built-in steps: nothing is missing, and it is for people."""

from __future__ import annotations

import re

import pytest

from scripts.reference import steps
from scripts.reference.steps import GROUPS, built_in_steps

SECTIONS = {
    part.partition("`")[0]: part for part in re.split(r"^### `", built_in_steps(), flags=re.M)[1:]
}


def test_every_step_has_a_section_with_its_rollback():
    pairs = {name: undo for group in GROUPS.values() for name, undo in group.items()}
    assert set(SECTIONS) == set(pairs)
    for name, undo in pairs.items():
        assert (f"**Rollback** `{undo}`: " if undo else "**Rollback**: none.") in SECTIONS[name]


def test_a_step_without_a_place_is_named(monkeypatch):
    monkeypatch.setattr(steps, "GROUPS", {"All": {"finalize": None}})
    with pytest.raises(ValueError, match="http_request"):
        built_in_steps()


def test_arguments_have_types_and_defaults_and_the_fields_of_mappings():
    section = SECTIONS["add_collaborators"]
    assert "| `teams` | list of mappings (`team`, `permission`) | none |" in section
    right = "`read`, `triage`, `write`, `maintain` or `admin`"
    assert f"| `permission` | {right} | `write` |" in section
    assert "| `url` | text | required |" in SECTIONS["http_request"]


def test_results_have_types():
    assert "| `number` | whole number |" in SECTIONS["open_pull_request"]


@pytest.mark.parametrize("name", SECTIONS)
def test_no_word_of_the_code_is_in_the_text(name: str):
    for word in ("step_error", "None", "absent_references", "template_written", "`result`"):
        assert word not in SECTIONS[name]
