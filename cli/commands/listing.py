"""`stepway list`, `steps`, `attempts` and `history`: the read commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, TypeAlias

import typer
from rich.text import Text

from stepway.cli.client.fold import from_snapshot, in_order
from stepway.cli.client.http import Api, Json, connect
from stepway.cli.view.invocation import command
from stepway.cli.view.output import console, print_json, print_table, say
from stepway.cli.view.summary import step_table
from stepway.cli.view.text import clean, date_and_clock, duration, headline, moment, one_line
from stepway.cli.view.words import STYLES, status_of, waited
from stepway_tracking.record.facts import ProjectStatus

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Project: TypeAlias = Annotated[str, typer.Argument(help="Project ID or name.")]

_PAGE = 100


def list_projects(
    status: Annotated[ProjectStatus | None, typer.Option(help="Filter by status.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of rows.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the projects, newest first."""
    projects = connect().projects(status=status, limit=min(limit, _PAGE))
    found = list(islice(projects, limit))
    if as_json:
        print_json(found)
    elif found:
        columns = ("Name", "Blueprint", "Status", "Progress", "Created")
        print_table(columns, (_project_row(project) for project in found))
    else:
        none = f"No projects yet. Create one: {command('create', 'NAME')}"
        say(f"No {status} projects." if status else none)


def steps(project: Project, as_json: AsJson = False) -> None:
    """List the steps of an initialization."""
    api = connect()
    project_id = api.find(project)
    if as_json:
        print_json(api.get(f"/projects/{project_id}/initialization/steps"))
        return
    state = from_snapshot(api.initialization(project_id))
    now = datetime.now(UTC)
    idle = f", idle for {time}" if (time := waited(state.project, now)) else ""
    progress = f"{state.progress:.0f}%{idle}"
    say(f"{state.project['name']}: {status_of(state.project)}, {progress} (ID {project_id})\n")
    rows = in_order(state)
    numbers = api.attempt_numbers(project_id, rows)
    console().print(step_table(rows, now, numbers))


def attempts(
    project: Project,
    step: Annotated[str, typer.Argument(help="Step name, as in `stepway steps --json`.")],
    as_json: AsJson = False,
) -> None:
    """List the attempts of a step, with their errors."""
    api = connect()
    project_id = api.find(project)
    found = list(api.attempts(project_id, step))
    if as_json:
        print_json(found)
        return
    if not found:
        say(f"No attempts{_why_none(api, project_id, step)}")
        return
    columns = ("Round", "Attempt", "Started", "Duration", "Outcome", "Error")
    print_table(columns, (_attempt_row(attempt) for attempt in found))


def history(
    project: Project,
    after: Annotated[int, typer.Option(min=0, help="Show only changes after this version.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of rows.")] = None,
    progress: Annotated[bool, typer.Option(help="Include progress updates.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the history of a project."""
    api = connect()
    found = list(islice(_events(api, api.find(project), after, progress), limit))
    if as_json:
        print_json(found)
        return
    columns = ("Version", "At", "Actor", "Action", "Step", "Detail")
    print_table(columns, (_event_row(event) for event in found))


def _events(api: Api, project_id: str, after: int, progress: bool) -> Iterator[Json]:
    path = f"/projects/{project_id}/initialization/history"
    following: int | None = after
    while following is not None:
        page = api.get(path, after=following, limit=_PAGE, progress=progress)
        yield from page["items"]
        following = page["next_after"] if page["items"] else None


def _project_row(project: Json) -> tuple[object, ...]:
    word = status_of(project)
    status = Text(word, STYLES.get(word, ""))
    created = date_and_clock(project["created_at"])
    return project["name"], project["blueprint"], status, f"{project['progress']:.0f}%", created


def _why_none(api: Api, project_id: str, name: str) -> str:
    """Return ` yet.`, or `: ` and why there are none: the step's error, or that it is a part."""
    steps = api.get(f"/projects/{project_id}/initialization/steps")
    step = next((step for step in steps if step["step"] == name), None)
    if step and step["parent_step"]:
        return f": it is a part of {step['parent_step']}, which has the attempts."
    return f": {clean(step['error'])}" if step and step["error"] else " yet."


def _attempt_row(attempt: Json) -> tuple[object, ...]:
    started, ended = moment(attempt["started_at"]), moment(attempt["ended_at"])
    took = duration((ended - started).total_seconds() * 1000) if started and ended else ""
    at, outcome = date_and_clock(attempt["started_at"]), attempt["outcome"] or "running"
    return attempt["round"], attempt["attempt"], at, took, outcome, headline(attempt["error"] or "")


def _event_row(event: Json) -> tuple[object, ...]:
    at = date_and_clock(event["at"])
    return event["version"], at, event["actor"], event["action"], event["step"], _detail(event)


def _detail(event: Json) -> str:
    """Return the parameters that a retry changed, the reason that a person gave, or the error."""
    payload = event.get("payload") or {}
    step = payload.get("step") or {}
    metadata = step.get("metadata") or {}
    if event["action"] == "retried":
        changed = (metadata.get("retry") or {}).get("parameters") or {}
        return headline(one_line(", ".join(_change(name, changed[name]) for name in changed)))
    if event["action"] == "undo_failed":
        return headline((metadata.get("undo") or {}).get("error") or "")
    return headline(payload.get("reason") or metadata.get("reason") or step.get("error") or "")


def _change(name: str, change: Json) -> str:
    """`region: us → eu`."""
    return f"{name}: {_value(change.get('from'))} → {_value(change.get('to'))}"


def _value(value: object) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
