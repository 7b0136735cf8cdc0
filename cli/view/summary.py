"""The summary after `stepway watch`: steps, result, errors, created objects, next commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stepway.cli.client.fold import Initialization, Step, in_order
from stepway.cli.view.invocation import command
from stepway.cli.view.text import excerpt, one_line
from stepway.cli.view.words import (
    ICONS,
    STYLES,
    elapsed,
    error_of,
    metadata_of,
    name_of,
    remedy_of,
    taken,
)

_ERROR_LINES = 20
_VERBS = {"failed": " ", "cancelled": " was "}


def summary(state: Initialization, now: datetime) -> RenderableType:
    """Return the summary of an initialization."""
    return Group(
        step_table(in_order(state), now),
        Text(),
        _verdict(state, now),
        *_skips(state),
        *_errors(state),
        *_made(state),
    )


def step_table(steps: Sequence[Step], now: datetime) -> Table:
    """Return a table with a row per step: name, status, duration, attempts."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("Step", overflow="fold")
    table.add_column("Status", no_wrap=True)
    table.add_column("Duration", justify="right", no_wrap=True)
    table.add_column("Attempts", justify="right", no_wrap=True)
    for step in steps:
        table.add_row(*_cells(step, now))
    return table


def _cells(step: Step, now: datetime) -> tuple[Text, Text, Text, Text]:
    style = STYLES[step["status"]]
    nested = bool(step.get("parent_step"))
    label = Text.assemble("  " * nested, (ICONS[step["status"]], style), " ", name_of(step))
    status = f"{step['status']}, rolled back" if step.get("undone_at") else step["status"]
    attempts = "" if nested or not step.get("started_at") else str(step.get("attempt") or 1)
    return label, Text(status, style), Text(taken(step, now)), Text(attempts)


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
    return text


def _skips(state: Initialization) -> Iterator[Text]:
    for step in in_order(state):
        reason = one_line(metadata_of(step).get("reason") or "")
        if step["status"] == "skipped" and reason:
            yield Text(f"  {name_of(step)} was skipped: {reason}")


def _errors(state: Initialization) -> Iterator[Text]:
    failed = [step for step in in_order(state) if error_of(step) and not step.get("parent_step")]
    for step in failed:
        yield Text(f"{name_of(step)}:", style="red")
        yield from (Text(f"  {line}") for line in excerpt(error_of(step), _ERROR_LINES))
        if remedy_of(step):
            yield Text(f"  → {remedy_of(step)}", style="yellow")
        if step["status"] == state.status == "failed":
            yield Text(f"  Then run: {command('retry', state.project['name'], step['step'])}")
    if state.project.get("initialization_error") and not failed:
        yield from (
            Text(f"  {line}")
            for line in excerpt(state.project["initialization_error"], _ERROR_LINES)
        )


def _made(state: Initialization) -> Iterator[Text]:
    """Yield each URL that the steps created, with the first step that has it."""
    if state.status != "active":
        return
    makers: dict[str, Step] = {}
    for step in in_order(state):
        for key, value in metadata_of(step).items():
            if value and isinstance(value, str) and (key == "url" or key.endswith("_url")):
                makers.setdefault(value, step)
    for address, step in makers.items():
        yield Text(f"  {name_of(step)}: {one_line(address)}")
