"""`stepway retry`, `skip` and `cancel`: the controls of an initialization."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from stepway.cli.client.errors import AnswerLost, ClientError
from stepway.cli.client.http import Api, Json, connect, step_path
from stepway.cli.client.parameters import Parameters, parse_pairs, schema_of, typed
from stepway.cli.view.invocation import command
from stepway.cli.view.output import can_ask, confirmed, say, say_error

Project: TypeAlias = Annotated[str, typer.Argument(help="Project ID or name.")]
Step: TypeAlias = Annotated[str, typer.Argument(help="Step name, as in `stepway steps --json`.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Skip the confirmation.")]


def retry(
    project: Project,
    step: Annotated[
        str | None, typer.Argument(help="Step name. Without it, all failed steps are retried.")
    ] = None,
    param: Parameters = None,
    yes: Yes = False,
) -> None:
    """Retry a failed step and the steps that depend on it, or all failed steps."""
    pairs = parse_pairs(param)
    if pairs and step is None:
        raise typer.BadParameter("requires a STEP", param_hint="--param")
    api = connect()
    project_id = api.find(project)
    if step is None:
        path = f"/projects/{project_id}/initialization/retry"
        _show_preview(api.get(path))
        _ask(f"Retry all failed steps of {project}?", yes)
        _control(api, project, path, {})
        say(f"Retrying {project}. {_watch(project)}")
        return
    changed = typed(pairs, _schema(api, project_id)) if pairs else {}
    path = step_path(project_id, step, "retry")
    _show_preview(api.get(path))
    _ask(f"Retry {step} of {project}?", yes)
    _control(api, project, path, {"parameters": changed} if changed else {})
    say(f"Retrying {step}. {_watch(project)}")


def skip(
    project: Project,
    step: Step,
    reason: Annotated[str, typer.Option(help="Reason, recorded in the history.")],
    yes: Yes = False,
) -> None:
    """Skip a failed step that the blueprint marks as optional."""
    api = connect()
    path = step_path(api.find(project), step, "skip")
    _ask(f"Skip {step} of {project}?", yes)
    _control(api, project, path, {"reason": reason})
    say(f"Skipped {step}. {_watch(project)}")


def cancel(
    project: Project,
    undo: Annotated[bool, typer.Option("--undo", help="Also roll back completed steps.")] = False,
    yes: Yes = False,
) -> None:
    """Cancel an initialization.

    Without a terminal to ask at, it requires --yes.
    """
    _require_yes("cancel", yes)
    api = connect()
    project_id = api.find(project)
    path = f"/projects/{project_id}/initialization/cancel"
    # If it cannot be cancelled, the API says so here: do not ask first.
    preview = api.get(path)
    _show_cancel(api.initialization(project_id)["steps"], preview, undo)
    _ask(f"Cancel the initialization of {project}?", yes)
    _control(api, project, path, {"undo": undo})
    say(f"Cancelling {project}. {_watch(project)}")


def _schema(api: Api, project_id: str) -> Json:
    return schema_of(api, api.get(f"/projects/{project_id}")["blueprint"])


def _control(api: Api, project: str, path: str, body: Json) -> None:
    try:
        api.post(path, body)
    except AnswerLost as error:
        message = f"{error}; run `stepway watch {project}` to see whether it was accepted"
        raise ClientError(message) from error


def _watch(project: str) -> str:
    return f"Follow progress: {command('watch', project)}"


def _require_yes(name: str, yes: bool) -> None:
    if not (yes or can_ask()):
        say_error(f"`{name}` asks first, and there is no terminal to ask at: add --yes")
        raise typer.Exit(2)


def _ask(question: str, yes: bool) -> None:
    if not confirmed(question, yes):
        say("Nothing was changed.")
        raise typer.Exit(1)


def _show_preview(preview: Json) -> None:
    say(f"Will run: {_names(preview['runs'])}")
    say(f"Kept:     {_names(preview['keeps'])}")
    for made in preview.get("objects", []):
        what = ", ".join(
            f"{name} {value}" for name, value in made["what"].items() if _is_scalar(value)
        )
        say(f"Reused:   {made['display_name']}: {what}")


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float) and value != ""


def _show_cancel(steps: list[Json], preview: Json, undo: bool) -> None:
    by_status: dict[str, list[str]] = {}
    for step in steps:
        if not step["parent_step"]:
            by_status.setdefault(step["status"], []).append(step["step"])
    stopped = by_status.get("running", [])
    # The API also keeps what a running step has made so far; here it has its line already.
    keeps = [step for step in preview["keeps"] if step not in stopped]
    say(f"Will stop:      {_names(stopped)}")
    say(f"Will skip:      {_names(by_status.get('pending', []))}")
    if undo:
        say(f"Will roll back: {_names(preview['rolls_back'])}")
        say(f"Kept:           {_names(keeps)}")
    else:
        kept = {*preview["rolls_back"], *keeps} - {*stopped}
        say(f"Kept:           {_names([one['step'] for one in steps if one['step'] in kept])}")


def _names(steps: list[str]) -> str:
    return ", ".join(steps) or "none"
