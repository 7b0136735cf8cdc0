"""The graph of a plan: steps that are ready, skipped or waiting, and steps that a retry runs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from graphlib import CycleError

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.converter import DataConverter

from stepway.workflows.model.plan import (
    Graph,
    Plan,
    PlannedStep,
    RetryPlan,
    UndoPlan,
    order,
)
from stepway_tracking.record.facts import STEP_STATUSES as STATUSES
from stepway_tracking.record.facts import StepStatus

ENDED = ("completed", "skipped")


@dataclass
class Node:
    step: str
    needs: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


#      a ── needs ──> b ── needs ──> d        e comes after b, f has no edges
#      └─── needs ──> c ── needs ──> d
DIAMOND = Graph(
    [
        Node("a"),
        Node("b", ["a"]),
        Node("c", ["a"]),
        Node("d", ["b", "c"]),
        Node("e", after=["b"]),
        Node("f"),
    ]
)


def states(text: str) -> dict[str, StepStatus]:
    """`"CCFP"`: the states of a, b, c, d by their first letters."""
    letters = {status[0].upper(): status for status in STATUSES}
    return {step: letters[letter] for step, letter in zip("abcdef", text, strict=False)}


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Node], dict[str, StepStatus]]:
    count = draw(st.integers(1, 12))
    names = draw(st.permutations([f"s{number}" for number in range(count)]))
    nodes = [
        Node(name, *(draw(st.lists(st.sampled_from(names[:i]), max_size=3)) for _ in "na"))
        if i
        else Node(name)
        for i, name in enumerate(names)
    ]
    drawn = {name: draw(st.sampled_from(STATUSES)) for name in names}
    return draw(st.permutations(nodes)), drawn


def test_plan_survives_the_default_data_converter_of_temporal() -> None:
    converter = DataConverter.default.payload_converter
    undo = UndoPlan("delete", {"x": [1, None, {"y": "${{ steps.a.result.id }}"}]})
    step = PlannedStep(
        "a", {"en": "A"}, "make", {"n": 1}, [], ["b"], True, 0, 3.5, None, RetryPlan(), undo
    )
    plan = Plan("service", {"en": "S", "zh": "服务"}, [step], 60.0)
    assert converter.from_payloads(converter.to_payloads([plan]), [Plan]) == [plan]


def test_order_keeps_the_blueprints_order_where_the_graph_is_silent() -> None:
    steps = [
        PlannedStep("last", {"en": "L"}, "x", needs=["first"]),
        PlannedStep("first", {"en": "F"}, "x", after=["alone"]),
        PlannedStep("alone", {"en": "A"}, "x"),
        PlannedStep("other", {"en": "O"}, "x"),
    ]
    assert order(Plan("b", {"en": "B"}, steps, 1.0)) == ["alone", "first", "last", "other"]


def test_steps_that_wait_for_each_other_are_refused() -> None:
    with pytest.raises(CycleError):
        Graph([Node("a", ["b"]), Node("b", after=["a"])])


@given(graphs())
def test_order_respects_every_edge(drawn: tuple[list[Node], dict[str, StepStatus]]) -> None:
    nodes, _ = drawn
    position = {step: index for index, step in enumerate(Graph(nodes).order)}
    assert position.keys() == {node.step for node in nodes}
    for node in nodes:
        assert all(position[other] < position[node.step] for other in node.needs + node.after)


@given(graphs())
def test_ready_steps_are_pending_with_needs_completed_and_the_rest_ended(
    drawn: tuple[list[Node], dict[str, StepStatus]],
) -> None:
    nodes, now = drawn
    by_name = {node.step: node for node in nodes}
    graph = Graph(nodes)
    for step in graph.ready(now):
        assert now[step] == "pending"
        assert all(now[need] == "completed" for need in by_name[step].needs)
        assert all(now[other] in ENDED for other in by_name[step].after)
    assert not set(graph.ready(now)) & graph.to_skip(now).keys()
    assert not set(graph.ready(now)) & graph.blocked(now).keys()


@given(graphs(), st.randoms(use_true_random=False))
def test_every_run_ends_with_all_steps_ended_or_blocked(
    drawn: tuple[list[Node], dict[str, StepStatus]], random: object
) -> None:
    nodes, outcomes = drawn
    graph = Graph(nodes)
    now: dict[str, StepStatus] = {node.step: "pending" for node in nodes}
    while ready := graph.ready(now):
        step = random.choice(ready)  # type: ignore[attr-defined]
        assert all(now[other] in ENDED for other in graph.ancestors(step))
        now[step] = outcomes[step] if outcomes[step] in (*ENDED, "failed") else "completed"
        now |= dict.fromkeys(graph.to_skip(now), "skipped")
    pending = {step for step, status in now.items() if status == "pending"}
    assert pending == graph.blocked(now).keys()


@given(graphs())
def test_preview_tells_what_a_retry_then_really_runs(
    drawn: tuple[list[Node], dict[str, StepStatus]],
) -> None:
    nodes, outcomes = drawn
    graph = Graph(nodes)
    now: dict[str, StepStatus] = {node.step: "pending" for node in nodes}
    while ready := graph.ready(now):
        now[ready[0]] = outcomes[ready[0]] if outcomes[ready[0]] != "pending" else "completed"
        if now[ready[0]] == "running":
            now[ready[0]] = "failed"
        now |= dict.fromkeys(graph.to_skip(now), "skipped")
    failed = [step for step, status in now.items() if status == "failed"][:1]
    runs, keeps = graph.runs_on_retry(now, failed)
    assert keeps == [step for step in graph.order if now[step] == "completed"]
    ran = list(failed)
    now |= dict.fromkeys(failed, "completed")
    now |= dict.fromkeys(graph.to_skip(now), "skipped")
    while ready := graph.ready(now):
        ran.append(ready[0])
        now[ready[0]] = "completed"
        now |= dict.fromkeys(graph.to_skip(now), "skipped")
    assert sorted(ran) == sorted(runs)


def test_steps_that_wait_for_nothing_of_each_other_are_ready_together() -> None:
    assert DIAMOND.ready(states("PPPPPP")) == ["a", "f"]
    assert DIAMOND.ready(states("CPPPPR")) == ["b", "c"]
    assert DIAMOND.ready(states("CCRPPC")) == ["e"]


def test_step_that_needs_a_skipped_one_is_skipped_and_one_after_it_runs() -> None:
    now = states("CSCPPC")
    assert DIAMOND.to_skip(now) == {"d": "needs b, which was skipped"}
    assert DIAMOND.ready(now) == ["e"]


def test_skip_reaches_all_that_need_it_with_the_reason_naming_the_nearest() -> None:
    assert DIAMOND.to_skip(states("SPPPPC")) == {
        "b": "needs a, which was skipped",
        "c": "needs a, which was skipped",
        "d": "needs b and c, which were skipped",
    }


def test_step_is_not_skipped_before_all_it_waits_for_has_ended() -> None:
    assert DIAMOND.to_skip(states("CSRPPC")) == {}
    assert DIAMOND.to_skip(states("CSFPPC")) == {}


def test_failed_step_blocks_both_needs_and_after_near_and_far() -> None:
    now = states("CFCPPP")
    assert DIAMOND.ready(now) == ["f"]
    assert DIAMOND.blocked(now) == {"d": ["b"], "e": ["b"]}
    assert DIAMOND.blocked(states("CFFPPP")) == {"d": ["b", "c"], "e": ["b"]}


def test_followers_are_all_that_wait_for_a_step_in_order() -> None:
    assert DIAMOND.followers("a") == ["b", "c", "d", "e"]
    assert DIAMOND.followers("c") == ["d"]
    assert DIAMOND.followers("f") == []


@pytest.mark.parametrize(
    ("now", "steps", "runs", "keeps"),
    [
        ("CFCPPC", "b", "bde", "acf"),  # the failed step and what waited for it
        ("CFFPPC", "b", "be", "af"),  # d still waits for the other failed one
        ("CFFPPC", "bc", "bcde", "af"),
        ("CFRPPC", "b", "bde", "af"),  # c still runs; d follows when it is done
        ("CFCSSC", "b", "bde", "acf"),  # skipped by a cancel, run by the retry
        ("CFSSPC", "b", "be", "af"),  # d needs c, which stays skipped
        ("CCCCCF", "f", "f", "abcde"),
        ("SSSSSS", "abcdef", "abcdef", ""),
    ],
)
def test_retry_runs_what_failed_and_what_waited_for_it(
    now: str, steps: str, runs: str, keeps: str
) -> None:
    found = DIAMOND.runs_on_retry(states(now), list(steps))
    assert found == (list(runs), list(keeps))


def test_very_many_steps_are_looked_through_in_no_time() -> None:
    names = [f"step_{number}" for number in range(2000)]
    wide = Graph([Node("first"), *(Node(name, ["first"]) for name in names)])
    states: dict[str, StepStatus] = dict.fromkeys(wide.order, "pending")
    states["first"] = "completed"
    before = time.process_time()
    for _ in range(20):
        assert wide.to_skip(states) == {}
        assert len(wide.ready(states)) == len(names)
    assert time.process_time() - before < 1.0
    states["first"] = "skipped"
    assert set(wide.to_skip(states).values()) == {"needs first, which was skipped"}
