"""The results and errors that fit into the input of a run."""

from __future__ import annotations

import json

from stepway.workflows.model.fitting import fitting_errors, fitting_results


def test_results_go_along_until_there_is_no_room() -> None:
    results = {"a": "x" * 100, "b": "x" * 1000, "c": 7}
    assert fitting_results(results, 500) == ({"a": "x" * 100, "c": 7}, ["b"])
    assert fitting_results(results, 0) == ({}, ["a", "b", "c"])
    assert fitting_results(results, 10_000) == (results, [])


def test_exact_room_is_enough() -> None:
    room = len(json.dumps({"a": "é"}))
    assert fitting_results({"a": "é"}, room) == ({"a": "é"}, [])
    assert fitting_results({"a": "é"}, room - 1) == ({}, ["a"])


def test_of_long_errors_the_beginning_goes_along() -> None:
    errors = {"a": "short", "b": "é" * 100_000}
    fitting = fitting_errors(errors, 60_000)
    assert fitting["a"] == "short"
    assert fitting["b"].startswith("ééé")
    assert fitting["b"].endswith("…")
    assert len(json.dumps(fitting)) <= 61_000


def test_errors_keep_their_beginning_whatever_the_room() -> None:
    assert fitting_errors({"a": "x" * 1000}, -5) == {"a": "x" * 200 + "…"}
    assert fitting_errors({}, 100) == {}
