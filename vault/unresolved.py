"""Arguments and heartbeat details whose references an attempt has yet to resolve.

Temporal decodes the arguments of an activity before its interceptors run. A typed input, for
example with a `SecretStr` or a maximum length, must be made from the secret and not from its
reference. So in a worker that uses `UnresolvedCodec` and `UnresolvedPayloads`, the interceptor
(vault/redacting_interceptor.py) receives each payload with a reference as `Unresolved`. It
resolves the reference, and then decodes the payload.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import (
    ActivitySerializationContext,
    EncodingPayloadConverter,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
)

from stepway.vault.sealing import MARK

ENCODING = "stepway/unresolved"


@dataclass(frozen=True)
class Unresolved(RawValue):
    """A payload that may have references, and the type that it is for.

    Temporal encodes it as that payload, so it can be sent again as it came.
    """

    type_hint: Any = None


class UnresolvedCodec(PayloadCodec, WithSerializationContext):
    """Wraps the payloads that an activity gets, if they have references; `inner` decodes first."""

    def __init__(self, inner: PayloadCodec | None = None, *, wraps: bool = False) -> None:
        self._inner = inner
        self._wraps = wraps

    def with_context(self, context: SerializationContext) -> UnresolvedCodec:
        """Return the codec of an activity, or this one, which wraps nothing, for a workflow."""
        if not isinstance(context, ActivitySerializationContext):
            return self
        return UnresolvedCodec(self._inner, wraps=True)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encode payloads with `inner`."""
        return await self._inner.encode(payloads) if self._inner else list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decode payloads. Raises the errors of `inner`."""
        decoded = await self._inner.decode(payloads) if self._inner else list(payloads)
        return [_wrapped(each) for each in decoded] if self._wraps else decoded


class UnresolvedPayloads(EncodingPayloadConverter):
    """Makes `Unresolved` of wrapped payloads."""

    @property
    def encoding(self) -> str:
        """The encoding of wrapped payloads."""
        return ENCODING

    def to_payload(self, value: Any) -> None:
        """Encode nothing: Temporal itself encodes raw values, of which Unresolved is one."""

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Unresolved:
        """Return the payload inside, with the type that it is for."""
        return Unresolved(Payload.FromString(payload.data), type_hint)


def unresolved(value: Any) -> Unresolved | None:
    """Return the value if it has yet to be resolved, else None."""
    if isinstance(value, Unresolved) or not isinstance(value, RawValue):
        return value if isinstance(value, Unresolved) else None
    if value.payload.metadata.get("encoding") != ENCODING.encode():
        return None
    # The activity takes raw values, which Temporal does not convert.
    return Unresolved(Payload.FromString(value.payload.data), RawValue)


def _wrapped(payload: Payload) -> Payload:
    if MARK not in payload.data:
        return payload
    return Payload(metadata={"encoding": ENCODING.encode()}, data=payload.SerializeToString())
