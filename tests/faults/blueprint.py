"""The project type that the fault run initializes."""

from __future__ import annotations

from pathlib import Path

from tests.faults.checks import Json
from tests.faults.injections import ATTEMPTS, HEARTBEAT, ONCE, TIMEOUT
from tests.support.servers import write_blueprint

NAME, STEADY, ONE_STEP = "faulty", "steady", "one-step"
HELD = "held"
LONGEST_ROUND = 900.0
"""Seconds that a round may take; with outages of minutes, minutes."""

QUICK = {"maximum_attempts": 0, "initial_interval": 0.2, "maximum_interval": 1}


def write_faulty_blueprint(folder: Path) -> None:
    """A project type with parallel, slow, flaky, skipped and failing steps, and with sub-steps."""
    step = {"heartbeat": HEARTBEAT, "timeout": 30, "retry": QUICK}
    steps: list[Json] = [
        {"step": "quick", "needs": [], "with": {"seconds": 0.3}},
        {"step": "slow", "needs": [], "with": {"seconds": 1.5}},
        {"step": "parts", "uses": "say", "needs": ["quick"]},
        {"step": "flaky", "uses": "flaky", "needs": ["quick"], "with": {"times": 1}},
        {"step": "slower", "needs": ["slow"], "with": {"seconds": 2.5}},
        {
            "step": "fails",
            "uses": "flaky",
            "needs": ["parts"],
            "with": {"times": 1},
            "retry": {"maximum_attempts": 1},
        },
        {"step": "nothing", "uses": "leave", "needs": ["parts"]},
        {"step": "last", "needs": ["slower", "fails", "flaky"], "after": ["nothing"]},
    ]
    parameters = {"type": "object", "properties": {"folder": {"type": "string"}}}
    for one in steps:
        one["with"] = {"folder": "${{ parameters.folder }}", **one.get("with", {})}
    write_blueprint(folder, [{**step, **one} for one in steps], NAME, parameters=parameters)


def write_steady_blueprint(folder: Path) -> None:
    """A project type with steps that never fail by themselves and have few attempts, or one.

    The step `held` runs until the file `held.open` exists.
    """
    few = {"timeout": TIMEOUT, "retry": {**QUICK, "maximum_attempts": ATTEMPTS}}
    once = {"retry": {**QUICK, "maximum_attempts": 1}}
    held = {"seconds": LONGEST_ROUND}
    steps: list[Json] = [
        {"step": HELD, "uses": "gate", "needs": [], "timeout": LONGEST_ROUND, "with": held, **once},
        {"step": f"{ONCE}_1", "needs": [], "with": {"seconds": 0.5}, **once},
        {"step": f"{ONCE}_2", "needs": [f"{ONCE}_1"], "with": {"seconds": 2.0}, **once},
        {"step": f"{ONCE}_3", "needs": [f"{ONCE}_2"], "with": {"seconds": 0.1}, **once},
        {"step": "few_1", "needs": [], "with": {"seconds": 1.0}, **few},
        {"step": "few_2", "needs": ["few_1"], "with": {"seconds": 0.2}, **few},
        {"step": "few_3", "needs": ["few_2"], "with": {"seconds": 1.0}, **few},
        {"step": "few_4", "uses": "say", "needs": ["few_3"], **few},
        {"step": f"{ONCE}_last", "needs": [HELD, f"{ONCE}_3", "few_4"], **once},
    ]
    parameters = {"type": "object", "properties": {"folder": {"type": "string"}}}
    for one in steps:
        one["with"] = {"folder": "${{ parameters.folder }}", **one.get("with", {})}
    steps = [{"timeout": 30, **one} for one in steps]
    write_blueprint(folder, steps, STEADY, parameters=parameters)


def write_one_step_blueprint(folder: Path) -> None:
    """A project type with one step that works for the given number of seconds."""
    step: Json = {"step": "only", "heartbeat": HEARTBEAT, "retry": QUICK}
    step["with"] = {"seconds": "${{ parameters.seconds }}"}
    parameters = {"type": "object", "properties": {"seconds": {"type": "number"}}}
    write_blueprint(folder, [step], ONE_STEP, parameters=parameters)
