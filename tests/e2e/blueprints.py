"""The blueprints of the browser tests. The name of a gate contains the project's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.servers import write_blueprint

HOSTILE = "<img src=x onerror=\"document.title='hacked'\">"
HUGE = f"{HOSTILE} " + "The build printed this line.\n" * 3_500
"""An error of 100 kB with markup at its start."""

Steps = list[dict[str, Any]]


def gate(name: str, **more: Any) -> dict[str, Any]:
    """A step that waits until the test opens `<project>-<name>`."""
    return {"step": name, "uses": "gate", "with": {"name": gate_of(name)}, **more}


def gate_of(name: str) -> str:
    """Return the reference to the gate's name for a blueprint."""
    return "${{ project.name }}-" + name


def write_blueprints(folder: Path) -> None:
    """Write all blueprints as files that the catalog loads."""
    for name, steps in BLUEPRINTS.items():
        for undo in (step["undo"] for step in steps if "undo" in step):
            undo["with"] = {"folder": str(folder), **undo.get("with", {})}
        title = {"en": f"The {name} one", "zh": f"{name} 蓝图"}
        parameters = PARAMETERS.get(name)
        more = {"parameters": parameters} if parameters else {}
        write_blueprint(folder, steps, name, title=title, **more)


def _named(step: dict[str, Any], en: str, zh: str) -> dict[str, Any]:
    return {**step, "display_name": {"en": en, "zh": zh}}


BLUEPRINTS: dict[str, Steps] = {
    "journey": [
        _named({"step": "prepare"}, "Prepare the ground", "准备环境"),
        _named(gate("compile"), "Compile the code", "编译代码"),
        _named({"step": "parts", "uses": "say"}, "Report in parts", "分步报告"),
        _named(gate("publish"), "Publish the result", "发布结果"),
    ],
    "fixable": [
        _named({"step": "prepare"}, "Prepare the ground", "准备环境"),
        _named(
            {"step": "connect", "uses": "fixable", "with": {"value": "${{ parameters.value }}"}},
            "Connect the parts",
            "连接组件",
        ),
        _named(gate("publish"), "Publish the result", "发布结果"),
    ],
    "skippable": [
        _named({"step": "prepare"}, "Prepare the ground", "准备环境"),
        _named({"step": "docs", "uses": "broken", "optional": True}, "Write the docs", "撰写文档"),
        _named({"step": "publish"}, "Publish the result", "发布结果"),
    ],
    "undoable": [
        {"step": "first", "undo": {"uses": "gate", "with": {"name": gate_of("undo")}}},
        {"step": "second", "undo": {"uses": "stubborn_undo"}},
        gate("long"),
    ],
    "limited": [{"step": "ask", "uses": "limited", "with": {"seconds": 3_600}}],
    "unclaimed": [{"step": "far", "queue": "nowhere"}],
    "deaf": [{"step": "deaf", "uses": "deaf_coroutine", "with": {"name": gate_of("deaf")}}],
    "steady": [gate("steady")],
    "hostile": [
        {
            "step": "noisy",
            "display_name": HOSTILE,
            "uses": "fixable",
            "with": {"value": HUGE},
        }
    ],
    "together": [
        {"step": "start"},
        gate("left", needs=["start"]),
        gate("right", needs=["start"]),
        {"step": "join", "needs": ["left", "right"]},
    ],
    "talking": [
        {"step": "prepare"},
        _named(
            {"step": "talk", "uses": "talk", "with": {"name": gate_of("talk")}},
            "Build and publish the image",
            "构建并发布镜像",
        ),
    ],
    "many": [
        *({"step": f"step_{number}", "uses": "noop"} for number in range(1, 20)),
        {
            **gate("step_20"),
            "display_name": "A step whose name tells a whole story, from the beginning to its end",
        },
        *({"step": f"a_step_that_is_named_at_great_length_{n}"} for n in range(21, 31)),
    ],
    "stubborn": [
        {
            "step": "flaky",
            "uses": "flaky",
            "with": {"name": gate_of("flaky"), "times": 2},
            "retry": {"maximum_attempts": 5, "initial_interval": 3.0, "backoff_coefficient": 1.0},
        }
    ],
}

PARAMETERS: dict[str, dict[str, Any]] = {
    "fixable": {
        "type": "object",
        "required": ["value"],
        "additionalProperties": False,
        "properties": {
            "value": {
                "type": "string",
                "title": "Value",
                "default": "bad",
                "maxLength": 200,
            },
            "port": {"type": "integer", "title": "Port", "minimum": 1024, "default": 8080},
        },
    }
}
