"""JWTs of an OpenID provider: valid and invalid ones, and unreachable keys."""

from __future__ import annotations

import gzip
import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from stepway.api.auth.oidc import FRESH, LEEWAY, LONGEST, PAUSE, KeySet, OpenId
from stepway.api.auth.refusals import NotSignedIn, SignInUnavailable
from stepway.runtime.scopes import Scope
from stepway.runtime.settings import Settings
from tests.security.conftest import Secured
from tests.security.provider import AUDIENCE, Provider
from tests.security.test_strangers import Clock


class Body(httpx.AsyncByteStream):
    """The body of an answer, compressed."""

    def __init__(self, text: bytes) -> None:
        self._packed = gzip.compress(text)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._packed


class Wire:
    """A provider, a connection to it that tests can cut, and the verifier of its tokens."""

    def __init__(self, **settings: Any) -> None:
        self.provider = Provider()
        self.provider.rotate("first")
        self.cut = False
        self.bomb = False
        self.clock = Clock()
        given = {"sign_in": ["oidc"], "oidc_audience": AUDIENCE, **settings}
        keys = KeySet(self.provider.issuer, httpx.MockTransport(self._answer), self.clock)
        self.openid = OpenId(Settings(oidc_issuer=self.provider.issuer, **given), keys)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.cut:
            raise httpx.ConnectError("cut")
        found = self.provider.answer(request.url.path)
        if not found:
            return httpx.Response(404)
        # Some KB, which become 64 MB when they are decompressed.
        text = b" " * (64 << 20) if self.bomb else json.dumps(found).encode()
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Body(text))


@pytest.fixture
def wire() -> Wire:
    return Wire()


async def test_good_token_is_a_person_with_groups(wire: Wire) -> None:
    token = wire.provider.token(groups=["/platform", "no such/path", 7, "../x"])
    person = await wire.openid.person(token)
    assert person.name == "erin"
    assert person.groups == {"group.platform"}
    assert person.scopes == {Scope.READ, Scope.CREATE, Scope.CONTROL}


async def test_member_of_an_admins_group_is_an_admin() -> None:
    wire = Wire(admins=["group.operators"])
    assert (await wire.openid.person(wire.provider.token(groups="operators"))).admin
    assert not (await wire.openid.person(wire.provider.token(groups="others"))).admin


NOW = int(time.time())


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"exp": NOW - LEEWAY - 60},
        {"exp": None},
        {"nbf": NOW + LEEWAY + 86_400},
        {"sub": None},
        {"sub": ""},
        {"sub": "../../etc"},
        {"sub": "аlice"},
        {"sub": "a" * 300},
        {"sub": "group.operators"},
    ],
    ids=lambda claims: next(iter(claims)),
)
async def test_token_with_this_claim_is_not_believed(wire: Wire, claims: dict[str, Any]) -> None:
    with pytest.raises(NotSignedIn):
        await wire.openid.person(wire.provider.token(**claims))


async def test_clocks_may_differ_a_little(wire: Wire) -> None:
    now = int(time.time())
    await wire.openid.person(wire.provider.token(exp=now - LEEWAY + 10))
    await wire.openid.person(wire.provider.token(nbf=now + LEEWAY - 10, iat=now + LEEWAY - 10))


def _signed_with_hmac(token: str, key: bytes) -> str:
    """Sign the token's claims with the provider's public key as an HMAC secret."""
    header = urlsafe_b64encode(b'{"alg": "HS256", "typ": "JWT", "kid": "first"}').rstrip(b"=")
    signed = header + b"." + token.split(".")[1].encode()
    signature = urlsafe_b64encode(hmac.digest(key, signed, "sha256")).rstrip(b"=")
    return (signed + b"." + signature).decode()


async def test_token_that_is_not_signed_by_the_providers_key_is_not_believed(wire: Wire) -> None:
    claims = jwt.decode(wire.provider.token(), options={"verify_signature": False})
    public = wire.provider.keys["first"].public_key()
    pem = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    forged = Provider()
    forged.rotate("first")
    for token in (
        jwt.encode(claims, None, "none", {"kid": "first"}),
        _signed_with_hmac(wire.provider.token(), pem),
        forged.token(),
        wire.provider.token()[:-4] + "AAAA",
        "a.b.c",
        "..",
    ):
        with pytest.raises(NotSignedIn):
            await wire.openid.person(token)


async def test_new_key_of_the_provider_is_found_at_once_and_old_ones_go_on(wire: Wire) -> None:
    await wire.openid.person(wire.provider.token())
    wire.provider.rotate("second")
    wire.clock.now += PAUSE
    await wire.openid.person(wire.provider.token("second"))
    await wire.openid.person(wire.provider.token("first"))
    assert wire.provider.asked == 2


async def test_unknown_key_ids_do_not_make_us_ask_again_and_again(wire: Wire) -> None:
    strange = Provider()
    strange.rotate("strange")
    for _ in range(50):
        with pytest.raises(NotSignedIn):
            await wire.openid.person(strange.token())
    assert wire.provider.asked == 1


async def test_provider_out_of_reach_kept_keys_go_on_and_then_nobody_is_let_in(wire: Wire) -> None:
    await wire.openid.person(wire.provider.token())
    wire.cut = True
    wire.clock.now += FRESH + 1
    await wire.openid.person(wire.provider.token())
    wire.clock.now += LONGEST
    with pytest.raises(SignInUnavailable):
        await wire.openid.person(wire.provider.token())
    wire.cut = False
    wire.clock.now += PAUSE
    await wire.openid.person(wire.provider.token())


async def test_provider_that_was_never_reached_lets_nobody_in(wire: Wire) -> None:
    wire.cut = True
    with pytest.raises(SignInUnavailable):
        await wire.openid.person(wire.provider.token())


async def test_answer_that_decompresses_to_much_is_not_read(wire: Wire) -> None:
    token = wire.provider.token()
    wire.bomb = True
    with pytest.raises(SignInUnavailable):
        await wire.openid.person(token)
    wire.bomb = False
    wire.clock.now += PAUSE + 1
    assert (await wire.openid.person(token)).name == "erin"


async def test_discovery_of_another_issuer_lets_nobody_in(wire: Wire) -> None:
    token = wire.provider.token()
    wire.provider.issuer = "https://evil.example"
    with pytest.raises(SignInUnavailable):
        await wire.openid.person(token)


async def test_whole_way_with_a_token_of_the_provider(secured: Secured, provider: Provider) -> None:
    bearer = {"Authorization": f"Bearer {provider.token()}"}
    operator = {"Authorization": f"Bearer {provider.token(sub='otto', groups=['operators'])}"}
    path = f"/api/projects/{secured.project}"
    async with secured.client() as client:
        assert (await client.get("/api/session", headers=bearer)).json()["name"] == "erin"
        assert (await client.get(path, headers=bearer)).status_code == 404
        assert (await client.get(path, headers=operator)).status_code == 200
        expired = provider.token(exp=int(time.time()) - 3600)
        answer = await client.get(path, headers={"Authorization": f"Bearer {expired}"})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_session_ends_with_the_jwt_that_it_was_made_from(
    secured: Secured, provider: Provider
) -> None:
    ends = int(time.time()) + 120
    bearer = {"Authorization": f"Bearer {provider.token(exp=ends)}"}
    async with secured.client() as client:
        made = (await client.post("/api/session", headers=bearer)).json()
    assert made["expires_at"].startswith(
        time.strftime("%Y-%m-%dT%H:%M", time.gmtime(ends + LEEWAY))
    )
