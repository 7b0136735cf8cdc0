"""Temporal's remote codec: its UI decrypts payloads here, as the person who is signed in."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator, Field, PlainSerializer, WithJsonSchema
from temporalio.api.common.v1 import Payload as Proto

from stepway.api.auth.guard import Guarded
from stepway.api.auth.limits import CODEC_BYTES
from stepway.api.dependencies import Resources
from stepway.api.openapi import problems

router = APIRouter(route_class=Guarded, prefix="/api/codec", tags=["codec"])


def _decoded(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("must be base64 text")
    try:
        return b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("must be base64 text") from error


Base64 = Annotated[
    bytes,
    BeforeValidator(_decoded),
    PlainSerializer(lambda value: b64encode(value).decode()),
    WithJsonSchema({"type": "string", "format": "byte"}),
]


class Payload(BaseModel):
    """A payload in Temporal's JSON format."""

    metadata: dict[str, Base64] = Field(default_factory=dict)
    data: Base64 = b""


class Payloads(BaseModel):
    """A list of payloads; the response keeps its order."""

    payloads: list[Payload] = Field(default_factory=list, max_length=10_000)


ANSWERS: dict[int | str, dict[str, Any]] = problems(413, 422, 503)


@router.post("/decode", max_body_size=CODEC_BYTES, responses=ANSWERS)
async def decode(body: Payloads, given: Resources) -> Payloads:
    """Decrypt payloads. 503 names the key if one is missing."""
    return _json(await given.codec.decode(_protos(body))) if given.codec else body


@router.post("/encode", max_body_size=CODEC_BYTES, responses=ANSWERS)
async def encode(body: Payloads, given: Resources) -> Payloads:
    """Encrypt payloads with the newest key; return them unchanged if there is no key."""
    return _json(await given.codec.encode(_protos(body))) if given.codec else body


def _protos(body: Payloads) -> list[Proto]:
    return [Proto(metadata=each.metadata, data=each.data) for each in body.payloads]


def _json(protos: list[Proto]) -> Payloads:
    # Skip validation: it would decode these bytes as base64.
    return Payloads.model_construct(
        payloads=[
            Payload.model_construct(metadata=dict(each.metadata), data=each.data) for each in protos
        ]
    )
