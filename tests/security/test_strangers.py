"""Guessed tokens, and requests from elsewhere to a Stepway without sign-in."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepway.api.auth.limits import FAILURES, Buckets, Failures, network
from stepway.api.auth.refusals import TooMany
from stepway.cli.client.errors import ClientError
from stepway.cli.run.roles import require_loopback
from stepway.runtime.settings import Settings
from tests.security.conftest import Secured
from tests.support.servers import running_stepway

WRONG = {"Authorization": "Bearer stepway_" + "y" * 43}


class Clock:
    """A clock that tests advance."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_guessing_is_stopped_and_those_who_were_let_in_before_go_on(
    secured_settings: Settings, people: dict[str, str], tmp_path: Path
) -> None:
    good = {"Authorization": f"Bearer {people['reader']}"}
    late = {"Authorization": f"Bearer {people['other']}"}
    async with running_stepway(secured_settings, tmp_path, worker=False) as stepway:
        assert (await stepway.http.get("/api/projects", headers=good)).status_code == 200
        for _ in range(FAILURES):
            assert (await stepway.http.get("/api/projects", headers=WRONG)).status_code == 401
        refused = await stepway.http.get("/api/projects", headers=WRONG)
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) >= 1
        # A valid but new token waits too; otherwise the response would reveal it.
        assert (await stepway.http.get("/api/projects", headers=late)).status_code == 429
        assert (await stepway.http.get("/api/projects", headers=good)).status_code == 200


def test_address_that_waited_may_try_again() -> None:
    clock = Clock()
    failures = Failures(clock)
    for _ in range(FAILURES):
        failures.check("192.0.2.1")
        failures.count("192.0.2.1")
    with pytest.raises(TooMany):
        failures.check("192.0.2.1")
    failures.check("192.0.2.2")
    clock.now += 5
    failures.check("192.0.2.1")


def test_one_network_of_ipv6_is_one_address() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff") != network("2001:db8:0:1::1")
    assert network("::ffff:192.0.2.1") != network("::ffff:192.0.2.2")


def test_counts_of_many_addresses_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepway.api.auth.limits.MAX_KEYS", 3)
    buckets = Buckets(1, 1)
    for number in range(10):
        buckets.take(str(number))
    assert len(buckets._levels) == 3


@pytest.mark.parametrize("host", ["stepway.evil.example", "192.0.2.1", ""])
async def test_without_sign_in_no_other_name_is_served(
    servers: Settings, tmp_path: Path, host: str
) -> None:
    async with running_stepway(servers, tmp_path, worker=False) as stepway:
        answer = await stepway.http.get("/api/projects", headers={"Host": host})
        assert answer.status_code in (400, 403)


async def test_without_sign_in_a_page_of_another_site_changes_nothing(
    servers: Settings, tmp_path: Path
) -> None:
    evil = {"Origin": "https://evil.example"}
    local = {"Origin": "http://localhost:5173"}
    async with running_stepway(servers, tmp_path, worker=False) as stepway:
        assert (await stepway.http.post("/api/projects", json={}, headers=evil)).status_code == 403
        assert (await stepway.http.post("/api/projects", json={}, headers=local)).status_code == 422
        state = (await stepway.http.get("/api/session")).json()
        assert (state["required"], state["name"]) == (False, "local")


def test_without_sign_in_only_this_machine_is_bound_to() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "stepway.example"):
        with pytest.raises(ClientError, match="STEPWAY_SIGN_IN"):
            require_loopback(host, Settings())
        require_loopback(host, Settings(sign_in=["tokens"]))
    for host in ("127.0.0.1", "::1", "localhost"):
        require_loopback(host, Settings())


async def test_other_origins_may_read_where_the_settings_name_them_exactly(
    secured: Secured,
) -> None:
    asks = {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    async with secured.client() as client:
        for origin, allowed in (
            ("https://portal.example", "https://portal.example"),
            ("https://portal.example.evil.example", None),
            ("http://portal.example", None),
        ):
            answer = await client.options("/api/projects", headers={"Origin": origin, **asks})
            assert answer.headers.get("access-control-allow-origin") == allowed
            assert "access-control-allow-credentials" not in answer.headers


async def test_answers_are_hardened_and_not_kept_by_caches(secured: Secured) -> None:
    async with secured.client("reader") as client:
        headers = (await client.get("/api/projects")).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
