"""JSON for Postgres, from arbitrary values of steps."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stepway_tracking.record.json_text import to_jsonb

TEXTS = st.text(alphabet=st.characters())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


@given(VALUES)
def test_no_text_or_number_that_jsonb_refuses_is_left(value: Any) -> None:
    told = to_jsonb(value)
    json.loads(told, parse_constant=lambda constant: AssertionError(constant))
    json.dumps(json.loads(told), ensure_ascii=False, allow_nan=False).encode()
    assert "\x00" not in json.dumps(json.loads(told), ensure_ascii=False)
    assert "\\u0000" not in told or "\\\\u0000" in told


def test_values_that_jsonb_accepts_stay_unchanged() -> None:
    value = {"a": [1, 2.5, True, None, "😀 ü \\u0000"]}
    assert json.loads(to_jsonb(value)) == value


def test_values_that_jsonb_refuses_are_replaced_at_any_depth() -> None:
    told = json.loads(to_jsonb({"\x00": [("\udcff", float("nan"))]}))
    assert told == {"\N{REPLACEMENT CHARACTER}": [["\N{REPLACEMENT CHARACTER}", None]]}
