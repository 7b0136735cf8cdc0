"""JSON that may go on: it fits into Postgres, is no deeper than anyone needs, holds no secret."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import AfterValidator

from stepway.api.auth.policy import Person
from stepway.api.input_invalid import InputInvalid
from stepway.api.resources import AppResources
from stepway.blueprints.parameters import MAX_DEPTH
from stepway.vault.known import KnownSecrets, SecretName
from stepway.vault.parts import parts_of
from stepway.vault.redaction import redact
from stepway.vault.shapes import find
from stepway.vault.vault import OpenCredential
from stepway_tracking.record.json_text import unstorable

SHORTEST_COMPARED = 12
"""Characters of a secret that parameters are compared with: shorter ones could be guessed."""

LOOKS_SECRET = (
    "looks like a secret: store it with `stepway credential set` and use the credential's name"
)


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


async def refuse_secrets(
    given: AppResources, asker: Person, owner: str, parameters: Mapping[str, Any]
) -> None:
    """Raise InputInvalid for a parameter that holds a secret, TooMany after many of those.

    The answer must help nobody to guess. So secrets that could be guessed are not compared with,
    a person who has been refused too often is not answered any more, and whose credential it is
    is said to its owner only.
    """
    if not parameters:
        return
    given.limits.check_secrets(asker, owner)
    usable = await given.vault.usable_by(owner)
    found = await asyncio.to_thread(_first_secret, parameters, usable)
    if found is None:
        return
    pointer, name = found
    detail = LOOKS_SECRET
    more: dict[str, str] = {}
    if name is not None:
        given.limits.count_secret(asker, owner)
        if asker.admin or name.owner in asker.names:
            detail = f"contains the secret of the credential {name.name}; use its name instead"
            more = {"code": "secret", "expected": name.name}
    first = pointer.split("/")[1]
    wrong = {"name": first, "pointer": f"/parameters{pointer}", "detail": detail, **more}
    raise InputInvalid(HTTPStatus.UNPROCESSABLE_ENTITY, f"{first}: {detail}", [wrong])


def _first_secret(
    parameters: Mapping[str, Any], usable: Iterable[OpenCredential]
) -> tuple[str, SecretName | None] | None:
    """The place of the first secret, and the credential where it is one's."""
    known = KnownSecrets()
    for each in usable:
        name = SecretName(each.owner, each.name)
        for part in parts_of(each.kind, each.account, each.value):
            if len(part.text) >= SHORTEST_COMPARED:
                known.learn(part.text, name, document=part.document)
    for place, part in _parts("", parameters, 0):
        if isinstance(part, str):
            for _, _, piece in known.whole(part):
                return place, known.name_of(piece.secret)
            for _ in find(part):
                return place, None
    return None
