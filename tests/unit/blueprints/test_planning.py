"""A blueprint with parameters becomes a plan, or names every parameter that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from stepway.blueprints.errors import ParameterError, ParametersInvalid
from stepway.blueprints.loader import load
from stepway.blueprints.models import Blueprint
from stepway.blueprints.parameters import changed_parameters, complete_parameters
from stepway.blueprints.planning import make_plan
from stepway.workflows.model.plan import RetryPlan, UndoPlan
from stepway.workflows.model.references import resolve

TEXT = """\
name: service
title: {en: Service, zh: 服务}
time_limit: 3600
editable: [size, contact]
parameters:
  type: object
  required: [owner_team]
  properties:
    owner_team: {type: string, pattern: "^[a-z]+$"}
    size: {type: integer, minimum: 1, default: 2}
    contact: {type: string, format: email}
    colour: {enum: [red, green]}
    database:
      type: object
      default: {}
      additionalProperties: false
      properties:
        engine: {type: string, default: postgres}
    stages:
      type: array
      items: {type: object, properties: {approvals: {type: integer, default: 0}}}
    "odd/name~": {type: boolean}
steps:
  - step: make
    uses: make_thing
    with: {name: "${{ project.owner }}/${{ project.name }}", size: "${{ parameters.size }}"}
    retry: {initial_interval: 3}
    undo: {uses: unmake_thing}
  - step: tell
    display_name: Tell the team
    uses: tell
    with: {to: "${{ parameters.owner_team }}: ${{ steps.make.result.url }}"}
"""
PROJECT = {"id": "p1", "name": "shop", "owner": "local"}


@pytest.fixture(scope="module")
def blueprint(tmp_path_factory: pytest.TempPathFactory) -> Blueprint:
    file = tmp_path_factory.mktemp("planning") / "service.yaml"
    file.write_text(TEXT, encoding="utf-8")
    return load(file)


def errors(blueprint: Blueprint, parameters: dict[str, Any]) -> list[ParameterError]:
    with pytest.raises(ParametersInvalid) as caught:
        complete_parameters(blueprint, parameters)
    return caught.value.errors


def test_plan_holds_all_that_the_run_needs(blueprint: Blueprint) -> None:
    plan = make_plan(blueprint, PROJECT, {"owner_team": "core"})
    make, tell = plan.steps
    assert (plan.blueprint, plan.title["zh"], plan.time_limit) == ("service", "服务", 3600)
    assert make.arguments == {"name": "local/shop", "size": 2}
    assert make.retry == RetryPlan(3, 3.0, 2.0, 300.0)
    assert make.undo == UndoPlan("unmake_thing", make.arguments)
    assert make.display_name == {"en": "Make"}
    assert (tell.after, tell.display_name) == (["make"], {"en": "Tell the team"})
    assert tell.arguments == {"to": "core: ${{ steps.make.result.url }}"}


def test_parameter_that_looks_like_a_reference_reaches_the_step_as_text(
    blueprint: Blueprint,
) -> None:
    evil = "${{ steps.make.result.url }}"
    blueprint = blueprint.model_copy(
        update={"parameters": {"type": "object", "properties": {"owner_team": {}, "size": {}}}}
    )
    plan = make_plan(blueprint, PROJECT, {"owner_team": evil, "size": {"x": [evil]}})
    make, tell = (resolve(step.arguments, {"make": {"url": "U"}}) for step in plan.steps)
    assert make["size"] == {"x": [evil]}
    assert tell["to"] == f"{evil}: U"


def test_defaults_are_filled_in_also_inside_of_objects(blueprint: Blueprint) -> None:
    complete = complete_parameters(blueprint, {"owner_team": "core"})
    assert complete == {"owner_team": "core", "size": 2, "database": {"engine": "postgres"}}
    given = {"owner_team": "core", "size": 5, "database": {"engine": "sqlite"}}
    assert complete_parameters(blueprint, given) == given
    stages = complete_parameters(blueprint, given | {"stages": [{}, {"approvals": 2}]})["stages"]
    assert stages == [{"approvals": 0}, {"approvals": 2}]


def test_every_wrong_parameter_is_named(blueprint: Blueprint) -> None:
    given = {
        "size": 0,
        "contact": "nobody",
        "colour": "blue",
        "database": {"engin": "x"},
        "odd/name~": 1,
        "colours": 1,
    }
    assert {(error.name, error.pointer, error.detail) for error in errors(blueprint, given)} == {
        ("owner_team", "/owner_team", "is missing"),
        ("size", "/size", "must be at least 1"),
        ("contact", "/contact", "must be a valid email"),
        ("colour", "/colour", 'must be one of ["red", "green"]'),
        ("database", "/database/engin", "is unknown; did you mean engine?"),
        ("odd/name~", "/odd~1name~0", "must be of type boolean"),
        ("colours", "/colours", "is unknown; did you mean colour?"),
    }


def test_a_wrong_parameter_has_the_keyword_that_refused_it_and_its_value(
    blueprint: Blueprint,
) -> None:
    given = {"owner_team": "core", "size": 0, "contact": "nobody", "colours": 1}
    assert {(error.name, error.code, error.expected) for error in errors(blueprint, given)} == {
        ("size", "minimum", "1"),
        ("contact", "format", "email"),
        ("colours", "additionalProperties", ""),
    }


def test_detail_does_not_repeat_the_value(blueprint: Blueprint) -> None:
    told = errors(blueprint, {"owner_team": "S3CRET", "size": "S3CRET"})
    assert len(told) == 2
    assert "S3CRET" not in str(told)


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"owner_team": "a\0"}, ParameterError("owner_team", "/owner_team", "must not contain")),
        ({"database": {"a\0": 1}}, ParameterError("database", "/database", "must not contain")),
        ({"database": {"a": "x\0"}}, ParameterError("database", "/database", "must not contain")),
        ({"stages": [{"a": ["x\0"]}]}, ParameterError("stages", "/stages", "must not contain")),
        ({"a": nested(500)}, ParameterError("a", "/a", "must not be nested deeper than 20")),
        ({"a": "x" * 70_000}, ParameterError("", "", "must not exceed 65536 bytes")),
        ({"a": float("nan")}, ParameterError("", "", "must be JSON")),
        ({"a": "\ud800"}, ParameterError("", "", "must be valid Unicode")),
    ],
)
def test_unstorable_values_are_refused_first(
    blueprint: Blueprint, given: dict[str, Any], expected: ParameterError
) -> None:
    (told,) = errors(blueprint, given)
    assert (told.name, told.pointer) == (expected.name, expected.pointer)
    assert told.detail.startswith(expected.detail)


def test_backslash_before_u0000_is_no_nul(blueprint: Blueprint) -> None:
    (told,) = errors(blueprint, {"owner_team": "\\u0000"})
    assert told.detail == "must match the pattern ^[a-z]+$"


def test_editable_parameter_may_change_at_a_retry(blueprint: Blueprint) -> None:
    current = complete_parameters(blueprint, {"owner_team": "core"})
    changed = changed_parameters(blueprint, current, {"size": 9})
    assert changed == {**current, "size": 9}
    assert current["size"] == 2


@pytest.mark.parametrize(
    ("changes", "pointer", "detail"),
    [
        (
            {"owner_team": "other"},
            "/owner_team",
            "cannot be changed once the initialization has started",
        ),
        ({"odd/name~": 1}, "/odd~1name~0", "cannot be changed once the initialization has started"),
        ({"siz": 1}, "/siz", "is unknown; did you mean size?"),
        ({"nope": 1}, "/nope", "is unknown; available: contact, size"),
        ({"size": 0}, "/size", "must be at least 1"),
    ],
)
def test_bad_change_is_refused(
    blueprint: Blueprint, changes: dict[str, Any], pointer: str, detail: str
) -> None:
    with pytest.raises(ParametersInvalid) as caught:
        changed_parameters(blueprint, {"owner_team": "core"}, changes)
    (told,) = caught.value.errors
    assert ([told.name], told.pointer, told.detail) == ([*changes], pointer, detail)


def test_all_parameters_are_editable_where_the_blueprint_is_silent(blueprint: Blueprint) -> None:
    silent = blueprint.model_copy(update={"editable": None})
    assert changed_parameters(silent, {"owner_team": "a"}, {"owner_team": "b"})["owner_team"] == "b"
