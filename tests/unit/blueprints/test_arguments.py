"""Literal arguments are checked against the step's input when a blueprint is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field
from temporalio.api.common.v1 import Payload

from stepway.activities.command.run_command import CommandRun, RunCommandInput
from stepway.activities.project import ProjectRef
from stepway.activities.step_inputs import step_payload_converter
from stepway.blueprints.argument_types import converted, is_converted
from stepway.blueprints.arguments import input_types
from stepway.blueprints.errors import BlueprintError
from stepway.blueprints.loader import load

REFERENCE = "${{ parameters.x }}"
PROJECT = {"id": "1", "name": "n", "owner": "o"}


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Spec:
    name: str
    approvals: int = 0


class Inner(BaseModel):
    n: int
    tags: list[str] = []


@dataclass
class Made:
    project: ProjectRef
    text: str = ""
    whole: int = 0
    number: float = 0.0
    flag: bool = False
    words: list[str] = field(default_factory=list)
    pair: tuple[int, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    specs: list[Spec | str] | None = None
    color: Color = Color.RED
    size: Literal["s", "m"] = "s"
    id: UUID | None = None
    inner: Inner | None = None
    unknown: Callable[[], None] | None = None
    derived: str = field(init=False)

    def __post_init__(self) -> None:
        self.derived = self.text.upper()


@dataclass
class Converted:
    """Types that Temporal's JSON converter does not know."""

    project: ProjectRef
    price: Decimal = Decimal(0)
    day: date = date.min
    at: time | None = None
    wait: timedelta = timedelta()
    path: Path = Path()
    paths: list[Path] = field(default_factory=list)
    prices: dict[str, Decimal | None] = field(default_factory=dict)
    host: IPv4Address | None = None
    anything: Any = None
    list_of_anything: list[Any] = field(default_factory=list)


class Modelled(BaseModel):
    project: ProjectRef
    n: int = Field(gt=3)
    words: list[str] = []
    inner: Inner | None = None


class Steps:
    async def made(self, given: Made) -> None:
        raise NotImplementedError

    async def converted(self, given: Converted) -> None:
        raise NotImplementedError

    async def modelled(self, given: Modelled) -> None:
        raise NotImplementedError

    async def run_command(self, given: RunCommandInput) -> CommandRun:
        raise NotImplementedError


ACTIVITIES: dict[str, Callable[..., Any]] = {
    "made": Steps().made,
    "converted": Steps().converted,
    "modelled": Steps().modelled,
    "run_command": Steps().run_command,
}


def load_with(folder: Path, step: str) -> None:
    file = folder / "b.yaml"
    file.write_text(
        "name: b\nparameters: {type: object, properties: {x: {}}}\nsteps:\n  - step: a\n" + step
    )
    load(file, input_types(ACTIVITIES))


def refusal(folder: Path, step: str) -> str:
    with pytest.raises(BlueprintError) as caught:
        load_with(folder, step)
    return str(caught.value).removeprefix(f"{folder / 'b.yaml'}:")


@pytest.mark.parametrize(
    ("uses", "line", "expected"),
    [
        ("run_command", 'command: "echo hi"', "command must be a list, not the text 'echo hi'"),
        ("run_command", "command: [a]\n      directory: 5", "directory must be text"),
        ("made", "text: 5", "text must be text, not the number 5"),
        ("made", "whole: x", "whole must be a whole number, not the text 'x'"),
        ("made", "whole: 1.5", "whole must be a whole number, not the number 1.5"),
        ("made", "whole: null", "whole must be a whole number, not null"),
        ("made", "number: many", "number must be a number, not the text 'many'"),
        ("made", "number: true", "number must be a number, not true"),
        ("made", "flag: 1", "flag must be true or false, not the number 1"),
        ("made", "words: x", "words must be a list of texts, not the text 'x'"),
        ("made", "words: [x, 1]", "words.1 must be text, not the number 1"),
        ("made", "pair: [1, x]", "pair.1 must be a whole number, not the text 'x'"),
        ("made", "counts: {a: x}", "counts.a must be a whole number, not the text 'x'"),
        ("made", "specs: x", "specs must be a list of mappings or texts, or null, not the text"),
        ("made", "specs: [5]", "specs.0 must be a mapping (name, approvals) or text, not the num"),
        ("made", "specs: [{approvals: 1}]", "specs.0.name is missing"),
        ("made", "color: green", 'color must be one of "red", "blue", not the text \'green\''),
        ("made", "size: l", 'size must be one of "s", "m", not the text \'l\''),
        ("made", "id: x", "id must be a valid UUID"),
        ("made", "inner: {n: x}", "inner.n must be a whole number, not the text 'x'"),
        ("modelled", "n: x", "n must be a whole number, not the text 'x'"),
        ("modelled", "n: 1", "n must be greater than 3, not the number 1"),
        ("modelled", "n: 5\n      words: x", "words must be a list of texts, not the text 'x'"),
        ("modelled", "n: 5\n      inner: {}", "inner.n is missing"),
        # References: a text with one inside is text, a whole one is unknown.
        ("made", f"words: 'a {REFERENCE}'", "words must be a list of texts, not the text"),
        ("made", f"whole: '1{REFERENCE}'", "whole must be a whole number, not the text"),
        ("made", f"counts: {{a: '{REFERENCE}', b: x}}", "counts.b must be a whole number"),
        ("made", "words: '${{ \"x\" }}'", "words must be a list of texts, not the text"),
    ],
)
def test_a_literal_of_a_wrong_type(tmp_path: Path, uses: str, line: str, expected: str) -> None:
    told = refusal(tmp_path, f"    uses: {uses}\n    with:\n      {line}\n")
    assert told.startswith(f"{7 + line.count(chr(10))}: {uses}: argument {expected}")


@pytest.mark.parametrize(
    ("uses", "line"),
    [
        ("run_command", "command: [echo, 1, null]"),
        ("run_command", f"command: '{REFERENCE}'"),
        ("made", "number: 1"),
        ("made", "whole: 1.0"),
        ("made", "pair: [1, 2]"),
        ("made", "specs: [a, {name: b, approvals: 2}]"),
        ("made", f"specs: [{{name: '{REFERENCE}', approvals: '{REFERENCE}'}}]"),
        ("made", f"specs: '{REFERENCE}'"),
        ("made", "specs: null"),
        ("made", "color: blue"),
        ("made", f"color: '{REFERENCE}'"),
        ("made", f"color: 'r{REFERENCE}'"),
        ("made", f"size: '{REFERENCE}m'"),
        ("made", "id: 0198a3f2-6c1d-7d2e-9b1f-3f6f2a5d7c10"),
        ("made", f"inner: {{n: '{REFERENCE}', tags: ['{REFERENCE}', 'a{REFERENCE}']}}"),
        ("made", "text: '${{ \"x\" }}'"),
        ("made", "unknown: anything"),
        ("modelled", "n: '5'"),
    ],
)
def test_what_may_fit_is_accepted(tmp_path: Path, uses: str, line: str) -> None:
    load_with(tmp_path, f"    uses: {uses}\n    with:\n      {line}\n")


def test_the_arguments_of_a_rollback_are_checked(tmp_path: Path) -> None:
    told = refusal(
        tmp_path, "    uses: made\n    undo:\n      uses: made\n      with:\n        words: x\n"
    )
    assert told == "9: made: argument words must be a list of texts, not the text 'x'"


def test_the_fields_of_a_model_are_arguments(tmp_path: Path) -> None:
    told = refusal(tmp_path, "    uses: modelled\n    with: {n: 4, wrods: []}\n")
    assert told == "6: modelled: unknown argument wrods; did you mean words?"
    told = refusal(tmp_path, "    uses: modelled\n")
    assert told.endswith("modelled: argument n is missing")


def test_a_field_that_the_input_sets_itself_is_no_argument(tmp_path: Path) -> None:
    load_with(tmp_path, "    uses: made\n    with: {text: x}\n")
    told = refusal(tmp_path, "    uses: made\n    with: {derived: x}\n")
    assert told.startswith("6: made: unknown argument derived")


def decoded(input_type: type[Any], given: dict[str, Any]) -> Any:
    converter = step_payload_converter(ACTIVITIES)()
    payloads: list[Payload] = list(converter.to_payloads([{"project": PROJECT, **given}]))
    return converter.from_payloads(payloads, [input_type])[0]


@pytest.mark.parametrize(
    ("input_type", "given", "expected"),
    [
        (RunCommandInput, {"command": "echo"}, "argument 'command' must be a list, not text"),
        (RunCommandInput, {}, "argument 'command' is missing"),
        (Made, {"number": "many"}, "argument 'number' must be a number, not text"),
        (Made, {"words": [1]}, "argument 'words.0' must be text, not a number"),
        (Made, {"text": REFERENCE, "whole": REFERENCE}, "argument 'whole' must be a whole number"),
        (Modelled, {"n": 5, "words": "x"}, "argument 'words' must be a list of texts, not text"),
    ],
)
def test_a_value_of_a_wrong_type_is_named_when_it_is_decoded(
    input_type: type[Any], given: dict[str, Any], expected: str
) -> None:
    with pytest.raises(TypeError) as caught:
        decoded(input_type, given)
    assert str(caught.value).startswith(expected)


def test_values_that_temporal_does_not_convert_are_decoded_as_their_types(tmp_path: Path) -> None:
    lines = {
        "price": "'1.10'",
        "day": "'2026-11-25'",
        "at": "'09:30'",
        "wait": "PT90S",
        "path": "a/b",
        "paths": "[c]",
        "prices": "{x: 2, y: null, z: '3.0'}",
        "host": "127.0.0.1",
        "anything": "text",
        "list_of_anything": "[text, 1]",
    }
    given = "".join(f"      {name}: {value}\n" for name, value in lines.items())
    load_with(tmp_path, f"    uses: converted\n    with:\n{given}")
    blueprint = load(tmp_path / "b.yaml", input_types(ACTIVITIES))
    assert decoded(Converted, dict(blueprint.steps[0].arguments)) == Converted(
        ProjectRef("1", "n", "o"),
        price=Decimal("1.10"),
        day=date(2026, 11, 25),
        at=time(9, 30),
        wait=timedelta(seconds=90),
        path=Path("a/b"),
        paths=[Path("c")],
        prices={"x": Decimal(2), "y": None, "z": Decimal("3.0")},
        host=IPv4Address("127.0.0.1"),
        anything="text",
        list_of_anything=["text", 1],
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("price", "many", "argument 'price'"),
        ("day", "soon", "argument 'day'"),
        ("paths", [5], "argument 'paths.0'"),
        ("host", "here", "argument 'host'"),
    ],
)
def test_a_text_that_cannot_be_converted_is_named(name: str, value: Any, expected: str) -> None:
    with pytest.raises(TypeError) as caught:
        decoded(Converted, {name: value})
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(("hint", "value"), [(Decimal, "many"), (Callable, "sesame"), (Steps, 517)])
def test_a_conversion_that_fails_does_not_say_the_value(hint: Any, value: Any) -> None:
    assert is_converted(Decimal, value)
    with pytest.raises(TypeError) as caught:
        converted(hint, value)
    assert str(value) not in str(caught.value)


def test_values_that_fit_are_decoded_as_their_types() -> None:
    made = decoded(Made, {"number": 1, "pair": [1], "inner": {"n": 1}, "more": "ignored"})
    assert (made.number, made.pair, made.inner) == (1.0, (1,), Inner(n=1))
    assert made.project == ProjectRef("1", "n", "o")
    assert decoded(Made, {"text": "x"}).derived == "X"
    assert decoded(Modelled, {"n": 5}).project == ProjectRef("1", "n", "o")
