"""The project type that the fault run initializes."""

from __future__ import annotations

from pathlib import Path

from tests.faults.checks import Json
from tests.faults.injections import HEARTBEAT
from tests.support.servers import write_blueprint

NAME, ONE_STEP = "faulty", "one-step"
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


def write_one_step_blueprint(folder: Path) -> None:
    """A project type with one step that works for the given number of seconds."""
    step: Json = {"step": "only", "heartbeat": HEARTBEAT, "retry": QUICK}
    step["with"] = {"seconds": "${{ parameters.seconds }}"}
    parameters = {"type": "object", "properties": {"seconds": {"type": "number"}}}
    write_blueprint(folder, [step], ONE_STEP, parameters=parameters)
