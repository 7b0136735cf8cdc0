"""Each check of what is on a host finds its kind of violation, and none in a correct one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.faults.checks import Json, Record, record_faults
from tests.faults.hosts.blueprint import (
    ENVIRONMENTS,
    HOOK_URL,
    SECRET,
    VALUE,
    VARIABLE,
    expected_files,
)
from tests.faults.hosts.checks import ENTRIES, TOLERATED, host_faults
from tests.faults.hosts.forges import OTHER, TEAM
from tests.faults.hosts.seen import OnHost, SeenRepository
from tests.faults.summary import kind_of
from tests.support.canaries import Canaries, spellings

SECRETS = {"gitlab-registry": "of the registry", "gitlab-hook": "of the hook"}
RIGHT = SeenRepository(
    "acme/shop",
    {"main": ["c1"]},
    expected_files("shop"),
    sorted(ENVIRONMENTS),
    {SECRET: "of the registry"},
    {VARIABLE: VALUE},
    [(HOOK_URL, "of the hook")],
    ["main"],
    [OTHER],
    [f"acme/{TEAM}"],
)
DONE = OnHost([RIGHT], ENTRIES, ["Deploy local/shop"])
LEFT = {"steps": 3, "failed": 0, "rolled_back": 3, "without": 0}


def record(**changed: Any) -> Record:
    project: Json = {"name": "shop", "status": "active", "rollback": None, "version": 0}
    project |= {"initialization_completed_at": "now", **changed}
    return Record(project, [], [], [], [], "run")


def faults(seen: OnHost, **changed: Any) -> list[str]:
    return host_faults(record(**changed), seen, SECRETS, "gitlab")


def test_a_finished_project_and_one_that_was_rolled_back_are_right() -> None:
    assert faults(DONE) == []
    assert faults(OnHost(), status="cancelled", rollback=LEFT) == []
    again = ["Deploy local/shop", "Remove local/shop", "Deploy local/shop"]
    assert faults(replace(DONE, deployments=again)) == []
    assert faults(DONE, status="cancelled") == []


@pytest.mark.parametrize(
    "changed",
    [
        {"repositories": []},
        {"repositories": [RIGHT, RIGHT]},
        {"repositories": [replace(RIGHT, commits={"main": ["c2", "c1"]})]},
        {"repositories": [replace(RIGHT, commits={"main": ["c1"], "stepway/shop": ["c1"]})]},
        {"repositories": [replace(RIGHT, files=expected_files("other"))]},
        {"repositories": [replace(RIGHT, environments=["staging"])]},
        {"repositories": [replace(RIGHT, secrets={SECRET: "another"})]},
        {"repositories": [replace(RIGHT, variables={})]},
        {"repositories": [replace(RIGHT, hooks=[*RIGHT.hooks, *RIGHT.hooks])]},
        {"repositories": [replace(RIGHT, hooks=[(HOOK_URL, "another")])]},
        {"repositories": [replace(RIGHT, protections=[])]},
        {"repositories": [replace(RIGHT, collaborators=[])]},
        {"repositories": [replace(RIGHT, teams=[])]},
        {"entries": ENTRIES[1:]},
        {"entries": [*ENTRIES, "environment-test.yaml"]},
        {"deployments": ["Deploy local/shop", "Deploy local/shop"]},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_is_missing_or_double_is_found(changed: Json) -> None:
    [fault] = faults(replace(DONE, **changed))
    assert kind_of(fault) == "not exactly once"
    assert "another" not in fault


@pytest.mark.parametrize(
    ("seen", "rollback"),
    [
        (OnHost([RIGHT]), LEFT),
        (OnHost(entries=ENTRIES), LEFT),
        (OnHost(), {**LEFT, "failed": 1}),
    ],
    ids=["repository", "entries", "failed"],
)
def test_what_is_left_after_a_rollback_is_found(seen: OnHost, rollback: Json) -> None:
    error = "x was not rolled back"
    [fault] = faults(seen, status="cancelled", rollback=rollback, initialization_error=error)
    assert kind_of(fault) == "left behind"


@pytest.mark.parametrize(
    ("action", "error", "allowed"),
    [
        ("attempt_failed", "127.0.0.1:8000 limits the rate of requests; waiting", True),
        ("attempt_failed", "127.0.0.1:8000 answered 502", True),
        ("attempt_failed", "127.0.0.1 cannot be reached by Git: ProtocolError", True),
        ("failed", "127.0.0.1:8000 limits the rate of requests; waiting", False),
        ("failed", "127.0.0.1:8000 answered 502", False),
        ("failed", "127.0.0.1:8000 answered 401: Bad credentials", True),
        ("failed", "Cancelled by local.", True),
        ("attempt_failed", "The database cannot be reached", True),
        ("failed", "The database cannot be reached", False),
        ("attempt_failed", "ValueError: oops", False),
    ],
)
def test_a_step_may_fail_for_good_only_for_its_token(
    action: str, error: str, *, allowed: bool
) -> None:
    step = {"step": "a", "error": error, "status": "running", "parent_step": None}
    event = {"type": "step", "action": action, "step": "a", "payload": {"step": step}}
    found = [
        fault
        for fault in record_faults(
            replace(record(version=1), events=[{**event, "version": 1}], tolerated=TOLERATED)
        )
        if kind_of(fault) == "failed by others"
    ]
    assert (found == []) is allowed


@pytest.mark.parametrize(("status", "allowed"), [("cancelled", True), ("active", False)])
def test_a_cancel_may_end_the_retries_of_a_step(status: str, *, allowed: bool) -> None:
    error = "127.0.0.1:8000 answered 502"
    step = {"step": "a", "error": error, "status": "failed", "parent_step": None}
    event = {"type": "step", "action": "failed", "step": "a", "payload": {"step": step}}
    ended = record(version=1, status=status)
    found = record_faults(replace(ended, events=[{**event, "version": 1}], tolerated=TOLERATED))
    assert ("failed by others" not in map(kind_of, found)) is allowed


def test_a_secret_is_found_in_every_spelling() -> None:
    secret = "s3cret/with+signs and-a-space"
    canaries = Canaries()
    canaries.add("it", secret)
    for form in spellings(secret):
        assert canaries.in_text(f"x{form}x") == {"it"}
    assert canaries.in_text("nothing of the kind") == set()
