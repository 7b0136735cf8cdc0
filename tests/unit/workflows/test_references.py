"""References in arguments: replaced once, typed or as text, and not evaluated again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepway.workflows.model.references import (
    Reference,
    ReferenceInvalid,
    bind,
    parse,
    quote,
    resolve,
    resolve_present,
    steps_named,
    text_of,
    texts,
)

TRICKY = st.lists(
    st.sampled_from(
        ["$", "{", "{{", "${{", "}}", " ", '"', "\\", "\n", "x", "parameters.x", "steps.a.result.y"]
    )
).map("".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TRICKY | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TRICKY, inner, max_size=3),
    max_leaves=8,
)
HOLE = st.sampled_from(["${{ parameters.x }}", "${{parameters.x}}", "${{ steps.a.result.y }}"])
PLAIN = st.text(alphabet='$}" \\xé', max_size=4)
TEMPLATE = st.lists(HOLE | PLAIN, max_size=5).map("".join)


def test_reference_that_is_the_whole_text_gives_the_typed_value() -> None:
    values = {"parameters": {"n": 3, "list": [1, {"a": True}], "none": None}}
    given = {
        "n": "${{ parameters.n }}",
        "l": ["${{parameters.list}}"],
        "o": "${{ parameters.none }}",
    }
    assert bind(given, values) == {"n": 3, "l": [[1, {"a": True}]], "o": None}


def test_absent_value_is_left_out_of_arguments_and_null_is_not() -> None:
    values = {"parameters": {"none": None, "db": {}}}
    given = {
        "none": "${{ parameters.none }}",
        "no": "${{ parameters.no }}",
        "inner": {"host": "${{ parameters.db.host }}", "first": "${{ parameters.db.0 }}"},
        "text": "<${{ parameters.no }}>",
    }
    assert bind(given, values) == {"none": None, "inner": {}, "text": "<>"}


def test_absent_item_is_left_out_of_a_list_and_named() -> None:
    arguments = {
        "command": ["echo", "${{ parameters.tag }}", ["${{ steps.a.result.id }}"], "end"],
        "tag": "${{ parameters.tag }}",
        "id": "${{ steps.a.result.id }}",
    }
    bound = bind(arguments, {"parameters": {}})
    given, left_out = resolve_present(bound, {})
    assert given == {"command": ["echo", [], "end"]}
    assert left_out == {"command.1": "parameters.tag", "command.2.0": "steps.a.result.id"}
    given, left_out = resolve_present(bound, {"a": {"id": None}})
    assert given == {"command": ["echo", [None], "end"], "id": None}


def test_plan_from_before_absent_values_were_left_out_resolves_as_it_did() -> None:
    arguments = {"x": "${{ steps.a.result.id }}", "l": ["${{ steps.a.result.id }}"]}
    assert resolve(arguments, {}) == {"x": None, "l": [None]}


@pytest.mark.parametrize(
    ("value", "text"),
    [("é", "é"), (False, "false"), (None, ""), (1.5, "1.5"), (["é", 1], '["é", 1]')],
)
def test_a_value_as_text_is_json_for_all_but_strings(value: Any, text: str) -> None:
    assert text_of(value) == text
    assert bind("<${{ parameters.x }}>", {"parameters": {"x": value}}) == f"<{text}>"


def test_reference_among_other_text_gives_text() -> None:
    values = {"parameters": {"n": 3, "yes": True, "list": ["é"], "none": None}}
    text = (
        "${{ parameters.n }}/${{ parameters.yes }}/${{ parameters.list }}/${{ parameters.none }}."
    )
    assert bind(text, values) == '3/true/["é"]/.'


def test_reference_reaches_into_objects_and_lists() -> None:
    values = {"parameters": {"db": {"hosts": ["a", "b"]}}}
    assert bind("${{ parameters.db.hosts.1 }}", values) == "b"
    assert bind("${{ parameters.db.hosts.2 }}", values) is None
    assert bind("${{ parameters.db.hosts.first }}", values) is None


def test_results_of_steps_are_left_to_the_run() -> None:
    arguments = {"url": "${{ parameters.host }}/${{ steps.a.result.path }}", "x": 1}
    bound = bind(arguments, {"parameters": {"host": "h"}})
    assert bound == {"url": "h/${{ steps.a.result.path }}", "x": 1}
    assert resolve(bound, {"a": {"path": "p"}}) == {"url": "h/p", "x": 1}


def test_result_of_a_skipped_step_is_none_or_no_text() -> None:
    arguments = {"whole": "${{ steps.a.result.id }}", "part": "id=${{ steps.a.result.id }}"}
    for results in ({}, {"a": None}, {"a": {"skipped": "nothing to do"}}):
        assert resolve(arguments, results) == {"whole": None, "part": "id="}


def test_parameter_that_looks_like_a_reference_stays_text() -> None:
    evil = "${{ parameters.x }} ${{ steps.a.result.y }}"
    values = {"parameters": {"evil": evil, "list": [evil]}}
    arguments = ["${{ parameters.evil }}", "<${{ parameters.evil }}>", "${{ parameters.list }}"]
    assert resolve(bind(arguments, values), {"a": {"y": "no"}}) == [evil, f"<{evil}>", [evil]]


def test_result_that_looks_like_a_reference_stays_text() -> None:
    evil = "${{ steps.b.result.y }}"
    arguments = ["${{ steps.a.result.y }}", "<${{ steps.a.result.y }}>"]
    assert resolve(arguments, {"a": {"y": evil}, "b": {"y": "no"}}) == [evil, f"<{evil}>"]


def test_reference_put_together_from_two_values_stays_text() -> None:
    values = {"parameters": {"head": "$", "tail": "{{ steps.a.result.y }}"}}
    bound = bind("${{ parameters.head }}${{ parameters.tail }}", values)
    assert resolve(bound, {"a": {"y": "no"}}) == "${{ steps.a.result.y }}"


def test_empty_value_beside_a_reference_leaves_it_among_other_text() -> None:
    bound = bind("${{ parameters.prefix }}${{ steps.a.result.n }}", {"parameters": {"prefix": ""}})
    assert resolve(bound, {"a": {"n": 5}}) == "5"
    assert resolve(bound, {}) == ""


def test_quoted_text_is_how_to_write_the_opening_itself() -> None:
    assert resolve('${{ "${{" }} secrets.X }}', {}) == "${{ secrets.X }}"


@pytest.mark.parametrize(
    "text",
    ["${{", "${{ }}", "${{ a b }}", "${{ a | upper }}", "${{ a.b", '${{ "\\x" }}', "${{ a..b }}"],
)
def test_text_that_only_begins_like_a_reference_is_refused(text: str) -> None:
    with pytest.raises(ReferenceInvalid, match="is not a"):
        parse(f"before {text}")


def test_key_is_never_taken_for_a_reference() -> None:
    tree = {"${{ parameters.x }}": "${{ parameters.x }}"}
    assert resolve(bind(tree, {"parameters": {"x": 1}}), {}) == {"${{ parameters.x }}": 1}


def test_text_is_split_into_texts_and_references() -> None:
    assert parse('a${{ "b" }}c${{ steps.s.result.y }}${{ parameters.x }}') == [
        "abc",
        Reference(("steps", "s", "result", "y")),
        Reference(("parameters", "x")),
    ]


def test_texts_are_found_with_their_place() -> None:
    tree = {"a": ["x", {"b": "y"}], "c": 1}
    assert list(texts(tree)) == [(("a", 0), "x"), (("a", 1, "b"), "y")]


@given(JSON)
def test_quoted_tree_resolves_to_itself(tree: Any) -> None:
    assert resolve(quote(tree), {"a": {"y": "no"}}) == tree


@given(TEMPLATE, JSON, JSON)
def test_binding_first_and_resolving_later_is_the_same_as_one_pass(
    template: str, parameter: Any, result: Any
) -> None:
    parameters = {"parameters": {"x": parameter}}
    once = bind(template, {**parameters, "steps": {"a": {"result": {"y": result}}}})
    assert resolve(bind(template, parameters), {"a": {"y": result}}) == resolve(once, {})
    parts = parse(template)
    if parts == [Reference(("parameters", "x"))]:
        assert resolve(once, {}) == parameter


def test_steps_that_arguments_refer_to() -> None:
    given = {
        "x": "${{ steps.a.result.y }}",
        "list": ["in ${{steps.b.result}} and ${{ steps.c.result.y }}", 7],
        "text": '${{ "${{ steps.d.result }}" }}',
        "other": "${{ parameters.steps }}",
    }
    assert steps_named(given) == {"a", "b", "c"}
    assert steps_named({}) == set()
