"""All routes in OpenAPI with all kinds of callers: a new route without a rule fails."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from stepway.api.app import ROUTERS, create_app
from stepway.api.auth.guard import Guarded, check_rules
from stepway.api.auth.policy import ROUTES
from stepway.runtime.settings import Settings
from tests.security.conftest import Secured
from tests.support.servers import running_stepway

PROJECT = "/api/projects/{project_id}"
STEP = f"{PROJECT}/initialization/steps/{{step}}"
OUT = ("nobody", "wrong", "expired")
WHO = (*OUT, "other", "reader", "creator", "controller", "admin")
"""Of these, `other` has a token for everything and no right to alice's project; the next three are
alice with tokens for one thing or all."""

# Written by hand, and computed from nothing: a wrong rule must not be what it is compared with.
# By route: the status that turns each of WHO away, in their order; -- for whom it does not.
EXPECTED: dict[tuple[str, str], str] = {
    ("GET", "/healthz"): "-- -- -- -- -- -- -- --",
    ("GET", "/readyz"): "-- -- -- -- -- -- -- --",
    ("GET", "/metrics"): "401 401 401 -- -- 403 -- --",
    ("GET", "/api/session"): "-- 401 401 -- -- -- -- --",
    ("POST", "/api/session"): "401 401 401 -- -- 403 -- --",
    ("DELETE", "/api/session"): "-- -- -- -- -- -- -- --",
    ("POST", "/api/codec/encode"): "401 401 401 403 403 403 403 --",
    ("POST", "/api/codec/decode"): "401 401 401 403 403 403 403 --",
    ("GET", "/api/blueprints"): "401 401 401 -- -- 403 -- --",
    ("GET", "/api/blueprints/{name}"): "401 401 401 -- -- 403 -- --",
    ("GET", "/api/analytics/steps"): "401 401 401 -- -- 403 -- --",
    ("GET", "/api/projects"): "401 401 401 -- -- 403 -- --",
    ("POST", "/api/projects"): "401 401 401 -- 403 -- -- --",
    ("GET", PROJECT): "401 401 401 404 -- 403 -- --",
    ("GET", f"{PROJECT}/initialization"): "401 401 401 404 -- 403 -- --",
    ("GET", f"{PROJECT}/initialization/steps"): "401 401 401 404 -- 403 -- --",
    ("GET", f"{PROJECT}/initialization/history"): "401 401 401 404 -- 403 -- --",
    ("GET", f"{PROJECT}/initialization/events"): "401 401 401 404 -- 403 -- --",
    ("GET", f"{PROJECT}/initialization/estimate"): "401 401 401 404 -- 403 -- --",
    ("GET", f"{STEP}/attempts"): "401 401 401 404 -- 403 -- --",
    ("GET", f"{STEP}/logs"): "401 401 401 404 403 403 -- --",
    ("GET", f"{STEP}/retry"): "401 401 401 404 -- 403 -- --",
    ("POST", f"{STEP}/retry"): "401 401 401 404 403 403 -- --",
    ("POST", f"{STEP}/skip"): "401 401 401 404 403 403 -- --",
    ("GET", f"{PROJECT}/initialization/retry"): "401 401 401 404 -- 403 -- --",
    ("GET", f"{PROJECT}/initialization/cancel"): "401 401 401 404 -- 403 -- --",
    ("POST", f"{PROJECT}/initialization/retry"): "401 401 401 404 403 403 -- --",
    ("POST", f"{PROJECT}/initialization/cancel"): "401 401 401 404 403 403 -- --",
}
# Not in the schema: it is Prometheus'.
UNLISTED = {("GET", "/metrics")}


def operations() -> list[tuple[str, str]]:
    """Return all methods and paths in the schema."""
    paths = create_app(Settings()).openapi()["paths"]
    return [(method.upper(), path) for path, found in paths.items() for method in found]


CASES = [
    (operation, who, status)
    for operation, row in EXPECTED.items()
    for who, status in zip(WHO, row.split(), strict=True)
]


def test_every_documented_route_has_a_rule_and_a_row_of_expectations() -> None:
    assert set(operations()) | UNLISTED == set(ROUTES)
    assert set(EXPECTED) == set(ROUTES)


@pytest.mark.parametrize(
    ("operation", "who", "expected"), CASES, ids=lambda part: str(part).replace("/api/", "")
)
async def test_route_lets_in_and_turns_away_as_is_written_here(
    secured: Secured, operation: tuple[str, str], who: str, expected: str
) -> None:
    method, path = operation
    filled = path.format(project_id=secured.project, step="doomed", name=secured.blueprint)
    # No control has an effect: after the guard, this body is refused.
    body = {"json": {"surplus": True}} if method == "POST" else {}
    async with (
        secured.client() as client,
        client.stream(method, filled, headers=secured.headers(who), **body) as answer,
    ):
        if expected == "--":
            assert answer.status_code not in (401, 403, 404, 429)
            assert answer.status_code < 500
        else:
            assert answer.status_code == int(expected)
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("who", "expected"),
    list(zip(WHO, (401, 401, 401, 404, 200, 403, 200, 200), strict=True)),
)
@pytest.mark.parametrize("resumes", ["Last-Event-ID", "after"])
async def test_resumed_stream_is_guarded_as_the_new_one_is(
    secured: Secured, who: str, expected: int, resumes: str
) -> None:
    headers = secured.headers(who)
    url = secured.events
    if resumes == "after":
        url += "?after=1"
    else:
        headers["Last-Event-ID"] = "1"
    async with secured.client() as client, client.stream("GET", url, headers=headers) as answer:
        assert answer.status_code == expected


async def test_logs_are_for_controllers(
    secured: Secured,
) -> None:
    path = f"/api/projects/{secured.project}/initialization/steps/doomed/logs"
    async with secured.client("reader") as reader, secured.client("controller") as controller:
        refused = await reader.get(path)
        assert refused.status_code == 403
        assert refused.json()["detail"] == "You can view this project but not its logs."
        assert (await controller.get(path)).status_code == 200
        assert (await controller.get(f"{path}?attempt=99")).status_code == 404


async def test_logs_are_for_readers_where_the_deployment_says_so(
    secured: Secured, tmp_path: Path
) -> None:
    path = f"/api/projects/{secured.project}/initialization/steps/doomed/logs"
    settings = secured.stepway.settings.model_copy(update={"log_access": "read"})
    async with running_stepway(settings, tmp_path, worker=False) as stepway:
        answers = {
            who: await stepway.http.get(path, headers=secured.headers(who))
            for who in ("reader", "controller", "other")
        }
    assert {who: answer.status_code for who, answer in answers.items()} == {
        "reader": 200,
        "controller": 200,
        "other": 404,
    }


@pytest.mark.parametrize(("who", "may"), [("reader", False), ("controller", True), ("admin", True)])
async def test_controls_are_offered_only_to_those_who_may_use_them(
    secured: Secured, who: str, may: bool
) -> None:
    async with secured.client(who) as client:
        found = await client.get(f"/api/projects/{secured.project}/initialization")
    nothing = {"project": [], "steps": {}}
    offered = {"project": ["retry", "cancel"], "steps": {"doomed": ["retry", "skip"]}}
    assert found.json()["controls"] == (offered if may else nothing)


async def test_nobody_has_no_name_and_no_right_where_everybody_is_let_in(secured: Secured) -> None:
    async with secured.client() as client:
        assert (await client.get("/api/session")).json().get("name") in (None, "")


async def created(client: httpx.AsyncClient, body: dict[str, str]) -> str:
    """Create a project for the body's owner; return its path."""
    made = await client.post("/api/projects", json=body)
    assert made.status_code == 201
    project = made.json()["project"]
    assert project["owner"] == body["owner"]
    return f"/api/projects/{project['id']}"


async def test_admin_makes_a_project_for_somebody_else(secured: Secured) -> None:
    body = {"name": "made-by-root", "blueprint": secured.blueprint, "owner": "alice"}
    async with secured.client("admin") as root, secured.client("controller") as alice:
        path = await created(root, body)
        assert (await alice.get(path)).status_code == 200


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
        path = await created(carol, body)
        assert (await carol.get(path)).status_code == 200
        assert (await bob.get(path)).status_code == 404
        refused = await bob.post("/api/projects", json={**body, "name": "another"})
        assert refused.status_code == 403
        history = await carol.get(f"{path}/initialization/history")
        assert history.json()["items"][0]["actor"] == "carol"
