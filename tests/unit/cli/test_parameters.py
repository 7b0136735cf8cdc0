from __future__ import annotations

from typing import Any

import httpx
import pytest
import typer

from stepway.cli.client.errors import ApiRefused
from stepway.cli.client.http import Api
from stepway.cli.client.parameters import parse_pairs, schema_of, typed

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "note": {"type": ["string", "null"]},
        "count": {"type": "integer"},
        "ratio": {"type": "number"},
        "public": {"type": "boolean"},
        "tags": {"type": "array"},
        "limits": {"type": "object"},
        "any": {},
        "either": {"type": ["string", "integer"]},
        "python": {"enum": ["3.10", "3.11"]},
        "size": {"enum": [1, 2, "max"]},
        "kind": {"oneOf": [{"const": "1"}, {"const": "job"}]},
        "shared": {"$ref": "#/$defs/name"},
        "loop": {"$ref": "#/properties/loop"},
    },
    "patternProperties": {"^x-": {"type": "string"}},
    "additionalProperties": {"type": "boolean"},
    "$defs": {"name": {"anyOf": [{"type": "string"}]}},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("text=1.10", "1.10"),
        ("text=12e4567", "12e4567"),
        ("text=true", "true"),
        ('text="3"', '"3"'),
        ("text=", ""),
        ("text=a=b=c", "a=b=c"),
        ("note=null", None),
        ("note=1.10", "1.10"),
        ("count=8080", 8080),
        ("count=9007199254740993", 9007199254740993),
        ("count=many", "many"),
        ("count=true", "true"),
        ("ratio=1.10", 1.1),
        ("ratio=1", 1),
        ("ratio=12e4567", "12e4567"),
        ("ratio=NaN", "NaN"),
        ("public=true", True),
        ("public=yes", "yes"),
        ('tags=["a", 1.10]', ["a", 1.1]),
        ("tags=[12e4567]", "[12e4567]"),
        ('limits={"cpu": 2}', {"cpu": 2}),
        ("any=1.10", "1.10"),
        ("any=12e4567", "12e4567"),
        ("any=007", "007"),
        ("any=5", 5),
        ("any=1.5", 1.5),
        ("any=Infinity", "Infinity"),
        ("any=eu-west", "eu-west"),
        ("any=null", None),
        ("either=5", 5),
        ("either=1.5", 1.5),
        ("either=true", "true"),
        ("python=3.10", "3.10"),
        ("size=2", 2),
        ("size=max", "max"),
        ("kind=1", "1"),
        ("shared=1.10", "1.10"),
        ("loop=1", 1),
        ("x-version=1.10", "1.10"),
        ("other=true", True),
    ],
)
def test_value_has_the_type_that_the_schema_takes(text: str, value: object) -> None:
    name = text.split("=", maxsplit=1)[0]
    found = typed(parse_pairs([text]), SCHEMA)
    assert found == {name: value}
    assert type(found[name]) is type(value)


def test_deep_json_stays_text() -> None:
    assert typed({"any": "[" * 100_000}, SCHEMA) == {"any": "[" * 100_000}


def test_name_given_twice_has_its_last_value() -> None:
    assert parse_pairs(["port=1", "port=2"]) == {"port": "2"}


def test_no_parameters_are_none() -> None:
    assert parse_pairs(None) == {}


@pytest.mark.parametrize("text", ["port", "=8080", ""])
def test_text_that_is_not_a_pair_is_refused_and_named(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not KEY=VALUE"):
        parse_pairs([text])


def api_that_answers(status: int) -> Api:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.raw_path == b"/api/blueprints/a%2Fb"
        return httpx.Response(status, json={"parameters": SCHEMA, "detail": "no"})

    return Api("http://127.0.0.1:1", transport=httpx.MockTransport(answer))


def test_schema_is_that_of_the_blueprint_at_the_api() -> None:
    assert schema_of(api_that_answers(200), "a/b") == SCHEMA
    assert schema_of(api_that_answers(404), "a/b") == {}
    with pytest.raises(ApiRefused):
        schema_of(api_that_answers(401), "a/b")
