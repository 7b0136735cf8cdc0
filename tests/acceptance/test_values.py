"""Values on their way from parameters and results into commands and templates."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.acceptance.conftest import StartStepway
from tests.support.servers import Json

PARAMETERS = {
    "type": "object",
    "properties": {
        "public": {"type": "boolean", "default": False},
        "tag": {"type": "string"},
        "python": {"type": "string"},
        "hosts": {"type": "array", "default": ["a", "b"]},
    },
}
SHOW = 'echo "$1 $PUBLIC ${TAG-unset} $HOSTS"'
STEPS = [
    {
        "step": "show",
        "uses": "run_command",
        "with": {
            "command": ["/bin/sh", "-c", SHOW, "sh", "${{ parameters.public }}"],
            "directory": "${{ parameters.tag }}",
            "environment": {
                "PUBLIC": "${{ parameters.public }}",
                "TAG": "${{ parameters.tag }}",
                "HOSTS": "${{ parameters.hosts }}",
            },
        },
    },
    {"step": "create_repository", "uses": "create_repository"},
    {
        "step": "push_template",
        "uses": "push_template",
        "with": {"template": "Mine", "variables": {"python": "${{ parameters.python }}"}},
    },
    {
        "step": "version",
        "uses": "run_command",
        "with": {"command": ["/bin/cat", "version"]},
    },
    {
        "step": "tagged",
        "uses": "run_command",
        "with": {"command": ["/bin/echo", "--tag", "${{ parameters.tag }}"]},
    },
]


async def test_values_become_text_by_one_rule_and_absent_ones_are_left_out(
    start_stepway: StartStepway, folder: Path
) -> None:
    definition = {"name": "values", "parameters": PARAMETERS, "steps": STEPS}
    (folder / "values.yaml").write_text(yaml.safe_dump(definition, sort_keys=False))
    (folder / "Mine").mkdir()
    (folder / "Mine" / "copier.yml").write_text("python: {type: str, default: '3.12'}\n")
    (folder / "Mine" / "version.jinja").write_text("{{ python }}")
    async with start_stepway() as stepway:
        project = await stepway.create("values")
        failed = await stepway.until_step(project, "tagged", "failed")
        steps = await stepway.steps(project)

        assert steps["show"]["metadata"]["output"] == 'false false unset ["a", "b"]'
        assert steps["version"]["metadata"]["output"] == "3.12"
        assert "refers to parameters.tag, which has no value" in failed["error"]
        assert failed["attempt"] == 1


async def failed(start_stepway: StartStepway, folder: Path, step: Json, parameters: Json) -> Json:
    """Run a blueprint with this step alone until the step has failed; return its row."""
    definition = {"name": "alone", "parameters": PARAMETERS, "steps": [step]}
    (folder / "alone.yaml").write_text(yaml.safe_dump(definition))
    async with start_stepway() as stepway:
        project = await stepway.create("alone", **parameters)
        return await stepway.until_step(project, step["step"], "failed")


async def test_a_required_argument_without_a_value_is_named(
    start_stepway: StartStepway, folder: Path
) -> None:
    push = {
        "step": "push",
        "uses": "push_template",
        "with": {"template": "${{ parameters.tag }}"},
        "retry": {"maximum_attempts": 1},
    }
    row = await failed(start_stepway, folder, push, {})
    assert row["error"] == (
        "The arguments in `with` do not fit the step's input: argument 'template' is missing"
    )


async def test_a_reference_to_a_value_of_a_wrong_type_is_named_with_what_is_expected(
    start_stepway: StartStepway, folder: Path
) -> None:
    run = {
        "step": "run",
        "uses": "run_command",
        "with": {"command": "${{ parameters.tag }}"},
        "retry": {"maximum_attempts": 3},
    }
    row = await failed(start_stepway, folder, run, {"tag": "echo hi"})
    assert row["error"] == (
        "The arguments in `with` do not fit the step's input: argument 'command' must be a "
        "list, not text"
    )
    assert "another value of the parameter" in row["metadata"]["remedy"]
    assert row["attempt"] <= 1
