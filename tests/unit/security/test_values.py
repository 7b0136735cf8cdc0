"""Any value that a step may return is redacted inside, without an error."""

from __future__ import annotations

import json
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, ConfigDict, RootModel

from stepway.vault.redaction import REDACTED, Redactor
from stepway.vault.values import map_json_texts, map_texts

SECRET = "hunter2hunter2"


class Named(NamedTuple):
    url: str
    number: int = 1


class Model(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)
    url: str
    parts: list[dict[str, str]] = []


class Root(RootModel[list[str]]):
    pass


@dataclass(frozen=True)
class Derived:
    url: str
    shown: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shown", f"<{self.url}>")


@dataclass(slots=True)
class Slotted:
    url: str


@dataclass
class Refusing:
    url: str

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__:
            raise AttributeError(name)
        object.__setattr__(self, name, value)


class Words(list[str]):
    pass


class Kind(StrEnum):
    ONE = "one"


Old = namedtuple("Old", ["url"])


@pytest.fixture
def redactor() -> Redactor:
    found = Redactor()
    found.learn(SECRET)
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Named(SECRET), Named(REDACTED)),
        (Old(SECRET), Old(REDACTED)),
        (
            Model(url=SECRET, parts=[{SECRET: SECRET}]),
            Model(url=REDACTED, parts=[{REDACTED: REDACTED}]),
        ),
        (Model(url="x", more=SECRET), Model(url="x", more=REDACTED)),
        (Root([SECRET]), Root([REDACTED])),
        ({SECRET, "x"}, {REDACTED, "x"}),
        (frozenset({SECRET}), frozenset({REDACTED})),
        ((SECRET, [SECRET]), (REDACTED, [REDACTED])),
        (Words([SECRET]), [REDACTED]),
        (OrderedDict(a=SECRET), {"a": REDACTED}),
        (Slotted(SECRET), Slotted(REDACTED)),
        (SECRET.encode(), REDACTED.encode()),
        ([1, None, True, 1.5, Kind.ONE, SECRET], [1, None, True, 1.5, Kind.ONE, REDACTED]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_kind_of_value_is_redacted(redactor: Redactor, value: Any, expected: Any) -> None:
    said = redactor.value(value)
    assert said == expected
    assert type(said) is type(expected)


def test_field_that_init_does_not_take_is_redacted(redactor: Redactor) -> None:
    said = redactor.value(Derived(SECRET))
    assert (said.url, said.shown) == (REDACTED, f"<{REDACTED}>")


def test_dataclass_that_refuses_to_be_changed_is_redacted(redactor: Redactor) -> None:
    assert redactor.value(Refusing(SECRET)).url == REDACTED


@pytest.mark.parametrize(
    "value",
    [
        Named("x"),
        Model(url="x"),
        {"x"},
        {"a": ["b"]},
        Derived("x"),
        Kind.ONE,
        b"\xff\x00",
        object(),
        Model,
    ],
    ids=lambda value: type(value).__name__,
)
def test_value_without_a_secret_is_the_very_same(redactor: Redactor, value: Any) -> None:
    assert redactor.value(value) is value


def test_value_is_redacted_however_deep_it_is(redactor: Redactor) -> None:
    deep: Any = SECRET
    for _ in range(400):
        deep = {"a": [deep]}
    said = redactor.value(deep)
    assert json.dumps(said) == json.dumps(deep).replace(SECRET, REDACTED)


def test_texts_of_encoded_json_are_changed_and_nothing_else() -> None:
    encoded = json.dumps({"a\\": ['b"', 1, None], "ü": "\n"})
    assert json.loads(map_json_texts(encoded, str.upper)) == {"A\\": ['B"', 1, None], "Ü": "\n"}
    assert map_json_texts(encoded, lambda text: text) == encoded
    assert map_texts({"a": ("b",)}, str.upper) == {"A": ("B",)}
