"""A repeated request to create a project finds the project, even if the project or the blueprint
has changed.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

from tests.acceptance.conftest import StartStepway
from tests.support.servers import Json, write_blueprint

TAKES_VALUE: Json = {"type": "object", "properties": {"value": {"type": "string"}}}
TAKES_OTHER: Json = {
    "type": "object",
    "properties": {"other": {"type": "integer"}},
    "required": ["other"],
    "additionalProperties": False,
}


async def test_of_requests_at_once_one_creates_and_the_others_find(
    start_stepway: StartStepway, folder: Path
) -> None:
    blueprint = write_blueprint(folder, [{"step": "quick", "uses": "noop"}])
    async with start_stepway() as stepway:
        for _ in range(5):
            body = {"name": f"p-{uuid4().hex[:12]}", "blueprint": blueprint}
            headers = {"Idempotency-Key": uuid4().hex}
            asked = [
                stepway.http.post("/api/projects", json=body, headers=headers) for _ in range(6)
            ]
            answers = await asyncio.gather(*asked)
            assert sorted(each.status_code for each in answers) == [200] * 5 + [201]
            assert len({each.json()["project"]["id"] for each in answers}) == 1


async def test_a_repeat_is_answered_when_its_blueprint_has_changed_or_is_gone(
    start_stepway: StartStepway, folder: Path
) -> None:
    names = {
        "changed": write_blueprint(folder, [{"step": "one"}], parameters=TAKES_VALUE),
        "gone": write_blueprint(folder, [{"step": "one"}], parameters=TAKES_VALUE),
    }
    sent = {
        name: {
            "json": {
                "name": f"p-{uuid4().hex[:12]}",
                "blueprint": blueprint,
                "parameters": {"value": "x"},
            },
            "headers": {"Idempotency-Key": uuid4().hex},
        }
        for name, blueprint in names.items()
    }
    made = {}
    async with start_stepway() as stepway:
        for name, request in sent.items():
            answer = await stepway.http.post("/api/projects", **request)
            assert answer.status_code == 201, answer.text
            made[name] = answer.json()["project"]["id"]
    write_blueprint(folder, [{"step": "two"}], names["changed"], parameters=TAKES_OTHER)
    (folder / f"{names['gone']}.yaml").unlink()
    async with start_stepway() as stepway:
        for name, request in sent.items():
            again = await stepway.http.post("/api/projects", **request)
            assert again.status_code == 200, again.text
            assert again.json()["project"]["id"] == made[name]
            request["headers"] = {"Idempotency-Key": uuid4().hex}
            new = await stepway.http.post("/api/projects", **request)
            assert new.status_code == 422, "a new request is judged"
