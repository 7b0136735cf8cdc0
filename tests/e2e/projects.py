"""Helpers for projects that do not use the page."""

from __future__ import annotations

from tests.support.servers import Stepway


async def name_of(stepway: Stepway, project: str) -> str:
    """The project's name."""
    return str((await stepway.initialization(project))["project"]["name"])


async def open_gate(stepway: Stepway, project: str, gate: str) -> None:
    """Let a project's step go on."""
    stepway.open_gate(f"{await name_of(stepway, project)}-{gate}")
