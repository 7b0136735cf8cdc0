"""Steps that write logs; workers load them with STEPWAY_STEP_MODULES."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio import activity

from stepway.activities.project import ProjectRef
from stepway.activities.registry import Resources
from stepway.steps import captured_output, step_error

LOGGER = logging.getLogger("acme.deploy")


LEVELS = {name: getattr(logging, name.upper()) for name in ("debug", "info", "warning", "error")}


@dataclass(frozen=True)
class LogInput:
    """Lines to log, and a file that the step waits for afterwards."""

    project: ProjectRef
    folder: str = ""
    name: str = ""
    lines: list[str] = field(default_factory=list)
    times: int = 1
    gate: str = ""
    error: str = ""


def step_activities(resources: Resources) -> Sequence[Callable[..., Any]]:
    """Return all activities of this module."""
    return (log_lines, log_in_thread, print_lines, talk)


@activity.defn
async def log_lines(given: LogInput) -> None:
    """Log in the coroutine, in a task and in a thread of it."""
    for _ in range(given.times):
        for line in given.lines:
            activity.logger.info(line)
    await asyncio.create_task(_log_in_task())
    await asyncio.to_thread(LOGGER.warning, "from a thread")
    gate = Path(given.folder) / f"{given.gate}.open"
    while given.gate and not gate.exists():  # noqa: ASYNC110 - another process makes the file
        await asyncio.sleep(0.05)
    if given.error:
        try:
            raise ValueError(given.error)
        except ValueError:
            LOGGER.exception("it failed")
            raise


async def _log_in_task() -> None:
    LOGGER.error("from a task")


@activity.defn
def log_in_thread(given: LogInput) -> None:
    """Log in a step that is a plain function."""
    for line in given.lines:
        activity.logger.info(line)


@activity.defn
def print_lines(given: LogInput) -> None:
    """Print the lines; the first outside of what is captured."""
    first, *others = given.lines
    print(first)
    with captured_output():
        for line in others:
            print(line)
        print("bad", file=sys.stderr)


@activity.defn
async def talk(given: LogInput) -> None:
    """Log what the test writes into `<name>.<run>.lines`, until an item ends the step.

    An item is a JSON object on a line: `{level, text}` is logged, by `{logger}` if there is one,
    `{print}` and `{error}` go to standard output and standard error, `{fail}` fails the step, and
    `{}` completes it. With `{times}`, an item is repeated, and its `#` stands for its number.
    """
    names = (f"{given.name}.{run}" for run in itertools.count(1))
    name = next(name for name in names if not (Path(given.folder) / f"{name}.taken").exists())
    (Path(given.folder) / f"{name}.taken").touch()
    file = Path(given.folder) / f"{name}.lines"
    done = 0
    logger = logging.getLogger("acme.talk")
    logger.setLevel(logging.DEBUG)
    while True:
        activity.heartbeat()
        # The end of the file may be half a line.
        items = file.read_text().split("\n")[:-1] if file.exists() else []
        for item in map(json.loads, items[done:]):
            if not item:
                return
            _say(logger, item)
        done = len(items)
        await asyncio.sleep(0.05)


def _say(logger: logging.Logger, item: dict[str, Any]) -> None:
    if "fail" in item:
        raise step_error(item["fail"], retry=False)
    for number in range(1, item.get("times", 1) + 1):
        if "text" in item:
            level = LEVELS[item.get("level", "info")]
            named = logging.getLogger(item["logger"]) if "logger" in item else logger
            named.log(level, item["text"].replace("#", str(number)))
            continue
        with captured_output():
            if "print" in item:
                print(item["print"].replace("#", str(number)))
            else:
                print(item["error"].replace("#", str(number)), file=sys.stderr)
