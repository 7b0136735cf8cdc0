from __future__ import annotations

import pytest
import typer

from stepway.cli.client.parameters import parse_parameters


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("port=8080", 8080),
        ("public=true", True),
        ("owner=null", None),
        ('tags=["a", "b"]', ["a", "b"]),
        ('limits={"cpu": 2}', {"cpu": 2}),
        ('version="3"', "3"),
        ("region=eu-west", "eu-west"),
        ("motto=a=b=c", "a=b=c"),
        ("empty=", ""),
        ("ratio=NaN", "NaN"),
        ("bound=Infinity", "Infinity"),
        ("code=007", "007"),
    ],
)
def test_value_is_json_where_it_is_json_and_text_elsewhere(text: str, value: object) -> None:
    name = text.split("=", maxsplit=1)[0]
    assert parse_parameters([text]) == {name: value}


def test_name_given_twice_has_its_last_value() -> None:
    assert parse_parameters(["port=1", "port=2"]) == {"port": 2}


def test_no_parameters_are_an_empty_object() -> None:
    assert parse_parameters(None) == {}


@pytest.mark.parametrize("text", ["port", "=8080", ""])
def test_text_that_is_not_a_pair_is_refused_and_named(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not KEY=VALUE"):
        parse_parameters([text])
