"""The blueprints that come with Stepway."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from stepway.blueprints.catalog import BUILT_IN, Catalog
from stepway.blueprints.errors import ParametersInvalid
from stepway.blueprints.planning import make_plan
from stepway.cli.commands.demo import BLUEPRINTS
from stepway.cli.run.roles import known_steps
from stepway.runtime.settings import Settings
from stepway.workflows.model.references import resolve

SHIPPED = ["existing-repository", "python-library", "web-service"]
PROJECT = {"id": "3f0c2b52-5b1e-4f0b-9d6f-0f1f2a3b4c5d", "name": "parser", "owner": "erin"}


def test_the_demo_is_a_good_blueprint_and_offered_by_the_demo_alone() -> None:
    steps = known_steps(Settings())
    assert [blueprint.name for blueprint in Catalog.load(known_steps=steps)] == SHIPPED
    offered = [blueprint.name for blueprint in Catalog.load([BLUEPRINTS], steps)]
    assert offered == ["demo", *SHIPPED]


def _texts(tree: Any) -> Iterator[Any]:
    """Yield all titles, descriptions and names for people of a blueprint."""
    if isinstance(tree, list):
        for item in tree:
            yield from _texts(item)
    elif isinstance(tree, dict):
        for key, item in tree.items():
            # A parameter may have the name `description`; its schema has a `type`.
            if key in ("title", "description", "display_name") and not (
                isinstance(item, dict) and "type" in item
            ):
                yield item
            else:
                yield from _texts(item)


@pytest.mark.parametrize("name", SHIPPED)
def test_people_read_it_in_english_and_chinese(name: str) -> None:
    given = yaml.safe_load((BUILT_IN / f"{name}.yaml").read_text())
    del given["steps"]
    shown = [*_texts(given), *(step.display_name for step in Catalog.load().get(name).steps)]
    assert len(shown) > 10
    for text in shown:
        assert set(text) == {"en", "zh"}, text


@pytest.mark.parametrize("name", SHIPPED)
def test_it_names_a_title_for_each_parameter(name: str) -> None:
    parameters = Catalog.load().get(name).parameters["properties"]
    assert all("title" in schema and "description" in schema for schema in parameters.values())


@pytest.mark.parametrize("name", ["../x", "github", "pipeline-"])
def test_a_secret_of_pipelines_is_of_a_credential_that_is_meant_for_them(name: str) -> None:
    secrets = {"TOKEN": {"credential": name}}
    with pytest.raises(ParametersInvalid, match="secrets: must match the pattern"):
        make_plan(Catalog.load().get("python-library"), PROJECT, {"secrets": secrets})


def test_an_existing_repository_is_imported_by_each_step_that_changes_it() -> None:
    parameters = {"credential": "work", "namespace": "acme", "repository": "Old.Shop"}
    plan = make_plan(Catalog.load().get("existing-repository"), PROJECT, parameters)
    given = [resolve(step.arguments, {}) for step in plan.steps]
    on_repository = [one for one in given if "mode" in one]
    assert len(on_repository) == 6
    assert {one["mode"] for one in on_repository} == {"import"}
    # finalize gets the name from a result, which is not there yet.
    named = [one for one in on_repository if one["repository"] is not None]
    assert {one["repository"] for one in named} == {"Old.Shop"}
    undone = {step.undo.uses for step in plan.steps if step.undo}
    assert undone == {"withdraw_template", "delete_db_records"}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_retry_after_a_rollback_makes_again_what_was_in_what_is_gone(name: str) -> None:
    steps = Catalog.load().get(name).steps
    undone = {step.step for step in steps if step.undo}
    kept = {step.step for step in steps if not step.undo and undone & set(step.needs)}
    assert kept <= {"finalize", "protect_branch"}
    assert (kept == {"finalize"}) or name == "existing-repository"


def test_the_template_of_a_library_knows_all_names_that_a_package_cannot_have() -> None:
    questions = yaml.safe_load((BUILT_IN / "python-library" / "copier.yml").read_text())
    taken = set(questions["taken"]["default"].split())
    python = {*keyword.kwlist, *sys.stdlib_module_names}
    name = re.compile("[a-z][a-z0-9_]{1,38}[a-z0-9]")
    assert {one for one in python if name.fullmatch(one)} <= taken
