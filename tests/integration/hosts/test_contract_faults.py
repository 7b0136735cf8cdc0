"""What all clients say of an answer that is no API's, comes too late, or from a stranger."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from stepway.hosts import http
from stepway.hosts.access import HostAccess, HostKind, StaticToken
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.gitea.host import open_gitea
from stepway.hosts.github.client import open_github
from stepway.hosts.gitlab.host import open_gitlab
from stepway.hosts.host import GitHost
from tests.integration.hosts.clients import refused
from tests.integration.hosts.places import PLACES, SOON, Place
from tests.support.githost.answers import Answer
from tests.support.githost.certificates import private_authority
from tests.support.githost.faults import Hold, html_page
from tests.support.githost.server import Host, running_host
from tests.support.servers import eventually

_OPENERS = {HostKind.GITHUB: open_github, HostKind.GITLAB: open_gitlab, HostKind.GITEA: open_gitea}

for_tests = pytest.mark.parametrize(
    "place", [name for name in PLACES if "live" not in name], indirect=True
)

PAGES = {
    "a page for people": (html_page(200), Reason.NOT_JSON),
    "a page that forbids": (html_page(403), Reason.NOT_JSON),
    "a page of a proxy": (Answer(404, "<html>nginx</html>"), Reason.NOT_JSON),
    "a broken proxy": (html_page(502), Reason.SERVER_ERROR),
    "half an answer": (
        Answer(200, '{"id": 1, "na', {"Content-Type": "application/json"}),
        Reason.NOT_JSON,
    ),
}


def opened(access: HostAccess) -> AbstractAsyncContextManager[GitHost]:
    """Open a host with short pauses."""
    return _OPENERS[access.kind](access, patience=SOON)


def given(place: Place) -> tuple[Host, HostAccess]:
    """The host for tests, and the access to it."""
    assert place.server is not None
    assert place.access is not None
    return place.server, place.access


def check(error: HostError, reason: Reason) -> None:
    """The error names host and remedy, and a later attempt may succeed."""
    assert error.reason is reason, error
    assert error.may_succeed_later
    assert "127.0.0.1" in error.message
    assert error.remedy


@for_tests
@pytest.mark.parametrize("page", PAGES)
async def test_an_answer_that_is_not_the_apis_is_neither_a_result_nor_not_found(
    place: Place, page: str
) -> None:
    server, _ = given(place)
    answer, reason = PAGES[page]
    made = await place.create()
    fault = server.faults.add("GET .*", answer)
    check(await refused(place.host.find_repository(made.owner, made.name)), reason)
    assert fault.met == 1


@for_tests
async def test_a_creation_whose_answer_is_a_page_is_found_by_the_next_attempt(place: Place) -> None:
    server, _ = given(place)
    spec = place.spec()
    fault = server.faults.add(place.creation, html_page(200), effect=True)
    try:
        made = await place.host.create_repository(spec)
    except HostError as error:
        check(error, Reason.NOT_JSON)
        made = await place.host.create_repository(spec)
    assert fault.met == 1
    assert made.project_id == spec.project_id
    assert len(server.requests(place.creation)) == 1


@for_tests
async def test_an_answer_that_comes_too_late_is_bounded_and_its_effect_is_found(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, access = given(place)
    spec = place.spec()
    hold = Hold()
    server.faults.add(place.creation, hold=hold)
    monkeypatch.setattr(http, "TIMEOUT", httpx.Timeout(0.3))
    async with opened(access) as host:
        check(await refused(host.create_repository(spec)), Reason.TIMED_OUT)
    monkeypatch.undo()
    hold.release()

    async def is_there() -> bool:
        return server.world.find(f"{spec.owner}/{spec.name}") is not None

    await eventually(is_there)
    made = await place.host.create_repository(spec)
    assert made.project_id == spec.project_id
    # Some clients ask again, and are told that the name is taken.
    assert [entry.status for entry in server.requests(place.creation)].count(201) == 1


@for_tests
async def test_an_unknown_authority_is_refused_until_the_credential_names_it(
    place: Place, tmp_path: Path
) -> None:
    server, access = given(place)
    context, ca = private_authority(tmp_path)
    with running_host(type(server.surface), tls=context) as guarded:
        guarded.world.add_account("erin")
        [known] = server.world.tokens.values()
        token = guarded.world.add_token("erin", known.scopes or set(), prefix="")
        access = replace(access, url=guarded.url, tokens=StaticToken(token.value))
        async with opened(access) as host:
            error = await refused(host.identity())
        assert error.reason is Reason.CERTIFICATE
        assert not error.may_succeed_later
        assert "--ca" in error.remedy
        assert not guarded.requests(".*"), "no token is sent to a stranger"
        async with opened(replace(access, ca=ca)) as host:
            assert (await host.identity()).account == "erin"
