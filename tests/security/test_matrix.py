"""All routes in OpenAPI with all kinds of callers: a new route without a rule fails."""

from __future__ import annotations

from itertools import product

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from stepway.api.app import ROUTERS, create_app
from stepway.api.auth.guard import Guarded, check_rules
from stepway.api.auth.policy import ROUTES, Rule
from stepway.runtime.scopes import Scope
from stepway.runtime.settings import Settings
from tests.security.conftest import Secured

OUT = ("nobody", "wrong", "expired")
SCOPES = {
    "other": {Scope.READ, Scope.CREATE, Scope.CONTROL},
    "reader": {Scope.READ},
    "creator": {Scope.CREATE},
    "controller": {Scope.READ, Scope.CREATE, Scope.CONTROL},
    "admin": set(Scope),
}
# Not in the schema: one is for Prometheus, the other has its own test below.
UNLISTED = {("GET", "/metrics")}


def operations() -> list[tuple[str, str]]:
    """Return all methods and paths in the schema."""
    paths = create_app(Settings()).openapi()["paths"]
    return [(method.upper(), path) for path, found in paths.items() for method in found]


CASES = list(product(sorted({*operations(), *UNLISTED}), (*OUT, *SCOPES)))


def expected(rule: Rule, who: str) -> int | None:
    """Return the status of the refusal; None if the caller is allowed."""
    if rule.scope is None:
        return None
    if who in OUT:
        return 401
    if rule.project and Scope.READ not in SCOPES[who]:
        return 403
    if rule.project and who == "other":
        return 404
    return None if rule.scope in SCOPES[who] else 403


def test_every_documented_route_has_a_rule_and_every_rule_a_route() -> None:
    assert set(operations()) | UNLISTED == set(ROUTES)


@pytest.mark.parametrize(("operation", "who"), CASES, ids=lambda part: str(part))
async def test_route_lets_in_and_turns_away_as_its_rule_says(
    secured: Secured, operation: tuple[str, str], who: str
) -> None:
    method, path = operation
    filled = path.format(project_id=secured.project, step="doomed", name=secured.blueprint)
    # No control has an effect: after the guard, this body is refused.
    body = {"json": {"surplus": True}} if method == "POST" else {}
    async with (
        secured.client() as client,
        client.stream(method, filled, headers=secured.headers(who), **body) as answer,
    ):
        status = expected(ROUTES[operation], who)
        if ROUTES[operation].scope is None:
            assert answer.status_code in (200, 204, 401 if who in OUT else 200)
        elif status is None:
            assert answer.status_code not in (401, 403, 404, 429)
            assert answer.status_code < 500
        else:
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("who", [*OUT, *SCOPES])
@pytest.mark.parametrize("resumes", ["Last-Event-ID", "after"])
async def test_resumed_stream_is_guarded_as_the_new_one_is(
    secured: Secured, who: str, resumes: str
) -> None:
    headers = secured.headers(who)
    url = secured.events
    if resumes == "after":
        url += "?after=1"
    else:
        headers["Last-Event-ID"] = "1"
    async with secured.client() as client, client.stream("GET", url, headers=headers) as answer:
        status = expected(Rule(Scope.READ, project=True), who)
        assert answer.status_code == (status or 200)


async def test_unreadable_project_looks_like_a_missing_one(secured: Secured) -> None:
    nothing = "00000000-0000-4000-8000-000000000000"
    async with secured.client("other") as bob:
        foreign = await bob.get(f"/api/projects/{secured.project}")
        absent = await bob.get(f"/api/projects/{nothing}")
    assert (foreign.status_code, absent.status_code) == (404, 404)
    assert foreign.text.replace(secured.project, nothing) == absent.text


async def test_list_and_analytics_contain_only_readable_projects(secured: Secured) -> None:
    async with secured.client("other") as bob, secured.client("admin") as root:
        assert (await bob.get("/api/projects")).json()["items"] == []
        assert (await bob.get("/api/analytics/steps")).json() == []
        ids = [each["id"] for each in (await root.get("/api/projects")).json()["items"]]
        assert {secured.project, secured.done} <= set(ids)
        assert (await root.get("/api/analytics/steps")).json()


async def test_stacks_are_shown_to_those_with_control_only(secured: Secured) -> None:
    base = f"/api/projects/{secured.project}/initialization"
    paths = ("", "/steps", "/steps/doomed/attempts", "/history")
    async with secured.client("reader") as reader, secured.client("controller") as controller:
        for path in paths:
            assert "Traceback" in (await controller.get(base + path)).text
            shown = await reader.get(base + path)
            assert "Traceback" not in shown.text
            assert "The host refused the key." in shown.text
            assert shown.json()
        for client, shows in ((reader, False), (controller, True)):
            async with client.stream("GET", f"{base}/events?after=0") as stream:
                text = ""
                async for part in stream.aiter_text():
                    text += part
                    if '"error": "The host' in text or '"error":"The host' in text:
                        break
            assert ("Traceback" in text) is shows


def test_route_without_a_rule_keeps_the_application_from_starting() -> None:
    router = APIRouter(route_class=Guarded)
    router.add_api_route("/api/secrets", lambda: None)
    with pytest.raises(TypeError, match="no rule for GET /api/secrets"):
        check_rules([*ROUTERS, router])


def test_route_that_is_not_guarded_keeps_the_application_from_starting() -> None:
    router = APIRouter()
    router.add_api_route("/api/projects", lambda: None)
    assert isinstance(router.routes[0], APIRoute)
    with pytest.raises(TypeError, match="route_class=Guarded"):
        check_rules([router])


async def test_group_owns_a_project_that_its_members_make(secured: Secured) -> None:
    body = {"name": "of-the-team", "blueprint": secured.blueprint, "owner": "group.team"}
    async with secured.client("member") as carol, secured.client("other") as bob:
        made = await carol.post("/api/projects", json=body)
        assert made.status_code == 201
        assert made.json()["project"]["owner"] == "group.team"
        path = f"/api/projects/{made.json()['project']['id']}"
        assert (await carol.get(path)).status_code == 200
        assert (await bob.get(path)).status_code == 404
        refused = await bob.post("/api/projects", json={**body, "name": "another"})
        assert refused.status_code == 403
        history = await carol.get(f"{path}/initialization/history")
        assert history.json()["items"][0]["actor"] == "carol"
