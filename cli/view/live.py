"""The live view of an initialization: header, total progress, a row per step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stepway.cli.client.fold import Initialization, Step, in_order
from stepway.cli.view.invocation import command
from stepway.cli.view.text import excerpt, one_line
from stepway.cli.view.words import (
    ICONS,
    STYLES,
    TimeLeft,
    elapsed,
    error_of,
    error_style,
    is_being_cancelled,
    name_of,
    remark,
    remedy_of,
    shown_status,
    status_of,
    taken,
    time_left,
    waited,
)
from stepway_tracking.record.facts import DONE_STATUSES

_BAR = 12
_PERCENT = 4
_DURATION = 11
_ERROR_LINES = 4
_TAIL_LINES = 3
_MOST_TAILS = 3
"""Steps whose last lines are shown."""
_TAIL_WIDTH = 60
"""Columns from which on last lines are shown."""
# Header, total progress, an empty line, two notices and the cursor's line.
_LINES_AROUND = 6


def picture(
    state: Initialization,
    now: datetime,
    width: int,
    height: int,
    connected: bool = True,
    left: TimeLeft | None = None,
    tail: Callable[[Step], Sequence[str]] = lambda _: (),
) -> RenderableType:
    """Return the view for a terminal of `width` columns and `height` lines.

    `tail` gives the last lines of a running step's log, which are shown where there is room.
    """
    steps = in_order(state)
    names = min(width // 3, max((_name_width(step) for step in steps), default=0))
    blocks = [_block(step, now, width, names) for step in steps]
    _add_tails(steps, blocks, _room(blocks, width, height), tail)
    return Group(
        _header(state, now, width, left),
        _whole(state, width),
        Text(),
        *_fit_to_height(steps, blocks, height - _LINES_AROUND),
        *_notices(state, connected),
    )


def tailed(state: Initialization, now: datetime, width: int, height: int) -> list[Step]:
    """Return the running steps whose last lines have room in the view."""
    steps = in_order(state)
    blocks = [_block(step, now, width, width // 3) for step in steps]
    running = [step for step in steps if _has_log(step)]
    return running[: min(_MOST_TAILS, _room(blocks, width, height))]


def _has_log(step: Step) -> bool:
    return step["status"] == "running" and not step.get("parent_step")


def _room(blocks: list[list[RenderableType]], width: int, height: int) -> int:
    """Return how many lines are free below all steps."""
    free = height - _LINES_AROUND - sum(len(block) for block in blocks)
    return max(0, free) if width >= _TAIL_WIDTH else 0


def _add_tails(
    steps: Sequence[Step],
    blocks: list[list[RenderableType]],
    room: int,
    tail: Callable[[Step], Sequence[str]],
) -> None:
    """Add last lines to the blocks of running steps: to each at least one, then to the first."""
    running = [i for i, step in enumerate(steps) if _has_log(step)][: min(_MOST_TAILS, room)]
    for place, index in enumerate(running):
        most = min(_TAIL_LINES, room - (len(running) - place - 1))
        lines = [line for line in map(one_line, tail(steps[index])) if line][-most:]
        blocks[index] += [_below(f"│ {line}", "dim", 2) for line in lines]
        room -= len(lines)


def _header(state: Initialization, now: datetime, width: int, left: TimeLeft | None) -> Table:
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    row.add_column(justify="right", no_wrap=True)
    project = state.project
    title = Text.assemble(
        (one_line(project["name"]), "bold"), (f"  {one_line(project['blueprint'])}", "dim")
    )
    idle = f"idle for {time}" if (time := waited(project, now)) else ""
    texts = (elapsed(project, now), idle, time_left(left, now))
    times = "  ".join(text for text in texts if text)
    word = status_of(project)
    status = Text.assemble((word, STYLES.get(word, "")), (f"  {times}", "dim"))
    row.add_row(title, status)
    row.width = width
    return row


def _whole(state: Initialization, width: int) -> Table:
    row = Table.grid(padding=(0, 1))
    style = STYLES.get(status_of(state.project), "cyan")
    bar = ProgressBar(100, state.progress, width - 6, complete_style=style, finished_style=style)
    row.add_row(bar, Text(f"{state.progress:3.0f}%", style="bold"))
    return row


def _notices(state: Initialization, connected: bool) -> list[Text]:
    notices = []
    waits = state.status == "failed" and not is_being_cancelled(state.project)
    if waits and not state.ended:
        retry = command("retry", one_line(state.project["name"]))
        notices.append(Text(f"needs your attention: {retry}", style="yellow"))
    if not connected:
        notices.append(Text("connection lost, reconnecting…", style="yellow"))
    return notices


def _block(step: Step, now: datetime, width: int, names: int) -> list[RenderableType]:
    lines: list[RenderableType] = [_row(step, now, width, names)]
    indent = 4 if step.get("parent_step") else 2
    for line in excerpt(error_of(step), _ERROR_LINES):
        lines.append(_below(line, error_style(step), indent))
    if remedy_of(step):
        lines.append(_below(f"→ {remedy_of(step)}", "yellow", indent))
    return lines


def _below(line: str, style: str, indent: int) -> Padding:
    return Padding(Text(line, style=style, no_wrap=True, overflow="ellipsis"), (0, 0, 0, indent))


def _row(step: Step, now: datetime, width: int, names: int) -> Table:
    row = Table.grid(padding=(0, 1))
    row.add_column(width=names + 2, no_wrap=True, overflow="ellipsis")
    running = step["status"] == "running"
    if running:
        row.add_column(width=_BAR)
        row.add_column(width=_PERCENT, justify="right")
    row.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    row.add_column(width=_DURATION, justify="right", no_wrap=True)
    row.expand, row.width = True, width
    cells: list[RenderableType] = [_label(step)]
    if running:
        percent = step.get("progress") or 0
        cells += [ProgressBar(100, percent, _BAR, complete_style="cyan"), Text(f"{percent:.0f}%")]
    row.add_row(*cells, Text(remark(step, now), "dim"), Text(taken(step, now), "dim"))
    return row


def _label(step: Step) -> Text:
    status = shown_status(step)
    style = STYLES[status]
    indent = "  " if step.get("parent_step") else ""
    name_style = "bold" if step["status"] == "running" else style if style == "dim" else ""
    return Text.assemble(indent, (ICONS[status], style), " ", (name_of(step), name_style))


def _name_width(step: Step) -> int:
    return cell_len(name_of(step)) + (2 if step.get("parent_step") else 0)


def _fit_to_height(
    steps: Sequence[Step], blocks: list[list[RenderableType]], lines: int
) -> list[RenderableType]:
    """Return the rows; if they are too many, fold ended and then pending steps into count lines.

    Running and failed steps always stay visible.
    """
    kept = list(range(len(steps)))
    hidden = dict.fromkeys((*DONE_STATUSES, "pending"), 0)

    def height() -> int:
        return sum(len(blocks[i]) for i in kept) + sum(1 for count in hidden.values() if count)

    for index in _removal_order(steps):
        if height() <= lines:
            break
        kept.remove(index)
        hidden[steps[index]["status"]] += 1
    shown = [line for i in kept for line in blocks[i]]
    before = [_count_line(status, hidden[status]) for status in DONE_STATUSES]
    after = _count_line("pending", hidden["pending"])
    return [line for line in (*before, *shown, after) if line is not None]


def _removal_order(steps: Sequence[Step]) -> list[int]:
    """Return the rows to fold, in order: ended steps from the first, then pending from the last."""
    ended = [i for i, step in enumerate(steps) if step["status"] in DONE_STATUSES]
    waiting = [i for i, step in enumerate(steps) if step["status"] == "pending"]
    return ended + waiting[::-1]


def _count_line(status: str, count: int) -> Text | None:
    return Text(f"{ICONS[status]} {count} more {status}", style="dim") if count else None
