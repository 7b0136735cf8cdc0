"""Work that somebody else on the machine puts into the embedded Temporal."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import yaml
from pydantic import SecretStr
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from stepway.api.commands import records
from stepway.runtime.data_converter import data_converter
from stepway.runtime.settings import Settings
from stepway.vault.errors import Unsigned
from stepway.vault.keyring import open_keyring
from stepway.vault.keys import new_key
from stepway.workflows.health import OTHER_KEYS, failing_workflows, why_unanswered
from stepway.workflows.model.messages import WORKFLOW, workflow_id
from tests.support.controls import until_swept
from tests.support.servers import Stepway, eventually, running_stepway, write_blueprint


def write_command(folder: Path, name: str, marker: Path) -> None:
    step = {"step": "mark", "uses": "run_command", "with": {"command": ["touch", str(marker)]}}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({"name": name, "steps": [step]}))


async def start_input(stepway: Stepway, temporal: Client, project: str) -> Any:
    """The input that our own API has started a project's workflow with."""
    async for event in temporal.get_workflow_handle(workflow_id(project)).fetch_history_events():
        given = event.workflow_execution_started_event_attributes.input.payloads
        return (await temporal.data_converter.decode(list(given)))[0]
    raise AssertionError("no history")


async def test_a_foreign_start_with_a_valid_plan_runs_nothing(
    servers: Settings, temporal: Client, tmp_path: Path
) -> None:
    """An attacker who knows all that Stepway sends, but not the key, starts a command under its
    name.
    """
    marker = tmp_path / "marker"
    blueprint = f"mark-{uuid4().hex[:8]}"
    write_command(tmp_path, blueprint, marker)
    held = write_blueprint(tmp_path, [{"step": "held", "uses": "gate"}])
    stranger = await Client.connect(servers.temporal_address)
    async with running_stepway(servers, tmp_path) as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "active")
        assert marker.exists()
        marker.unlink()
        copied = json.loads(json.dumps(await start_input(stepway, temporal, project)))
        copied["deadline"] = "2999-01-01T00:00:00+00:00"
        copied["project_id"] = str(uuid4())
        copied["name"] = f"foreign-{uuid4().hex[:8]}"
        handle = await stranger.start_workflow(
            WORKFLOW,
            copied,
            id=workflow_id(copied["project_id"]),
            task_queue=stepway.settings.temporal_task_queue,
        )

        async def refused() -> bool:
            events = [event async for event in handle.fetch_history_events()]
            kinds = {event.event_type for event in events}
            assert EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED not in kinds
            return EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED in kinds

        try:
            await eventually(refused)
            assert not marker.exists()
            reason = await why_unanswered(temporal, handle.id)
            assert reason is not None and "STEPWAY_TEMPORAL_SIGNING_KEY_FILE" in reason
            queue = stepway.settings.temporal_task_queue

            async def marked() -> bool:
                return (await failing_workflows(temporal, queue)).count == 1

            await eventually(marked, patience=180)
            answer = await stepway.http.get("/readyz")
            assert answer.status_code == 503
            assert answer.json()["missing"] == ["workflows"]
            assert "STEPWAY_TEMPORAL_SIGNING_KEY_FILE" in answer.json()["detail"]
            # Newer ones that work show that the workers and this API fit together.
            for _ in range(2):
                project = await stepway.create(held)
                await stepway.until_step(project, "held", "running")
            assert (await stepway.http.get("/readyz")).status_code == 200
            metrics = (await stepway.http.get("/metrics")).text
            assert "stepway_workflows_failing 1.0" in metrics
        finally:
            await handle.terminate()


async def test_results_in_the_record_are_read_though_they_are_older_than_the_key(
    servers: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MOST_RESULTS", 0)
    made = {"step": "made", "with": {"value": "bad"}}
    last = {"step": "last", "uses": "fixable", "with": {"value": "${{ steps.made.result.value }}"}}
    blueprint = write_blueprint(tmp_path, [made, last])
    unsigned = servers.model_copy(update={"temporal_signing_key_file": None})
    async with running_stepway(unsigned, tmp_path) as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        assert (await stepway.control(project, "cancel")).status_code == 202
        await stepway.until(project, "cancelled")
    (tmp_path / "last.fixed").touch()
    async with running_stepway(servers, tmp_path) as stepway:
        assert (await stepway.control(project, "retry")).status_code == 202
        await stepway.until(project, "active")
        assert stepway.runs("made") == 1


async def test_what_was_changed_or_not_signed_is_not_read() -> None:
    ours = data_converter(None, b"k" * 32)
    [payload] = await ours.encode([{"command": ["true"]}])
    assert await ours.decode([payload]) == [{"command": ["true"]}]
    assert json.loads(payload.data) == {"command": ["true"]}  # people still read it in the UI
    foreign = data_converter(None, b"x" * 32)
    [other] = await foreign.encode([1])
    [plain] = await data_converter(None).encode([1])
    payload.data = b'{"command": ["false"]}'
    for each in (payload, other, plain):
        with pytest.raises(Unsigned):
            await ours.decode([each])


async def test_signature_and_encryption_go_together() -> None:
    both = data_converter(open_keyring({"k": b"1" * 32}), b"k" * 32)
    sent = await both.encode(["secret"])
    assert b"secret" not in sent[0].SerializeToString()
    assert await both.decode(sent) == ["secret"]


async def test_a_fresh_data_folder_has_a_key_of_its_own(servers: Settings) -> None:
    file = servers.temporal_signing_key_file
    assert file is not None
    mode = await asyncio.to_thread(file.stat)
    assert mode.st_mode & 0o777 == 0o600
    assert servers.signing_key


async def test_work_of_a_worker_without_the_signing_key_is_named_and_a_retry_helps(
    servers: Settings, temporal: Client, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    """With encryption, Temporal holds the reason encoded."""
    keyed = servers.model_copy(update={"secret_keys": SecretStr(new_key("first"))})
    unsigned = keyed.model_copy(update={"temporal_signing_key_file": None})
    blueprint = write_blueprint(tmp_path, [{"step": "made"}, {"step": "held", "uses": "gate"}])
    queue = f"foreign-{uuid4().hex[:8]}"
    async with running_stepway(unsigned, tmp_path, queue=queue) as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "held", "running")
    async with running_stepway(keyed, tmp_path, queue=queue) as stepway:

        async def reason() -> str | None:
            answer = await stepway.control(project, "cancel")
            return str(answer.json()["detail"]) if answer.status_code != 202 else None

        said = await eventually(reason)
        assert said is not None and "STEPWAY_TEMPORAL_SIGNING_KEY_FILE" in said
        assert OTHER_KEYS in said
        await temporal.get_workflow_handle(workflow_id(project)).terminate()
        await until_swept(keyed, pool, temporal, stepway, project)
        stepway.open_gate("held")
        assert (await stepway.control(project, "retry")).status_code == 202
        await stepway.until(project, "active")
        assert stepway.runs("made") == 1
