"""The check of every request, without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Response
from starlette.requests import Request

from stepway.api.auth.guard import Admission, Guarded, admit_by, check_rules, refuse_unknown
from stepway.api.auth.policy import LOCAL, ROUTES, Person, Rule, Rules
from stepway.api.auth.refusals import Forbidden, SignInUnavailable
from stepway.api.input_invalid import InputInvalid
from stepway.runtime.scopes import Scope
from stepway.vault.redaction import REDACTED
from stepway.vault.sealing import Seals
from stepway_tracking.record.errors import ProjectUnknown

READ, CREATE, CONTROL, ADMIN = Scope
PATIENCE = 30.0


def admission(answers: Sequence[Any], hides_stacks: bool = True) -> Admission:
    """An admission whose rechecks give these answers, or raise them; the last one for ever."""
    left = list(answers)

    async def recheck() -> Admission:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return Admission(Person("alice"), answer, recheck)

    found = Admission(Person("alice"), hides_stacks, recheck)
    object.__setattr__(found, "left", left)
    return found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepway.api.auth.guard.RECHECK", 0.01)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "last", [Forbidden("no"), ProjectUnknown("no"), False], ids=["refused", "gone", "changed"]
)
async def test_permission_ends_when_it_is_revoked_or_another_one(last: Any) -> None:
    found = admission([True, OSError("away"), SignInUnavailable("away"), True, last])
    async with asyncio.timeout(PATIENCE):
        await found.until_revoked()
    assert found.left == [last]  # type: ignore[attr-defined]


@pytest.mark.usefixtures("quick")
async def test_permission_that_stays_has_no_end() -> None:
    waiting = asyncio.create_task(admission([True]).until_revoked())
    done, _ = await asyncio.wait([waiting], timeout=0.3)
    waiting.cancel()
    assert not done


@pytest.mark.usefixtures("quick")
async def test_permission_that_cannot_be_checked_for_long_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stepway.api.auth.guard.MAX_UNCONFIRMED", 0.05)
    async with asyncio.timeout(PATIENCE):
        await admission([OSError("away")]).until_revoked()


@pytest.mark.usefixtures("quick")
async def test_confirmation_begins_the_time_without_one_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stepway.api.auth.guard.MAX_UNCONFIRMED", 0.2)
    waiting = asyncio.create_task(admission([True]).until_revoked())
    done, _ = await asyncio.wait([waiting], timeout=1)
    waiting.cancel()
    assert not done


@pytest.mark.usefixtures("quick")
async def test_fault_of_ours_is_not_taken_for_an_outage() -> None:
    with pytest.raises(RuntimeError):
        await admission([RuntimeError("a fault")]).until_revoked()


async def test_first_recheck_comes_after_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("stepway.api.auth.guard.asyncio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr("stepway.api.auth.guard.RECHECK", 10.0)
    await admission([True] * 50 + [False]).until_revoked()
    assert len(pauses) == 51
    assert all(8 <= pause <= 10 for pause in pauses)


def test_stacks_are_hidden_where_they_are_values_and_seals_everywhere() -> None:
    seal = Seals(None).seal("a secret", "here")
    body = json.dumps(
        {
            "error_stack": 'line 1\n  "quoted" \\ line 2',
            "error": 'says "error_stack": "x"',
            "parameters": seal,
        }
    ).encode()
    shown = json.loads(admission([True], hides_stacks=True).visible(body))
    assert shown == {
        "error_stack": None,
        "error": 'says "error_stack": "x"',
        "parameters": REDACTED,
    }
    shown = json.loads(admission([True], hides_stacks=False).visible(body))
    assert shown["error_stack"].startswith("line 1")
    assert shown["parameters"] == REDACTED


def test_unknown_query_parameter_is_named_with_what_may_be_meant() -> None:
    refuse_unknown(["limit", "cursor"], ["cursor", "limit"])
    refuse_unknown([], [])
    with pytest.raises(InputInvalid) as refused:
        refuse_unknown(["limit", "cursr", "a/b~c"], ["cursor", "limit"])
    assert refused.value.status == 422
    assert str(refused.value).startswith("cursr: unknown query parameter; did you mean cursor? ")
    assert refused.value.errors == [
        {
            "name": "cursr",
            "pointer": "/query/cursr",
            "detail": "unknown query parameter; did you mean cursor? available: cursor, limit",
        },
        {
            "name": "a/b~c",
            "pointer": "/query/a~1b~0c",
            "detail": "unknown query parameter; available: cursor, limit",
        },
    ]
    with pytest.raises(InputInvalid, match="this path takes none"):
        refuse_unknown(["x"], [])


class Signed:
    """Sign-in that knows one person."""

    def __init__(self, person: Person, required: bool = True) -> None:
        self._person = person
        self.required = required

    async def person(self, request: Request) -> Person:
        return self._person


class Owners:
    """A pool that knows the owner of every project."""

    def __init__(self, owner: str | None) -> None:
        self.owner = owner

    async def fetchval(self, query: str, project_id: Any) -> str | None:
        return self.owner


def asked(
    person: Person, owner: str | None = "alice", project: str = "", rules: Rules | None = None
) -> Request:
    given = SimpleNamespace(sign_in=Signed(person), pool=Owners(owner), rules=rules or Rules())
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": "/",
            "headers": [],
            "path_params": {"project_id": project or str(uuid4())},
            "app": SimpleNamespace(state=SimpleNamespace(resources=given)),
        }
    )


def person(name: str, *scopes: Scope) -> Person:
    return Person(name, scopes=frozenset(scopes))


READERS_TOO = Rules(readers=frozenset({"owner", "everyone"}))


@pytest.mark.parametrize(
    ("who", "scope", "hides"),
    [
        (person("alice", READ), READ, True),
        (person("alice", READ, CONTROL), READ, False),
        (person("alice", READ, CONTROL), CONTROL, False),
        (person("bob", READ, CONTROL), READ, True),
        (person("root", ADMIN), CONTROL, False),
    ],
)
async def test_stacks_are_for_those_who_may_control(who: Person, scope: Scope, hides: bool) -> None:
    found = await admit_by(asked(who, rules=READERS_TOO), Rule(scope, project=True))
    assert (found.person, found.hides_stacks) == (who, hides)
    again = await found.recheck()
    assert (again.person, again.hides_stacks) == (who, hides)


@pytest.mark.parametrize(
    ("who", "owner", "scope", "refusal", "says"),
    [
        (person("alice", CONTROL), "alice", READ, Forbidden, "lacks the scope read"),
        (person("alice", READ), "alice", CONTROL, Forbidden, "not control"),
        (person("bob", READ, CONTROL), "alice", CONTROL, Forbidden, "not control"),
        (person("bob", READ), None, READ, ProjectUnknown, "not found"),
    ],
)
async def test_who_may_not_is_refused_with_the_reason(
    who: Person, owner: str | None, scope: Scope, refusal: type[Exception], says: str
) -> None:
    with pytest.raises(refusal, match=says):
        await admit_by(asked(who, owner, rules=READERS_TOO), Rule(scope, project=True))


async def test_foreign_project_is_not_found() -> None:
    with pytest.raises(ProjectUnknown):
        await admit_by(asked(person("bob", READ, CONTROL)), Rule(READ, project=True))


async def test_route_without_a_project_needs_its_scope_only() -> None:
    found = await admit_by(asked(person("alice", CREATE), owner=None), Rule(CREATE))
    assert found.hides_stacks
    with pytest.raises(Forbidden, match="lacks the scope admin"):
        await admit_by(asked(person("alice", CREATE)), Rule(ADMIN))
    assert not (await admit_by(asked(person("root", ADMIN)), Rule(CREATE))).hides_stacks


async def test_project_id_that_is_no_uuid_is_invalid_input() -> None:
    with pytest.raises(InputInvalid, match="project_id: must be a UUID") as refused:
        await admit_by(asked(person("alice", READ), project="x"), Rule(READ, project=True))
    assert refused.value.status == 422
    assert refused.value.errors == [
        {"name": "project_id", "pointer": "/path/project_id", "detail": "must be a UUID"}
    ]


@pytest.mark.parametrize(("required", "who"), [(True, Person("")), (False, LOCAL)])
async def test_route_for_everyone_knows_no_person_where_sign_in_is_required(
    required: bool, who: Person
) -> None:
    request = asked(person("alice", READ))
    request.app.state.resources.sign_in.required = required
    found = await admit_by(request, Rule(None))
    assert (found.person, found.hides_stacks) == (who, required)


STACK = b'{"error_stack": "line 1", "error": "no"}'


def nested(inner: int = 0) -> None:
    """A dependency with a parameter."""


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> APIRouter:
    """Routes that need the scope `read`."""
    found = APIRouter(route_class=Guarded)

    @found.get("/stack", dependencies=[Depends(nested)])
    async def stack(request: Request, limit: int = 1) -> Response:
        assert request.state.admission.person.has(READ)
        return Response(STACK, media_type="application/json")

    @found.get("/kept")
    async def kept() -> Response:
        return Response("x", headers={"Cache-Control": "private"})

    for path in ("/stack", "/kept"):
        monkeypatch.setitem(ROUTES, ("GET", path), Rule(READ))
    return found


async def answer(router: APIRouter, who: Person, path: str) -> httpx.Response:
    """The answer to a person."""
    app = FastAPI()
    app.include_router(router)
    app.state.resources = asked(who).app.state.resources
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return await client.get(path)


async def test_answer_hides_stacks_from_those_who_may_not_control(router: APIRouter) -> None:
    found = await answer(router, person("alice", READ), "/stack?limit=2&inner=3")
    assert found.content == b'{"error_stack": null, "error": "no"}'
    assert found.headers["content-length"] == str(len(found.content))
    found = await answer(router, person("alice", READ, CONTROL), "/stack")
    assert found.content == STACK
    assert found.headers["content-length"] == str(len(STACK))


async def test_answer_is_not_cached_unless_its_route_says_so(router: APIRouter) -> None:
    found = await answer(router, person("alice", READ), "/stack")
    assert found.headers["cache-control"] == "no-store"
    found = await answer(router, person("alice", READ), "/kept")
    assert found.headers["cache-control"] == "private"


async def test_request_is_refused_before_its_route_sees_it(router: APIRouter) -> None:
    with pytest.raises(Forbidden):
        await answer(router, person("alice", CREATE), "/stack?unknown=1")
    with pytest.raises(InputInvalid, match="unknown query parameter; available: limit, inner"):
        await answer(router, person("alice", READ), "/stack?unknown=1")


def test_route_without_a_rule_or_without_the_guard_is_refused(router: APIRouter) -> None:
    check_rules([router])
    router.get("/new")(nested)
    with pytest.raises(TypeError, match="has no rule for GET /new"):
        check_rules([router])
    other = APIRouter()
    other.get("/stack")(nested)
    with pytest.raises(TypeError, match="route_class=Guarded"):
        check_rules([other])
