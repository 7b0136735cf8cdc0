"""Logs of steps: captured, kept, read and followed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx

from stepway.api.serving import GRACE
from stepway.cli.run.roles import running_api
from tests.acceptance.conftest import StartStepway
from tests.support.servers import Json, Stepway, eventually, write_blueprint

MODULES = ("tests.support.steps", "tests.support.logging_steps")


def path_of(project: str, step: str) -> str:
    return f"/api/projects/{project}/initialization/steps/{step}/logs"


async def read(stepway: Stepway, project: str, step: str, **query: Any) -> list[Json]:
    """The lines of the newest attempt, or of the one in `query`."""
    answer = await stepway.http.get(path_of(project, step), params=query)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines() if line]


async def complete(stepway: Stepway, project: str, step: str, **query: Any) -> list[Json]:
    """The lines, once the log is complete."""
    async with asyncio.timeout(60):
        found = await read(stepway, project, step, follow="true", **query)
    assert "end" in found[-1]
    return found


async def test_what_a_step_logs_is_kept_with_level_and_number(
    start_stepway: StartStepway, folder: Path
) -> None:
    lines = {"lines": ["first", "second\nthird"]}
    blueprint = write_blueprint(
        folder,
        [
            {"step": "logs", "uses": "log_lines", "with": lines},
            {"step": "thread", "uses": "log_in_thread", "with": lines},
            {"step": "prints", "uses": "print_lines", "with": lines},
        ],
    )
    async with start_stepway(modules=MODULES) as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "active")
        *found, end = await complete(stepway, project, "logs")
        told = {"seq": 5, "outcome": "completed", "complete": True, "superseded": False}
        assert end == {"end": told}
        assert [line["seq"] for line in found] == [1, 2, 3, 4, 5]
        assert [(line["level"], line["text"]) for line in found] == [
            ("info", "first"),
            ("info", "second"),
            ("info", "third"),
            ("error", "from a task"),
            ("warning", "from a thread"),
        ]
        assert [line["text"] for line in await read(stepway, project, "thread")] == [
            "first",
            "second",
            "third",
        ]
        printed = await read(stepway, project, "prints")
        assert [(line["stream"], line["text"]) for line in printed] == [
            ("stdout", "second"),
            ("stdout", "third"),
            ("stderr", "bad"),
        ]


async def test_a_running_step_is_followed_and_resumed_without_gap_or_duplicate(
    start_stepway: StartStepway, folder: Path
) -> None:
    given = {"lines": ["line"], "times": 500, "gate": "end"}
    step = {"step": "logs", "uses": "log_lines", "with": given}
    blueprint = write_blueprint(folder, [step])
    async with start_stepway(modules=MODULES) as stepway:
        project = await stepway.create(blueprint)

        async def has_lines() -> bool:
            if (await stepway.steps(project))["logs"]["status"] != "running":
                return False
            return len(await read(stepway, project, "logs")) == 502

        await eventually(has_lines)
        followers = [
            asyncio.create_task(complete(stepway, project, "logs", after=after))
            for after in (0, 0, 250, 501)
        ]
        await asyncio.sleep(0)
        stepway.open_gate("end")
        for after, follower in zip((0, 0, 250, 501), followers, strict=True):
            *lines, end = await follower
            assert [line["seq"] for line in lines] == list(range(after + 1, 503))
            assert end["end"]["outcome"] == "completed"
        assert [line["seq"] for line in await read(stepway, project, "logs", tail=3)] == [
            500,
            501,
            502,
        ]


async def test_an_api_that_stops_ends_a_followed_log_at_once_and_not_as_complete(
    start_stepway: StartStepway, folder: Path
) -> None:
    given = {"lines": ["line"], "gate": "end"}
    blueprint = write_blueprint(folder, [{"step": "logs", "uses": "log_lines", "with": given}])
    loop = asyncio.get_running_loop()
    async with start_stepway(modules=MODULES) as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "logs", "running")
        lines: list[Json] = []

        async def read_all(url: str) -> None:
            async with (
                httpx.AsyncClient(base_url=url, timeout=60) as http,
                http.stream("GET", path_of(project, "logs"), params={"follow": "true"}) as answer,
            ):
                async for line in answer.aiter_lines():
                    lines.append(json.loads(line))

        async with running_api(stepway.settings, "127.0.0.1", 0) as url:
            reader = asyncio.create_task(read_all(url))
            await eventually(lambda: _has(lines, 3))
            stopping = loop.time()
        assert loop.time() - stopping < GRACE
        await reader
        assert [line["seq"] for line in lines] == [1, 2, 3]
        stepway.open_gate("end")
        await stepway.until(project, "active")


async def _has(lines: list[Json], count: int) -> bool:
    return len(lines) >= count


async def test_output_of_a_command_is_kept_by_stream(
    start_stepway: StartStepway, folder: Path
) -> None:
    script = (
        "printf 'one\\ntwo\\r2\\n'; printf 'bad\\n' >&2; printf 'caf\\303'; printf '\\251'; exit 3"
    )
    steps = [
        {
            "step": "command",
            "uses": "run_command",
            "with": {"command": ["sh", "-c", script]},
            "retry": {"maximum_attempts": 1},
        }
    ]
    blueprint = folder / "commands.yaml"
    blueprint.write_text(json.dumps({"name": "commands", "steps": steps}))
    async with start_stepway(modules=MODULES) as stepway:
        project = await stepway.create("commands")
        await stepway.until(project, "failed")
        *found, end = await complete(stepway, project, "command")
        assert end["end"]["outcome"] == "failed"
        by_stream = {
            stream: [line["text"] for line in found if line["stream"] == stream]
            for stream in ("stdout", "stderr")
        }
        assert by_stream == {"stdout": ["one", "2", "café"], "stderr": ["bad"]}


async def test_a_command_in_a_terminal_shows_its_colours(
    start_stepway: StartStepway, folder: Path
) -> None:
    script = (
        "test -t 1 && test -t 2 && printf '\\033[32mgreen\\033[0m\\n10%%\\r99%%\\n' "
        "&& echo $TERM >&2"
    )
    command = {"command": ["sh", "-c", script], "terminal": True}
    steps = [{"step": "command", "uses": "run_command", "with": command}]
    (folder / "terminals.yaml").write_text(json.dumps({"name": "terminals", "steps": steps}))
    async with start_stepway(modules=MODULES) as stepway:
        project = await stepway.create("terminals")
        await stepway.until(project, "active")
        *found, _ = await complete(stepway, project, "command")
        lines = [(line["stream"], line["text"]) for line in found]
        assert lines == [
            ("stdout", "\x1b[32mgreen\x1b[0m"),
            ("stdout", "99%"),
            ("stdout", "xterm-256color"),
        ]
        plain = await stepway.http.get(
            path_of(project, "command"), headers={"Accept": "text/plain"}
        )
        assert plain.text == "green\n99%\nxterm-256color\n"
        # As before, without colours, where there is no log.
        (step,) = (await stepway.steps(project)).values()
        assert step["metadata"]["output"] == "green\n10%\n99%\nxterm-256color"
