"""The log of an attempt: read, followed or downloaded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from stepway.api.auth.guard import Admission, Guarded
from stepway.api.auth.limits import Limits
from stepway.api.auth.policy import Person
from stepway.api.auth.refusals import Forbidden
from stepway.api.dependencies import Admitted, ProjectId, Resources, StepName
from stepway.api.log_formats import LogReader, encoded, keep_alive, media_type
from stepway.api.openapi import problems
from stepway.api.resources import AppResources
from stepway.api.routes.initialization import MAX_ATTEMPTS, require_step
from stepway_tracking.logs.attempts import LoggedAttempt
from stepway_tracking.logs.store import Chunk
from stepway_tracking.record.errors import AttemptUnknown, LogRemoved
from stepway_tracking.record.facts import MAX_VERSION

UNTOLD = ("lost", "timed_out")
"""Outcomes that the worker of an attempt has not told."""

router = APIRouter(
    route_class=Guarded, prefix="/api/projects/{project_id}/initialization", tags=["initialization"]
)

HEADERS = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}

KEEP_ALIVE = 15.0
"""Seconds without a line after which a followed log sends something."""

SETTLED = 5.0
"""Seconds after the end of an attempt in which its worker may still write the end of its log."""

_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": (
            "A line each: `{seq, at, level, stream, text}`; `{gap: {after, before, lines, "
            "characters}}` where lines are left out; `{end: {seq, outcome, complete, superseded}}` "
            "last, with `follow` or where the end of an ended attempt's log is missing."
        ),
        "content": {
            "application/x-ndjson": {"schema": {"type": "string"}},
            "text/event-stream": {"schema": {"type": "string"}},
            "text/plain": {"schema": {"type": "string"}},
        },
    }
}


@router.get(
    "/steps/{step}/logs",
    response_class=Response,
    responses={**_CONTENT, **problems(403, 404, 410, 422, 503)},
)
async def get_logs(
    project_id: ProjectId,
    step: StepName,
    given: Resources,
    admission: Admitted,
    accept: Annotated[str, Header()] = "",
    round: Annotated[int | None, Query(ge=0, le=MAX_ATTEMPTS)] = None,
    attempt: Annotated[
        int | None, Query(ge=0, le=MAX_ATTEMPTS, description="By default the newest.")
    ] = None,
    rollback: Annotated[bool, Query(description="The log of the step's rollback.")] = False,
    after: Annotated[
        int, Query(ge=0, le=MAX_VERSION, description="The number of the last line to leave out.")
    ] = 0,
    tail: Annotated[
        int | None, Query(ge=1, le=100_000, description="Only so many lines, the last ones.")
    ] = None,
    follow: Annotated[bool, Query(description="Go on while the attempt runs.")] = False,
    last_event_id: Annotated[
        int | None, Header(alias="Last-Event-ID", ge=0, le=MAX_VERSION)
    ] = None,
) -> Response:
    """The lines that an attempt has logged: as JSON lines, server-sent events or plain text."""
    if admission.hides_stacks and given.settings.log_access != "read":
        raise Forbidden("You can view this project but not its logs.")
    found = await _attempt(given, project_id, step, round, attempt, rollback)
    await _refuse_removed(given, found)
    after = max(after, last_event_id or 0)
    if tail is not None:
        after = max(after, await given.log_store.last_seq(found.key) - tail)
    media = media_type(accept)
    body = _Body(given, found, LogReader(after, 0 if not after else None), media)
    if follow and found.outcome is None:
        content = body.followed(admission)
    else:
        # Before the answer begins, so that a store that is away is an error of its own.
        first = await given.log_store.read(found.key, after)
        content = body.followed(admission) if follow else body.kept(first)
    content_type = f"{media}; charset=utf-8"
    if follow:
        return _Followed(content, given.limits, admission.person, content_type)
    return StreamingResponse(content, media_type=content_type, headers=HEADERS)


class _Followed(StreamingResponse):
    """A followed log. Counts as a stream from before the response begins, for a 429 of its own."""

    def __init__(
        self, content: AsyncIterator[bytes], limits: Limits, person: Person, media_type: str
    ) -> None:
        super().__init__(content, media_type=media_type, headers=HEADERS)
        self._limits = limits
        self._person = person

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. Raises TooMany."""
        self._limits.open_stream(self._person)
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._limits.close_stream(self._person)


async def _attempt(
    given: AppResources,
    project_id: UUID,
    step: str,
    round_: int | None,
    attempt: int | None,
    rollback: bool,
) -> LoggedAttempt:
    if rollback:
        found = await given.logged_attempts.find_rollback(project_id, step)
    else:
        found = await given.logged_attempts.find(project_id, step, round_, attempt)
    if found is None:
        await require_step(project_id, step, given)
        if rollback:
            raise AttemptUnknown(f"The step {step} has no log of a rollback.")
        if round_ is None and attempt is None:
            raise AttemptUnknown(f"The step {step} has no log: it has not started.")
        raise AttemptUnknown(f"The step {step} has no such attempt.")
    return found


async def _refuse_removed(given: AppResources, found: LoggedAttempt) -> None:
    """Raise LogRemoved if the attempt ended before the days for which lines are kept."""
    days = timedelta(days=given.settings.log_days)
    if found.ended_at is None or datetime.now(UTC) - found.ended_at < days:
        return
    if not await given.log_store.read(found.key, 0, 1):
        raise LogRemoved(f"The log was removed: logs are kept for {days.days} days.")


class _Body:
    def __init__(
        self, given: AppResources, found: LoggedAttempt, reader: LogReader, media: str
    ) -> None:
        self._given = given
        self._found = found
        self._reader = reader
        self._media = media

    async def kept(self, rows: list[Chunk]) -> AsyncIterator[bytes]:
        """What is kept now; `rows` are the first of it."""
        while rows:
            for row in rows:
                yield self._reader.encoded(row, self._media)
            rows = await self._given.log_store.read(self._found.key, rows[-1].last_seq)
        if self._reader.seq and not self._reader.complete and self._is_settled:
            yield await self._end(self._found.outcome)

    @property
    def _is_settled(self) -> bool:
        ended_at = self._found.ended_at
        return ended_at is not None and datetime.now(UTC) - ended_at > timedelta(seconds=SETTLED)

    async def followed(self, admission: Admission) -> AsyncIterator[bytes]:
        """What is kept and what comes, until the log is complete."""
        revoked = asyncio.create_task(admission.until_revoked())
        try:
            async with AsyncExitStack() as stack:
                following = self._given.log_hub.follow(self._found.key, self._reader.seq)
                rows = aiter(await stack.enter_async_context(following))
                async for part in self._followed(rows, revoked):
                    yield part
        finally:
            revoked.cancel()

    async def _followed(
        self, rows: AsyncIterator[Chunk], revoked: asyncio.Task[None]
    ) -> AsyncIterator[bytes]:
        coming: asyncio.Task[Chunk] | None = None
        try:
            while True:
                coming = coming or asyncio.ensure_future(anext(rows))
                await asyncio.wait(
                    (coming, revoked), timeout=KEEP_ALIVE, return_when=asyncio.FIRST_COMPLETED
                )
                if revoked.done():
                    return
                if not coming.done():
                    yield keep_alive(self._media).encode()
                    continue
                try:
                    row = coming.result()
                except StopAsyncIteration:
                    break
                coming = None
                yield self._reader.encoded(row, self._media)
        finally:
            if coming is not None:
                coming.cancel()
                with suppress(asyncio.CancelledError, StopAsyncIteration):
                    await coming
        outcome = await self._given.log_hub.outcome(self._found.key)
        if outcome is None:
            return  # This process stops: the reader asks again.
        yield await self._end(outcome)

    async def _end(self, outcome: str | None) -> bytes:
        reader = self._reader
        # Without lines there is no end to write; a worker that tells how an attempt ended lives.
        complete = reader.complete or (not reader.seq and outcome not in UNTOLD)
        end = {
            "seq": reader.seq,
            "outcome": outcome,
            "complete": complete,
            "superseded": await self._given.logged_attempts.is_superseded(self._found.key),
        }
        return encoded(self._media, "end", reader.seq, end).encode()
