"""Generated requests, valid or nearly: each response is documented in OpenAPI and no 500."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from stepway.api.app import create_app
from stepway.runtime.settings import Settings
from tests.security.conftest import Secured

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 12


def strict_schema() -> dict[str, Any]:
    """Return the API's schema without `default` responses, which match any status."""
    schema = create_app(Settings()).openapi()
    for operations in schema["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("default")
    return schema


SCHEMA = schemathesis.openapi.from_dict(strict_schema())
OPERATIONS = {
    f"{each.ok().method.upper()} {each.ok().path}": each.ok()
    for each in SCHEMA.get_all_operations()
}


@pytest.mark.parametrize("name", OPERATIONS)
async def test_answers_are_those_of_the_schema(secured: Secured, name: str) -> None:
    operation = OPERATIONS[name]
    base_url = str(secured.http.base_url).rstrip("/")
    headers = secured.headers("admin")
    # For a stream, the schema says only that it is text.
    checks = CHECKS[:-1] if name.endswith("/events") else CHECKS

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), known=st.booleans())
    def answers(case: schemathesis.Case, known: bool) -> None:
        if known and "project_id" in (case.path_parameters or {}):
            # Use an active project: its stream ends, and no control changes it.
            case.path_parameters["project_id"] = secured.done
            if "step" in case.path_parameters:
                case.path_parameters["step"] = "fine"
        case.call_and_validate(
            base_url=base_url,
            headers=headers,
            checks=checks,
            timeout=30,
        )

    # The server runs in this process: the caller must not block its event loop.
    await asyncio.to_thread(answers)
