"""`stepway logs`: what the steps of an initialization have logged."""

from __future__ import annotations

import heapq
import json
import queue
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from stepway.cli.client.errors import ClientError
from stepway.cli.client.http import Api, Json, connect
from stepway.cli.client.logs import LogQuery, follow, follow_step, patiently, read
from stepway.cli.run.signals import persistent_interrupts
from stepway.cli.view.log_lines import LogPrinter
from stepway.cli.view.output import has_colours, say_aside

INTERRUPTED = 130
POLL = 1.0
"""Seconds between two looks for steps that have started."""

_SINCE = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def logs(
    project: Annotated[str, typer.Argument(help="Project ID or name.")],
    step: Annotated[
        str | None, typer.Argument(help="Step name; without it, all steps in order of time.")
    ] = None,
    follow_lines: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the step or project has ended.")
    ] = False,
    attempt: Annotated[int | None, typer.Option(min=1, help="Default: the newest.")] = None,
    round_: Annotated[
        int | None, typer.Option("--round", min=1, help="Default: the newest.")
    ] = None,
    rollback: Annotated[bool, typer.Option(help="The log of the step's rollback.")] = False,
    tail: Annotated[
        int | None, typer.Option("--tail", "-n", min=1, help="Only the last lines of each step.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only lines after a time, or of the last `10m`, `2h`, `1d`.")
    ] = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", "-t", help="Show times.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Show the lines that the steps of a project have logged."""
    earliest = _earliest(since)
    api = connect()
    project_id = api.find(project)
    if step is None and (attempt or round_ or rollback):
        raise ClientError("--attempt, --round and --rollback need a step")
    if follow_lines:
        api.get(f"/projects/{project_id}")  # Later, an API that is away is waited for.
    show = _json_printer() if as_json else LogPrinter(timestamps, colours=has_colours()).show
    if step is None:
        of_all = _all_followed if follow_lines else _all
        items = of_all(api, project_id, tail)
    else:
        query = LogQuery(project_id, step, round_, attempt, rollback, tail)
        items = ((None, item) for item in _of_step(api, query, follow_lines))
    try:
        with persistent_interrupts():
            shown = _print(items, earliest, show)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if not shown:
        say_aside("no lines since then" if earliest else _nothing(api, project_id, step))


def _print(
    items: Iterable[tuple[str | None, Json]],
    earliest: datetime | None,
    show: Callable[[str | None, Json], None],
) -> bool:
    """Whether there was a line or a gap."""
    shown = False
    for step, item in items:
        if earliest and "at" in item and datetime.fromisoformat(item["at"]) < earliest:
            continue
        show(step, item)
        shown = shown or "text" in item or "gap" in item
    return shown


def _nothing(api: Api, project_id: str, step: str | None) -> str:
    found = api.get(f"/projects/{project_id}/initialization")
    ended = found["project"]["initialization_completed_at"] is not None
    done = {one["step"] for one in found["steps"] if one["status"] in ("completed", "skipped")}
    return "no lines" if ended or step in done else "no lines yet"


class _Connection:
    """Says once that the connection is lost, and once that it is back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lost = False

    def __call__(self, connected: bool) -> None:
        with self._lock:
            if connected is self._lost:
                say_aside("reconnected" if connected else "connection lost, reconnecting")
            self._lost = not connected


def _of_step(api: Api, query: LogQuery, follows: bool) -> Iterator[Json]:
    one_attempt = query.attempt is not None or query.round is not None or query.rollback
    if not follows:
        return read(api, query)
    return (follow if one_attempt else follow_step)(api, query, _Connection())


def _started(api: Api, project_id: str) -> list[Json]:
    steps = api.get(f"/projects/{project_id}/initialization/steps")
    return [one for one in steps if one["attempt"] and not one["parent_step"]]


def _all(api: Api, project_id: str, tail: int | None) -> Iterator[tuple[str | None, Json]]:
    """The lines of all steps, in order of time."""
    logs = [
        [*_named(one["step"], read(api, LogQuery(project_id, one["step"], tail=tail)))]
        for one in _started(api, project_id)
    ]
    yield from heapq.merge(*logs, key=lambda pair: pair[1].get("at", ""))


def _named(step: str, items: Iterable[Json]) -> Iterator[tuple[str | None, Json]]:
    return ((step, item) for item in items)


def _all_followed(api: Api, project_id: str, tail: int | None) -> Iterator[tuple[str | None, Json]]:
    """The lines of all steps as they come, until the project has ended."""
    found: queue.SimpleQueue[tuple[str | None, Json]] = queue.SimpleQueue()
    connected = _Connection()
    followers: dict[str, _Follower] = {}
    status = ""
    while True:
        project = patiently(lambda: api.get(f"/projects/{project_id}"), connected)
        for one in patiently(lambda: _started(api, project_id), connected):
            query = LogQuery(project_id, one["step"], tail=tail)
            follower = followers.setdefault(one["step"], _Follower(api, query, connected, found))
            follower.follow((one["round"], one["attempt"]))
        has_ended = project["initialization_completed_at"] is not None
        if project["status"] == "failed" != status and not has_ended:
            say_aside("failed: waiting for a retry, a skip or a cancel")
        status = project["status"]
        if has_ended and not any(follower.runs for follower in followers.values()):
            while not found.empty():
                yield found.get()
            return
        try:
            while True:
                yield found.get(timeout=POLL)
        except queue.Empty:
            pass


class _Follower:
    """Follows the attempts at one step in a thread, and those of a retry in another one."""

    def __init__(
        self,
        api: Api,
        query: LogQuery,
        connected: Callable[[bool], None],
        found: queue.SimpleQueue[tuple[str | None, Json]],
    ) -> None:
        self._api = api
        self._query = query
        self._connected = connected
        self._found = found
        self._shown: set[tuple[int, int]] = set()
        self._thread: threading.Thread | None = None

    @property
    def runs(self) -> bool:
        """Whether lines may come."""
        return self._thread is not None and self._thread.is_alive()

    def follow(self, newest: tuple[int, int]) -> None:
        """Follow the attempts up to this one, unless that is done."""
        if not self.runs and newest not in self._shown:
            self._thread = threading.Thread(target=self._run, args=(newest,), daemon=True)
            self._thread.start()

    def _run(self, newest: tuple[int, int]) -> None:
        lines = follow_step(self._api, self._query, self._connected, shown=self._shown)
        try:
            for item in lines:
                self._found.put((self._query.step, item))
        except ClientError as error:
            self._shown.add(newest)
            self._found.put((self._query.step, {"problem": str(error)}))


def _json_printer() -> Callable[[str | None, Json], None]:
    def show(step: str | None, item: Json) -> None:
        typer.echo(json.dumps({"step": step, **item} if step else item, ensure_ascii=False))

    return show


def _earliest(since: str | None) -> datetime | None:
    if since is None:
        return None
    if match := _SINCE.fullmatch(since):
        return datetime.now(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        return datetime.fromisoformat(since).astimezone()
    except ValueError:
        raise ClientError(
            f"--since: {since!r} is neither a time such as 2026-05-01T12:00 nor a duration such as "
            "10m"
        ) from None
