"""Recorded histories of every shape replay with the current workflow."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from stepway.worker import RUNNER
from stepway.workflows.engine.search_attributes import OperatorsView
from stepway.workflows.initialize_project import InitializeProject
from tests.replay.shapes import SHAPES

HISTORIES = {
    file.stem: file.read_text() for file in sorted((Path(__file__).parent / "histories").glob("*"))
}


async def replay(name: str) -> None:
    """Raises NondeterminismError if the current workflow would issue other commands."""
    replayer = Replayer(workflows=[InitializeProject], workflow_runner=RUNNER)
    await replayer.replay_workflow(WorkflowHistory.from_json(f"initialize-{name}", HISTORIES[name]))


@pytest.mark.parametrize("name", HISTORIES)
async def test_recorded_history_replays(name: str) -> None:
    await replay(name)


def test_every_shape_is_recorded() -> None:
    assert HISTORIES.keys() >= SHAPES.keys()


@pytest.mark.parametrize("name", HISTORIES)
def test_history_names_nothing_of_the_machine_it_was_recorded_on(name: str) -> None:
    payloads = re.findall(r'"data": "([A-Za-z0-9+/=]+)"', HISTORIES[name])
    texts = [HISTORIES[name], *(base64.b64decode(data).decode() for data in payloads)]
    for text in texts:
        assert not re.search(r"site-packages|\.py\b|/tests/|/tmp/|\w@\w", text)


async def test_change_that_would_break_running_initializations_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(OperatorsView, "show", lambda *_: None)
    with pytest.raises(NondeterminismError):
        await replay("plain")
