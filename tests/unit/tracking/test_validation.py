"""No words of the validator reach people."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from stepway_tracking.validation import sentence


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int


def refused(kind: Any, value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    return sentence(caught.value.errors()[0])


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (Body, {}, "is missing"),
        (Body, {"size": 1, "color": 2}, "is unknown"),
        (Body, 3, "must be an object"),
        (Annotated[list[int], Field(min_length=1)], [], "must not be empty"),
        (Annotated[list[int], Field(min_length=2)], [1], "must have at least 2 items"),
        (Annotated[list[int], Field(max_length=1)], [1, 2], "must have at most 1 items"),
        (Annotated[str, Field(min_length=1)], "", "must not be empty"),
        (Annotated[str, Field(min_length=3)], "a", "must have at least 3 characters"),
        (Annotated[str, Field(max_length=3)], "abcd", "must have at most 3 characters"),
        (Annotated[str, Field(pattern=r"\S")], " ", "must not be empty"),
        (Annotated[str, Field(pattern="^[a-z]{2}$")], "1", "must match the pattern ^[a-z]{2}$"),
        (str, 3, "must be a text"),
        (list[int], 3, "must be a list"),
        (dict[str, int], 3, "must be an object"),
        (UUID, "abc", "must be a UUID such as 0b0e8a3c-6c1a-5f0e-9d3f-0c4b5a697887"),
        (datetime, "yesterday", "must be an ISO 8601 date or time, for example 2026-11-25"),
        (datetime, "2026-13-01", "must be an ISO 8601 date or time, for example 2026-11-25"),
        (datetime, [], "must be an ISO 8601 date or time, for example 2026-11-25"),
        (
            AwareDatetime,
            "2026-11-25T12:00:00",
            "must have a time zone, for example 2026-11-25T12:00:00Z",
        ),
        (int, "x", "must be a whole number"),
        (int, 1.5, "must be a whole number"),
        (int, [], "must be a whole number"),
        (int, "9" * 5000, "has too many digits"),
        (float, "x", "must be a number"),
        (bool, "x", "must be true or false"),
        (bool, [], "must be true or false"),
        (Literal["a", "b"], "c", "must be 'a' or 'b'"),
        (Annotated[int, Field(ge=1)], 0, "must be at least 1"),
        (Annotated[int, Field(gt=1)], 0, "must be greater than 1"),
        (Annotated[float, Field(gt=0)], -1, "must be greater than 0"),
        (Annotated[int, Field(le=1)], 2, "must be at most 1"),
        (Annotated[int, Field(lt=1)], 2, "must be less than 1"),
        (Annotated[float, Field(allow_inf_nan=False)], float("inf"), "must be a finite number"),
    ],
)
def test_each_kind_of_error_has_a_sentence(kind: Any, value: Any, said: str) -> None:
    assert refused(kind, value) == said


def test_message_of_our_own_check_stays() -> None:
    error = {"type": "value_error", "msg": "Value error, must end with a dot", "ctx": {}}
    assert sentence(error) == "must end with a dot"
