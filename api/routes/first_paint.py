"""An initialization's page with its steps already in it, to be seen before any script has run.

The scripts draw the same picture again, live. Nobody gets it who may not read the initialization.
"""

from __future__ import annotations

import asyncio
import json
from html import escape
from typing import Any
from uuid import UUID

from asyncpg import PostgresError
from starlette.requests import Request

from stepway.api.auth.guard import admit_by
from stepway.api.auth.policy import ROUTES
from stepway.api.auth.refusals import Refusal
from stepway_tracking.postgres import UNREACHABLE
from stepway_tracking.record.errors import ProjectUnknown

LANGUAGE = "stepway.language"
"""The cookie in which the page keeps the language chosen last."""

PATIENCE = 1.0
"""Seconds that the page waits for its picture; its scripts say what is wrong after that."""

_READING = ROUTES["GET", "/api/projects/{project_id}/initialization"]
_TONES = {
    "running": "text-accent",
    "completed": "text-success",
    "failed": "text-danger",
}
_EMPTY = '<div id="app"></div>'
_PICTURE = """\
<div id="app"><header class="sticky top-0 z-30 border-b border-line bg-surface">\
<div class="mx-auto flex h-14 max-w-5xl items-center gap-1 px-4 sm:gap-2 sm:px-6">\
<a href="/" class="mr-1 flex items-center gap-2 rounded-md font-semibold tracking-tight sm:mr-4">\
<img src="/favicon.svg" alt="" class="size-6"><span class="max-[420px]:sr-only">Stepway</span></a>\
</div></header><main class="mx-auto max-w-5xl px-4 py-6 outline-none sm:px-6 sm:py-10">\
<p class="mb-1 text-sm text-muted">&nbsp;</p>\
<div class="mb-5 flex min-h-9 flex-wrap items-end justify-between gap-x-6 gap-y-3">\
<h1 class="page-title wrap-anywhere">{name}</h1></div><div class="space-y-4">\
<div class="card p-4 sm:p-6"><div class="skeleton h-6 w-56 max-w-full"></div>\
<div class="skeleton mt-2 h-4 w-32"></div><div class="mt-5 flex items-center gap-4">\
<svg class="h-2 w-full overflow-hidden rounded-full bg-line text-accent" aria-hidden="true">\
<rect width="{progress}%" height="100%" fill="currentColor"></rect></svg>\
<span class="w-10 shrink-0 text-right text-sm font-medium tabular-nums">{progress}%</span>\
</div></div>\
<div class="card overflow-hidden"><div class="border-b border-line px-5 py-4">\
<div class="skeleton h-4 w-40"></div></div><ol>{rows}</ol></div></div></main></div>"""
_ROW = """\
<li class="step-row relative border-b border-line last:border-b-0" data-step="{step}" \
data-status="{status}"><div class="flex w-full items-start gap-3 px-4 py-3 text-left sm:px-5">\
<svg class="mt-0.5 size-5 shrink-0 {tone}" viewBox="0 0 24 24" fill="none" stroke="currentColor" \
stroke-width="2" aria-hidden="true"><circle cx="12" cy="12" r="10" {dashes}></circle></svg>\
<span class="min-w-0 grow"><span class="text-[0.9375rem] leading-6 font-medium wrap-anywhere \
text-ink">{name}</span> <span class="sr-only">{status}</span></span></div></li>"""


async def with_first_picture(request: Request, page: str) -> str:
    """The page with the picture in it; as it is where there is nothing that may be shown."""
    try:
        async with asyncio.timeout(PATIENCE):
            project_id = UUID(request.path_params["project_id"])
            await admit_by(request, _READING)
            snapshot = await request.app.state.resources.reader.snapshot(project_id)
    except (ValueError, Refusal, ProjectUnknown, *UNREACHABLE, PostgresError):
        return page
    if snapshot is None:
        return page
    return page.replace(_EMPTY, picture(json.loads(snapshot.body), _language(request)), 1)


def picture(initialization: dict[str, Any], language: str) -> str:
    """The HTML of an initialization as the contract gives it."""
    steps = [step for step in initialization["steps"] if step["parent_step"] is None]
    return _PICTURE.format(
        name=escape(initialization["project"]["name"]),
        progress=int(initialization["progress"]),
        rows="".join(_row(step, language) for step in steps),
    )


def _row(step: dict[str, Any], language: str) -> str:
    names = (step["metadata"] or {}).get("display_names") or {}
    return _ROW.format(
        step=escape(step["step"]),
        status=escape(step["status"]),
        tone=_TONES.get(step["status"], "text-muted"),
        dashes='stroke-dasharray="5"' if step["status"] == "pending" else "",
        name=escape(str(names.get(language) or step["display_name"] or step["step"])),
    )


def _language(request: Request) -> str:
    asked = request.cookies.get(LANGUAGE) or request.headers.get("Accept-Language", "")
    return "zh" if asked.lower().startswith("zh") else "en"
