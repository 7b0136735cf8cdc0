"""JSON that may go on: it fits into Postgres, is no deeper than anyone needs, holds no secret."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import AfterValidator

from stepway.api.errors import InputInvalid
from stepway.api.resources import AppResources
from stepway.blueprints.parameters import MAX_DEPTH
from stepway.vault.redaction import redact
from stepway_tracking.record.json_text import unstorable


def plain(value: dict[str, Any]) -> dict[str, Any]:
    """The value itself. Raises ValueError, which names the place."""
    for place, part in _parts("", value, 0):
        if isinstance(part, float) and not math.isfinite(part):
            raise ValueError(f"{place} must be a finite number")
        if isinstance(part, str):
            _check(place, part)
    return value


def _check(place: str, text: str) -> None:
    if problem := unstorable(text):
        raise ValueError(f"{place} {problem}")
    if redact(text) != text:
        raise ValueError(
            f"{place} looks like a secret: store it with `stepway credential set` and use the "
            "credential's name"
        )


def _parts(place: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Every text and number with its JSON pointer; names too, at their own place."""
    if depth > MAX_DEPTH:
        raise ValueError(f"must not be nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        for name, part in value.items():
            shown = redact(name.encode(errors="replace").decode().replace("\0", "?"))[:80]
            yield f"{place}/{shown}", name
            yield from _parts(f"{place}/{shown}", part, depth + 1)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _parts(f"{place}/{number}", part, depth + 1)
    else:
        yield place, value


Parameters = Annotated[dict[str, Any], AfterValidator(plain)]


async def refuse_secrets(given: AppResources, owner: str, parameters: Mapping[str, Any]) -> None:
    """Raise InputInvalid for a parameter that holds the value of one of the owner's credentials."""
    for name, value in parameters.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if found := await given.vault.found_in(owner, text):
            detail = f"contains the secret of the credential {found}; use its name instead"
            wrong = {"name": name, "pointer": f"/parameters/{name}", "detail": detail}
            wrong |= {"code": "secret", "expected": found}
            raise InputInvalid(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name}: {detail}", [wrong])
