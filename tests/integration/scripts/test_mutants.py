"""Mutation testing finds the one fault that the example's tests miss, and no other."""

from __future__ import annotations

import pickle
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from stepway.runtime.settings import Settings
from tests.mutants import swapping
from tests.mutants.__main__ import report, score
from tests.mutants.example import grading
from tests.mutants.judged import as_toml, judged
from tests.mutants.mutant import Key
from tests.mutants.one_target import sample
from tests.mutants.orders import Answer, Order
from tests.mutants.python import mutants_of as mutants_of_python
from tests.mutants.sql import mutants_of as mutants_of_sql
from tests.mutants.targets import ROOT, Target

EXAMPLE = ROOT / "tests" / "mutants" / "example"
TARGET = Target(EXAMPLE / "grading.py", (EXAMPLE / "test_grading.py",))


@cache
def run(no_faults: frozenset[Key] = frozenset()) -> Answer:
    order = Order(TARGET, 1000, no_faults, Settings(), patience=3.0)
    process = subprocess.run(
        [sys.executable, "-m", "tests.mutants.one_target"],
        cwd=ROOT,
        input=pickle.dumps(order),
        stdout=subprocess.PIPE,
        check=True,
    )
    answer: Answer = pickle.loads(process.stdout)
    return answer


def test_survivors_are_the_mutants_of_the_bound_that_no_test_meets() -> None:
    survivors = {(row.was, row.becomes) for row in run().rows if row.verdict == "survived"}
    assert survivors == {
        ("if points > 50:", "if points >= 50:"),
        ("if points > 50:", "if points > 51:"),
    }


def test_mutants_are_killed_in_functions_and_in_constants() -> None:
    killed = {(row.function, row.was, row.becomes) for row in run().rows if row.verdict == "killed"}
    assert ("grade", "if points >= 90:", "if points > 90:") in killed
    assert ("", "PASSES = ['A', 'B']", "PASSES = ['A']") in killed
    assert ("passes", "return grade(points) in PASSES", "return None") in killed


def test_mutants_that_never_end_are_stopped_and_count_as_noticed() -> None:
    assert {row.function for row in run().rows if row.verdict == "timed out"} == {"next_even"}


def test_judged_mutants_do_not_count_and_those_that_are_none_are_named() -> None:
    missed = frozenset(
        (row.function, row.was, row.becomes) for row in run().rows if row.verdict == "survived"
    )
    gone = ("grade", "if points > 60:", "if points >= 60:")
    answer = run(missed | {gone})
    assert not [row for row in answer.rows if row.verdict == "survived"]
    assert score(answer) == 100
    assert answer.outdated == [gone]


def test_report_names_place_and_change_of_each_survivor_and_the_score() -> None:
    text = report(TARGET, run(), toml=False)
    assert "grading.py:14 in grade\n  - if points > 50:\n  + if points >= 50:" in text
    assert text.splitlines()[-1].startswith("tests/mutants/example/grading.py: ")
    assert 80 < score(run()) < 95


def test_entry_that_is_printed_is_the_one_that_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entry = as_toml("a.py", "f", "if a > 'b':", "if a >= 'b':")
    file = tmp_path / "judged.toml"
    file.write_text(entry)
    monkeypatch.setattr("tests.mutants.judged.FILE", file)
    with pytest.raises(ValueError, match="no reason"):
        judged("a.py")
    file.write_text(entry.replace('why = ""', 'why = "The same."'))
    assert judged("a.py") == {("f", "if a > 'b':", "if a >= 'b':")}


def test_sample_takes_of_each_function_in_turn_and_is_always_the_same() -> None:
    mutants = list(mutants_of_python(TARGET.file))
    few = sample(mutants, 4)
    assert {mutant.function for mutant in few} == {"", "grade", "passes", "next_even"}
    assert few == sample(mutants, 4)


SQL = """CREATE FUNCTION f(p integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  -- The first OR the second.
  UPDATE t SET a = 1, b = coalesce(b, p) WHERE id = p AND c IS NULL;
  IF p > 0 THEN RETURN 1; END IF;
  RETURN 2;
END $$;
"""


def test_mutants_of_sql(tmp_path: Path) -> None:
    file = tmp_path / "f.sql"
    file.write_text(SQL)
    update = "UPDATE t SET a = 1, b = coalesce(b, p) WHERE id = p AND c IS NULL;"
    made = {mutant.becomes for mutant in mutants_of_sql(file) if mutant.was == update}
    assert {
        "UPDATE t SET b = coalesce(b, p) WHERE id = p AND c IS NULL;",
        "UPDATE t SET a = 1 WHERE id = p AND c IS NULL;",
        "UPDATE t SET a = 1, b = (b) WHERE id = p AND c IS NULL;",
        "UPDATE t SET a = 1, b = coalesce(b, p) WHERE id <> p AND c IS NULL;",
        "UPDATE t SET a = 1, b = coalesce(b, p) WHERE id = p OR c IS NULL;",
        "UPDATE t SET a = 1, b = coalesce(b, p) WHERE id = p AND true ;",
        "UPDATE t SET a = 1, b = coalesce(b, p) WHERE id = p AND c IS NOT NULL;",
    } <= made
    assert all("a <> 1" not in each for each in made)
    assert {mutant.line for mutant in mutants_of_sql(file)} == {4, 5, 6}


def test_constant_that_becomes_none_replaces_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grading, "LIMIT", "a text of its own", raising=False)
    old = vars(grading)["LIMIT"]
    assert not swapping._carry("LIMIT", old, old)
    assert swapping._carry("LIMIT", old, None)
    assert vars(grading)["LIMIT"] is None
