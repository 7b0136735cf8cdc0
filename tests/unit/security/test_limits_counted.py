"""Limits, origins and rules as they count and judge, without a server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from stepway.api.auth.guard import admit_by
from stepway.api.auth.limits import MAX_KEYS, SECRETS, Buckets, Failures, Limits, network
from stepway.api.auth.origin import Origins, origin_of
from stepway.api.auth.policy import LOCAL, Person, Rule, Rules, Scope
from stepway.api.auth.refusals import Forbidden, TooMany
from stepway.runtime.settings import Settings

ALICE = Person("alice", scopes=frozenset({Scope.READ, Scope.CREATE, Scope.CONTROL}))
BOB = Person("bob", groups=frozenset({"team"}), scopes=frozenset({Scope.READ, Scope.CONTROL}))
ROOT = Person("root", scopes=frozenset({Scope.ADMIN}))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_bucket_says_how_long_to_wait_to_the_second() -> None:
    clock = Clock()
    buckets = Buckets(0.05, 2, clock)
    assert buckets.wait("a") == 0
    buckets.take("a")
    assert buckets.wait("a") == 0
    buckets.take("a")
    assert buckets.wait("a") == pytest.approx(20)
    clock.now += 15
    assert buckets.wait("a") == pytest.approx(5)
    clock.now += 5
    assert buckets.wait("a") == 0
    assert buckets.wait("b") == 0
    clock.now += 10_000
    for _ in range(2):
        assert buckets.wait("a") == 0
        buckets.take("a")
    assert buckets.wait("a") > 0


def test_bucket_forgets_the_one_that_was_used_longest_ago() -> None:
    buckets = Buckets(0.001, 1, Clock())
    for number in range(MAX_KEYS):
        buckets.take(str(number))
    buckets.take("0")
    buckets.take("one more")
    assert buckets.wait("0") > 0
    assert buckets.wait("1") == 0
    assert buckets.wait("2") > 0


def limits(**narrow: Any) -> Limits:
    return Limits(Settings().model_copy(update=narrow), None)  # type: ignore[arg-type]


def test_stream_that_was_closed_makes_room_for_another() -> None:
    counted = limits(streams_per_owner=2)
    for _ in range(5):
        counted.open_stream(ALICE)
        counted.open_stream(ALICE)
        with pytest.raises(TooMany) as refused:
            counted.open_stream(ALICE)
        assert refused.value.headers["Retry-After"] == "10"
        counted.open_stream(BOB)
        for person in (ALICE, BOB, ALICE):
            counted.close_stream(person)
    assert not counted._open


def test_whoever_is_here_without_sign_in_is_not_limited() -> None:
    counted = limits(streams_per_owner=1)
    for _ in range(3):
        counted.open_stream(LOCAL)
    for _ in range(100):
        counted.count_secret(LOCAL, "local")
    counted.check_secrets(LOCAL, "local")


def test_secrets_are_counted_for_each_person_and_owner() -> None:
    counted = limits()
    for _ in range(SECRETS):
        counted.check_secrets(ALICE, "team")
        counted.count_secret(ALICE, "team")
    with pytest.raises(TooMany) as refused:
        counted.check_secrets(ALICE, "team")
    assert refused.value.headers["Retry-After"] == "360"
    counted.check_secrets(ALICE, "alice")
    counted.check_secrets(BOB, "team")


class Unfinished:
    """A pool that finds so many unfinished initializations, and notes whose."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.owners: list[str] = []

    async def fetchval(self, query: str, owner: str) -> int:
        self.owners.append(owner)
        return self.number


def starting(unfinished: Unfinished, **narrow: Any) -> Limits:
    return Limits(Settings().model_copy(update=narrow), unfinished)  # type: ignore[arg-type]


async def test_starts_are_counted_for_each_person_and_unfinished_ones_for_the_owner() -> None:
    pool = Unfinished(2)
    counted = starting(pool, starts_per_minute=3, unfinished_per_owner=3)
    for _ in range(3):
        await counted.start(ALICE, "team")
    with pytest.raises(TooMany, match="too many projects") as refused:
        await counted.start(ALICE, "alice")
    assert refused.value.headers["Retry-After"] == "20"
    assert pool.owners == ["team"] * 3
    pool.number = 3
    with pytest.raises(TooMany, match="team already has 3 unfinished") as refused:
        await counted.start(BOB, "team")
    assert refused.value.headers["Retry-After"] == "60"
    for _ in range(5):
        await counted.start(LOCAL, "local")


async def test_one_start_a_minute_has_to_wait_a_minute() -> None:
    counted = starting(Unfinished(0), starts_per_minute=1)
    await counted.start(ALICE, "alice")
    with pytest.raises(TooMany) as refused:
        await counted.start(ALICE, "alice")
    assert refused.value.headers["Retry-After"] == "60"


def test_failures_of_one_address_do_not_count_for_another() -> None:
    clock = Clock()
    failures = Failures(clock)
    for _ in range(20):
        failures.check("192.0.2.1")
        failures.count("192.0.2.1")
    with pytest.raises(TooMany) as refused:
        failures.check("192.0.2.1")
    assert refused.value.headers["Retry-After"] == "5"
    failures.check("192.0.2.2")


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("not an address", "not an address"),
    ],
)
def test_network_is_what_one_machine_has(address: str, counts_as: str) -> None:
    assert network(address) == counts_as


def request(method: str = "POST", path: str = "/api/projects", **headers: str) -> Request:
    sent = {"host": "127.0.0.1:8000", **{name.replace("_", "-"): v for name, v in headers.items()}}
    return Request(
        {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "scheme": "http",
            "server": ("127.0.0.1", 8000),
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        }
    )


def origins(*, without_sign_in: bool = False, **update: Any) -> Origins:
    return Origins(Settings().model_copy(update=update), without_sign_in=without_sign_in)


PROXIED = {"public_url": "https://stepway.example"}
WITH_UI = {"temporal_ui_url": "http://temporal-ui.example:8080/namespaces"}
CODEC = "/api/codec/decode"


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({}, request()),
        ({}, request(origin="http://127.0.0.1:8000")),
        ({}, request("GET", origin="https://evil.example")),
        ({}, request("HEAD", origin="https://evil.example")),
        ({}, request("OPTIONS", origin="https://evil.example")),
        ({}, request(sec_fetch_site="same-origin")),
        # Behind a proxy that names another host.
        (PROXIED, request(origin="https://stepway.example", host="stepway-api:8000")),
        (WITH_UI, request(path=CODEC, origin="http://temporal-ui.example:8080")),
        ({"without_sign_in": True}, request(origin="http://localhost:5173")),
        (
            {"without_sign_in": True, "cors_origins": ["https://p.example"]},
            request(origin="https://p.example"),
        ),
    ],
)
def test_own_pages_may_change_things(settings: dict[str, Any], asked: Request) -> None:
    origins(**settings).check_change(asked)


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({}, request(origin="https://evil.example")),
        ({}, request(origin="null")),
        ({}, request(sec_fetch_site="cross-site")),
        ({}, request(sec_fetch_site="same-site")),
        ({}, request(origin="http://localhost:5173")),
        (PROXIED, request(origin="https://evil.example", host="stepway-api:8000")),
        (PROXIED, request(origin="https://stepway.example.evil", host="stepway-api:8000")),
        (WITH_UI, request(path=CODEC, origin="https://evil.example")),
        (WITH_UI, request(path=CODEC, origin="http://temporal-ui.example")),
        (WITH_UI, request(path="/api/projects", origin="http://temporal-ui.example:8080")),
        (WITH_UI, request(path="/x/api/codec/", origin="http://temporal-ui.example:8080")),
        ({"cors_origins": ["https://p.example"]}, request(origin="https://p.example")),
        # An address that is not set is nobody's.
        ({}, request(path=CODEC, origin="")),
    ],
)
def test_pages_of_others_may_not(settings: dict[str, Any], asked: Request) -> None:
    with pytest.raises(Forbidden):
        origins(**settings).check_change(asked)


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000", "stepway.example"])
def test_own_names_of_this_machine_are_served(host: str) -> None:
    origins(**PROXIED).check_host(request(host=host))


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "stepway.x"])
def test_name_that_somebody_else_gave_is_not_served(host: str) -> None:
    with pytest.raises(Forbidden):
        origins(**PROXIED).check_host(request(host=host))


def test_origin_of_a_url_has_no_path() -> None:
    assert origin_of("http://ui.example:8080/a?b") == "http://ui.example:8080"
    assert origin_of("") == ""


RULES = [
    (Rules(), {"alice": "rcC", "bob": ""}),
    (Rules(readers=frozenset({"everyone"})), {"alice": "rcC", "bob": "r"}),
    (Rules(controllers=frozenset({"owner", "team"})), {"alice": "rcC", "bob": "rc"}),
    (Rules(frozenset({"bob"}), frozenset({"bob"})), {"alice": "C", "bob": "rc"}),
    (Rules(controllers=frozenset({"everyone"})), {"alice": "rcC", "bob": "rc"}),
]


def _named(value: object) -> str:
    """A name that is the same in every run: the order of a set is not."""
    if isinstance(value, Rules):
        return "+".join([*sorted(value.readers), "/", *sorted(value.controllers)])
    return str(value)


@pytest.mark.parametrize(("rules", "expected"), RULES, ids=_named)
def test_rules_say_who_may_do_what_with_alices_project(
    rules: Rules, expected: dict[str, str]
) -> None:
    letters = {"r": Scope.READ, "c": Scope.CONTROL, "C": Scope.CREATE}
    for person in (ALICE, BOB):
        for letter, scope in letters.items():
            assert rules.may(person, scope, "alice") is (letter in expected[person.name])
    for scope in Scope:
        assert rules.may(ROOT, scope, "alice")
        assert not rules.may(Person("alice"), scope, "alice")
    assert not rules.may(ALICE, Scope.ADMIN, "alice")


@pytest.mark.parametrize(
    ("rules", "person", "visible"),
    [
        (Rules(), ALICE, ["alice"]),
        (Rules(), BOB, ["bob", "team"]),
        (Rules(), ROOT, None),
        (Rules(readers=frozenset({"everyone"})), BOB, None),
        (Rules(readers=frozenset({"team"})), BOB, None),
        (Rules(frozenset({"x"}), frozenset({"x"})), BOB, []),
    ],
)
def test_visible_are_the_owners_whose_projects_one_may_read(
    rules: Rules, person: Person, visible: list[str] | None
) -> None:
    assert rules.visible(person) == visible


@pytest.mark.parametrize("required", [True, False])
async def test_open_route_takes_nobody_for_the_person_of_this_machine(required: bool) -> None:
    asked = request("GET", "/healthz")
    sign_in = SimpleNamespace(required=required)
    asked.scope["app"] = SimpleNamespace(
        state=SimpleNamespace(resources=SimpleNamespace(sign_in=sign_in))
    )
    admission = await admit_by(asked, Rule(None))
    assert admission.person.scopes == (frozenset() if required else frozenset(Scope))
    assert admission.hides_stacks is required
