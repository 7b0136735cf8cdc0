"""`stepway statistics`: runs, failures and durations of steps, over all projects."""

from __future__ import annotations

from typing import Annotated

import typer

from stepway.cli.client.http import Json, connect
from stepway.cli.view.output import print_json, print_table, say
from stepway.cli.view.text import duration

COLUMNS = (
    "Blueprint",
    "Step",
    "Runs",
    "Failed",
    "Skipped",
    "Cancelled",
    "Attempts",
    "First try",
    "Median",
    "p95",
)


def statistics(
    blueprint: Annotated[
        str | None, typer.Option("--blueprint", "-b", help="Only steps of this blueprint.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Beginning of the period, ISO 8601. Default: 30 days ago."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how often the steps of all projects ran and failed, and how long they took.

    A run is one round of a step: the first, or that of a retry. "First try" is the share of steps
    that completed without a failed attempt. "Skipped" are runs in which the step found nothing to
    do. Durations are the median and p95 of completed steps.
    """
    found = connect().get("/analytics/steps", blueprint=blueprint, since=since)
    if as_json:
        print_json(found)
    elif found:
        print_table(COLUMNS, map(_row, found))
    else:
        say("No step has ended in this period.")


def _row(step: Json) -> tuple[object, ...]:
    rate = step["first_try_rate"]
    names = ("runs", "failures", "skipped", "cancelled", "attempts")
    # A server of version 0.2 does not count skips.
    counts = (step.get(name, 0) for name in names)
    first_try = "" if rate is None else f"{rate:.0%}"
    times = ("" if step[name] is None else duration(step[name]) for name in ("p50", "p95"))
    return step["blueprint"], step["display_name"], *counts, first_try, *times
