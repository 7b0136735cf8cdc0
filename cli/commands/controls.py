"""`stepway retry`, `skip` and `cancel`: what a person may do to an initialization."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from stepway.cli.client.errors import AnswerLost, ClientError
from stepway.cli.client.http import Api, Json, connect, step_path
from stepway.cli.client.parameters import Parameters, parse_parameters
from stepway.cli.view.output import confirmed, say

Project: TypeAlias = Annotated[str, typer.Argument(help="Id or name.")]
Step: TypeAlias = Annotated[str, typer.Argument(help="The step's name, as in `steps --json`.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def retry(
    project: Project,
    step: Annotated[
        str | None, typer.Argument(help="The step's name. Without it: all that failed.")
    ] = None,
    param: Parameters = None,
    yes: Yes = False,
) -> None:
    """Run a failed step again and what needs it, or all that failed."""
    changed = parse_parameters(param)
    if changed and step is None:
        raise typer.BadParameter("changed parameters need a STEP", param_hint="--param")
    api = connect()
    project_id = api.find(project)
    if step is None:
        _ask(f"Retry all of {project} that failed?", yes)
        _control(api, project, f"/projects/{project_id}/initialization/retry", {})
        say(f"Retrying {project}. Watch it: stepway watch {project}")
        return
    path = step_path(project_id, step, "retry")
    _show_preview(api.get(path))
    _ask(f"Retry {step} of {project}?", yes)
    _control(api, project, path, {"parameters": changed} if changed else {})
    say(f"Retrying {step}. Watch it: stepway watch {project}")


def skip(
    project: Project,
    step: Step,
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")],
    yes: Yes = False,
) -> None:
    """Go on without a failed step, where the blueprint allows it."""
    api = connect()
    path = step_path(api.find(project), step, "skip")
    _ask(f"Go on without {step} of {project}?", yes)
    _control(api, project, path, {"reason": reason})
    say(f"Skipped {step}. Watch it: stepway watch {project}")


def cancel(
    project: Project,
    undo: Annotated[
        bool, typer.Option("--undo", help="Also take back what the steps made.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Stop an initialization."""
    api = connect()
    project_id = api.find(project)
    found = api.initialization(project_id)
    # What has ended is for the API to refuse, without a question first.
    if found["project"]["initialization_completed_at"] is None:
        _show_cancel(found["steps"], undo)
        _ask(f"Cancel the initialization of {project}?", yes)
    _control(api, project, f"/projects/{project_id}/initialization/cancel", {"undo": undo})
    say(f"Cancelling {project}. Watch it: stepway watch {project}")


def _control(api: Api, project: str, path: str, body: Json) -> None:
    try:
        api.post(path, body)
    except AnswerLost as error:
        message = f"{error}; `stepway watch {project}` shows whether it was taken"
        raise ClientError(message) from error


def _ask(question: str, yes: bool) -> None:
    if not confirmed(question, yes):
        say("Nothing was done.")
        raise typer.Exit(1)


def _show_preview(preview: Json) -> None:
    say(f"Will run:   {_names(preview['runs'])}")
    say(f"Stays done: {_names(preview['keeps'])}")
    for made in preview.get("objects", []):
        what = ", ".join(f"{name} {value}" for name, value in made["what"].items() if plain(value))
        say(f"Exists:     {made['display_name']}: {what}")


def plain(value: object) -> bool:
    """Whether a value reads well in a line."""
    return isinstance(value, str | int | float) and value != ""


def _show_cancel(steps: list[Json], undo: bool) -> None:
    by_status: dict[str, list[str]] = {}
    for step in steps:
        if not step["parent_step"]:
            by_status.setdefault(step["status"], []).append(step["step"])
    say(f"Stops:      {_names(by_status.get('running', []))}")
    say(f"Never runs: {_names(by_status.get('pending', []))}")
    done = by_status.get("completed", [])
    say(f"Takes back: {_names(done[::-1])}" if undo else f"Stays:      {_names(done)}")


def _names(steps: list[str]) -> str:
    return ", ".join(steps) or "nothing"
