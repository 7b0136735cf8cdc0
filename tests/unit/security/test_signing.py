"""Signatures of the data that is sent to Temporal."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from stepway.vault.errors import Unsigned
from stepway.vault.payload_signing import SIGNATURE, SigningCodec

KEY = b"k" * 32
STORED = "a63be027894d043d4543093b77fcf91ecc19a5e2e1c22518c13209aee9ea9d03"


def payload(data: bytes = b'"hello"', **metadata: bytes) -> Payload:
    return Payload(metadata={"encoding": b"json/plain", **metadata}, data=data)


class Reversing(PayloadCodec):
    """Reverses data; notes the data that it decodes."""

    def __init__(self) -> None:
        self.decoded: list[Payload] = []

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload(metadata={"encoding": b"reversed"}, data=p.data[::-1]) for p in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        self.decoded += payloads
        return [payload(p.data[::-1]) for p in payloads]


async def test_what_the_server_writes_itself_needs_no_signature() -> None:
    cancelled = payload(b'"ACTIVITY_ID_NOT_STARTED"')
    assert await SigningCodec(KEY).decode([cancelled]) == [cancelled]
    for other in (payload(b'"ACTIVITY_ID_NOT_STARTED" '), payload(cancelled.data, more=b"x")):
        with pytest.raises(Unsigned):
            await SigningCodec(KEY).decode([other])


async def test_stored_signature_is_still_valid() -> None:
    codec = SigningCodec(KEY)
    [signed] = await codec.encode([payload(more=b"x")])
    assert signed.metadata[SIGNATURE].decode() == STORED
    assert await codec.decode([signed]) == [payload(more=b"x")]


async def test_signing_leaves_the_payload_that_was_given_and_its_data() -> None:
    given = payload()
    [signed] = await SigningCodec(KEY).encode([given])
    assert given == payload()
    assert (signed.data, signed.metadata["encoding"]) == (given.data, given.metadata["encoding"])


async def test_payload_that_was_signed_already_is_signed_for_what_it_is() -> None:
    codec = SigningCodec(KEY)
    [signed] = await codec.encode([payload()])
    assert await codec.encode([signed]) == [signed]


@pytest.mark.parametrize(
    "forged",
    [
        payload(b'"other"'),
        payload(more=b"x"),
        payload(more=b""),
        Payload(metadata={"encoding": b"json/protobuf"}, data=b'"hello"'),
        Payload(metadata={"encodin": b"gjson/plain"}, data=b'"hello"'),
        Payload(metadata={}, data=b'"hello"'),
        Payload(metadata={"encoding": b"json/plai"}, data=b'n"hello"'),
    ],
    ids=range(7),
)
async def test_signature_covers_data_and_metadata(forged: Payload) -> None:
    codec = SigningCodec(KEY)
    [signed] = await codec.encode([payload()])
    forged.metadata[SIGNATURE] = signed.metadata[SIGNATURE]
    with pytest.raises(Unsigned, match="STEPWAY_TEMPORAL_SIGNING_KEY_FILE"):
        await codec.decode([forged])


@pytest.mark.parametrize("signature", [None, b"", b"0" * 64, b"\xff"])
async def test_payload_without_a_valid_signature_is_refused(signature: bytes | None) -> None:
    plain = payload()
    if signature is not None:
        plain.metadata[SIGNATURE] = signature
    with pytest.raises(Unsigned):
        await SigningCodec(KEY).decode([plain])


async def test_one_unsigned_payload_refuses_all() -> None:
    inner = Reversing()
    codec = SigningCodec(KEY, inner)
    [signed] = await codec.encode([payload()])
    with pytest.raises(Unsigned):
        await codec.decode([signed, payload()])
    assert not inner.decoded


async def test_what_is_signed_is_what_the_inner_codec_made() -> None:
    inner = Reversing()
    codec = SigningCodec(KEY, inner)
    [signed] = await codec.encode([payload(b"abc")])
    assert signed.data == b"cba"
    assert await SigningCodec(KEY).decode([signed])
    assert await codec.decode([signed]) == [payload(b"abc")]
    assert SIGNATURE not in inner.decoded[0].metadata


async def test_another_key_makes_another_signature() -> None:
    [signed] = await SigningCodec(b"x" * 32).encode([payload()])
    with pytest.raises(Unsigned):
        await SigningCodec(KEY).decode([signed])
