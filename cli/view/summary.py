"""The summary after `stepway watch`: steps, result, errors, created objects, next commands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stepway.cli.client.fold import Initialization, Step, in_order
from stepway.cli.view.invocation import command
from stepway.cli.view.text import counted, excerpt, one_line
from stepway.cli.view.words import (
    ICONS,
    STYLES,
    details_of,
    elapsed,
    error_of,
    error_style,
    metadata_of,
    name_of,
    remedy_of,
    shown_status,
    step_waited,
    taken,
    wait_of,
    waited,
)

_ERROR_LINES = 20
_VERBS = {"failed": " ", "cancelled": " was "}


def summary(
    state: Initialization,
    now: datetime,
    attempts: Mapping[str, int] | None = None,
    changeable: Mapping[str, Sequence[str]] | None = None,
) -> RenderableType:
    """Return the summary of an initialization.

    `attempts` are the numbers of all attempts by step, as in `step_table`; `changeable` the
    parameters that the retry of a step may change.
    """
    return Group(
        step_table(in_order(state), now, attempts),
        Text(),
        _verdict(state, now),
        *_rollback(state),
        *_skips(state),
        *_errors(state, changeable or {}),
        *_made(state),
    )


def step_table(
    steps: Sequence[Step], now: datetime, attempts: Mapping[str, int] | None = None
) -> Table:
    """Return a table with a row per step: name, status, duration, attempts, idle time, and what
    steps wait for.

    `attempts` has the number of attempts of the steps that ran in several rounds: a step has that
    of its last round only.
    """
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("Step", overflow="fold")
    table.add_column("Status", no_wrap=True)
    table.add_column("Duration", justify="right", no_wrap=True)
    table.add_column("Attempts", justify="right", no_wrap=True)
    waits = [step_waited(step) for step in steps]
    if any(waits):
        table.add_column("Idle", justify="right", no_wrap=True)
    remarks = [wait_of(step, now) for step in steps]
    if any(remarks):
        table.add_column("Waiting", overflow="fold")
    for step, wait, text in zip(steps, waits, remarks, strict=True):
        more = [Text(wait)] if any(waits) else []
        more += [Text(text, "yellow")] if any(remarks) else []
        table.add_row(*_cells(step, now, attempts or {}), *more)
    return table


def _cells(step: Step, now: datetime, attempts: Mapping[str, int]) -> tuple[Text, Text, Text, Text]:
    shown = shown_status(step)
    style = STYLES[shown]
    nested = bool(step.get("parent_step"))
    label = Text.assemble("  " * nested, (ICONS[shown], style), " ", name_of(step))
    status = f"{shown}, rolled back" if step.get("undone_at") else shown
    number = attempts.get(step["step"], step.get("attempt") or 0)
    tries = str(number) if number and not nested else ""
    return label, Text(status, style), Text(taken(step, now)), Text(tries)


def _verdict(state: Initialization, now: datetime) -> Text:
    status, time = state.status, elapsed(state.project, now)
    text = Text.assemble(
        (one_line(state.project["name"]), "bold"),
        _VERBS.get(status, " is "),
        (status, STYLES.get(status, "")),
        f" after {time}" if time else "",
    )
    if status == "failed" and not state.ended:
        text.append(" and needs your attention")
    if idle := waited(state.project, now):
        text.append(f" (idle for {idle})")
    return text


def _rollback(state: Initialization) -> Iterator[Text]:
    counts = state.project.get("rollback")
    if counts:
        yield Text(f"  {rollback_text(counts)}")


def rollback_text(counts: Mapping[str, int]) -> str:
    """`1 of 5 steps rolled back, 4 have no rollback`."""
    parts = [f"{counts['rolled_back']} of {counted(counts['steps'], 'step')} rolled back"]
    if counts["failed"]:
        parts.append(f"{counts['failed']} could not be")
    if without := counts["without"]:
        parts.append(f"{without} {'has' if without == 1 else 'have'} no rollback")
    return ", ".join(parts)


def _skips(state: Initialization) -> Iterator[Text]:
    for step in in_order(state):
        reason = one_line(metadata_of(step).get("reason") or "")
        if step["status"] == "skipped" and reason:
            yield Text(f"  {name_of(step)} was skipped: {reason}")


def _errors(state: Initialization, changeable: Mapping[str, Sequence[str]]) -> Iterator[Text]:
    failed = [step for step in in_order(state) if error_of(step) and not step.get("parent_step")]
    for step in failed:
        yield Text(f"{name_of(step)}:", style=error_style(step))
        yield from (Text(f"  {line}") for line in excerpt(error_of(step), _ERROR_LINES))
        yield from (Text(f"  {line}", style="dim") for line in details_of(step, _ERROR_LINES))
        if remedy_of(step):
            yield Text(f"  → {remedy_of(step)}", style="yellow")
        if step["status"] == state.status == "failed":
            yield Text(f"  Then run: {command('retry', state.project['name'], step['step'])}")
            changes = suggested_changes(state.project, step, changeable.get(step["step"], ()))
            if changes:
                yield Text(f"  To change a parameter, add: {changes}")
    # The outcome of a rollback has its own line, and what failed in it was listed above.
    if state.project.get("initialization_error") and not (failed or state.project.get("rollback")):
        yield from (
            Text(f"  {line}")
            for line in excerpt(state.project["initialization_error"], _ERROR_LINES)
        )


def suggested_changes(project: Mapping[str, Any], step: Step, names: Sequence[str]) -> str:
    """Return the options of a retry that may help, with placeholders for values; or "".

    They give the parameters that the error speaks of, or the only one that the step uses; `names`
    are the parameters that may be changed.
    """
    said = f"{error_of(step)} {remedy_of(step)}"
    given = project.get("parameters") or {}
    blamed = [name for name in names if _speaks_of(said, name, given.get(name))]
    blamed = blamed or (list(names) if len(names) == 1 else [])
    return " ".join(f"--param {name}={name.upper()}" for name in blamed)


def _speaks_of(text: str, name: str, value: Any) -> bool:
    words = [name, *([value] if isinstance(value, str) and value else [])]
    return any(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) for word in words)


def _made(state: Initialization) -> Iterator[Text]:
    """Yield each URL that the steps created, with the first step that has it."""
    if state.status != "active":
        return
    makers: dict[str, Step] = {}
    for step in in_order(state):
        made = metadata_of(step)
        request = made.get("pull_request")
        if isinstance(request, Mapping):
            made = {**made, "pull_request_url": request.get("url")}
        for key, value in made.items():
            if value and isinstance(value, str) and (key == "url" or key.endswith("_url")):
                makers.setdefault(value, step)
    for address, step in makers.items():
        yield Text(f"  {name_of(step)}: {one_line(address)}")
