"""Answers that are JSON, but not of the form that the host's API has, are errors of the host."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from stepway.hosts.errors import HostError, Reason
from stepway.hosts.github.app import AppTokens
from stepway.hosts.host import (
    BranchRules,
    CommitStatus,
    DeployEnvironment,
    Feature,
    GitHost,
    HostRepository,
    Permission,
    PullRequestSpec,
    WebhookSpec,
)
from tests.integration.hosts.clients import KEY
from tests.integration.hosts.places import PLACES, Place
from tests.support.githost.answers import Answer
from tests.support.githost.github.pushes import GitHubSurface

BODIES: list[Any] = [
    [],
    {},
    "x",
    5,
    True,
    [1],
    [{}],
    [None],
    {"id": None},
    {"message": "moved"},
    {"data": []},
    {"id": [], "full_name": 7, "topics": {}, "path_with_namespace": None},
]

EXPIRIES: list[Any] = ["soon", "2026-13-99", None, 5, [], "2999-12-01T00:00:00", "2020-01-01T00Z"]


def calls(place: Place, made: HostRepository) -> dict[str, Callable[[], Awaitable[Any]]]:
    """A call of each method of the protocol."""
    host, title = place.host, "t"
    request = PullRequestSpec("x", "main", title)
    return {
        "identity": host.identity,
        "missing_scopes": lambda: host.missing_scopes([Feature.SECRETS], workflows=True),
        "find_repository": lambda: host.find_repository(made.owner, made.name),
        "find_renamed": lambda: host.find_renamed(made.owner, made.name),
        "create_repository": lambda: host.create_repository(place.spec()),
        "delete_repository": lambda: host.delete_repository(made),
        "branch_head": lambda: host.branch_head(made, "main"),
        "remote": lambda: host.remote(made),
        "put_collaborator": lambda: host.put_collaborator(made, place.other, Permission.WRITE),
        "remove_collaborator": lambda: host.remove_collaborator(made, place.other),
        "put_team": lambda: host.put_team(made, place.team, Permission.WRITE),
        "remove_team": lambda: host.remove_team(made, place.team),
        "put_environment": lambda: host.put_environment(
            made, DeployEnvironment("prod", (place.other,), 1)
        ),
        "remove_environment": lambda: host.remove_environment(made, "prod"),
        "put_secret": lambda: host.put_secret(made, "A", place.secrets[0]),
        "remove_secret": lambda: host.remove_secret(made, "A"),
        "put_variable": lambda: host.put_variable(made, "B", "v"),
        "remove_variable": lambda: host.remove_variable(made, "B"),
        "ssh_host_keys": host.ssh_host_keys,
        "deploy_keys": lambda: host.deploy_keys(made),
        "add_deploy_key": lambda: host.add_deploy_key(made, title, KEY),
        "remove_deploy_key": lambda: host.remove_deploy_key(made, "1"),
        "add_webhook": lambda: host.add_webhook(made, WebhookSpec("https://x.example/h")),
        "remove_webhook": lambda: host.remove_webhook(made, "1"),
        "protect_branch": lambda: host.protect_branch(made, BranchRules(approvals=1)),
        "unprotect_branch": lambda: host.unprotect_branch(made, "main"),
        "open_pull_request": lambda: host.open_pull_request(made, request),
        "find_pull_request": lambda: host.find_pull_request(made, 1),
        "close_pull_request": lambda: host.close_pull_request(made, 1),
        "newest_run": lambda: host.newest_run(made, place.workflow_name, "main"),
        "dispatch": lambda: host.dispatch(made, place.workflow_name, "main", {}),
        "set_commit_status": lambda: host.set_commit_status(
            made, "a" * 40, CommitStatus("c", "success")
        ),
    }


@pytest.mark.parametrize("status", [200, 422])
@pytest.mark.parametrize("place", [name for name in PLACES if "live" not in name], indirect=True)
async def test_no_answer_leads_to_an_error_of_python(place: Place, status: int) -> None:
    assert place.server is not None
    made = await place.create()
    methods = calls(place, made)
    plain = {name for name, value in vars(GitHost).items() if asyncio.iscoroutinefunction(value)}
    assert set(methods) == plain
    wrong = []
    for name, call in methods.items():
        for body in BODIES:
            place.server.faults.clear()
            place.server.faults.add(".*", Answer(status, body), times=999)
            try:
                await call()
            except HostError as error:
                assert error.message
            except Exception as error:
                wrong.append(f"{name}, {body!r}: {error!r}")
    place.server.faults.clear()
    assert wrong == []


async def test_an_answer_of_another_form_is_named_and_tried_again(place: Place) -> None:
    assert place.server is not None
    place.server.faults.add(".*", Answer(200, []), times=9)
    with pytest.raises(HostError) as caught:
        await place.host.identity()
    assert (caught.value.reason, caught.value.may_succeed_later) == (Reason.NOT_JSON, True)
    assert "127.0.0.1" in caught.value.message
    assert caught.value.remedy


def app_tokens(place: Place, number: int = 0) -> AppTokens:
    assert place.server is not None
    surface = place.server.surface
    assert isinstance(surface, GitHubSurface)
    app, key = surface.add_app(f"stepway-{number}", "acme", contents="write")
    return AppTokens(place.server.url, app, key, "acme")


@pytest.mark.parametrize("expires_at", EXPIRIES)
async def test_a_token_of_an_app_with_a_strange_end_is_used(
    on_github: Place, expires_at: Any
) -> None:
    assert on_github.server is not None
    tokens = app_tokens(on_github)
    made = {"token": "ghs_made", "expires_at": expires_at}
    on_github.server.faults.add("POST .*/access_tokens", Answer(201, made), times=9)
    assert [await tokens.token() for _ in range(3)] == ["ghs_made"] * 3
    assert len(on_github.server.requests("POST .*/access_tokens")) == 1


@pytest.mark.parametrize("body", [*BODIES, {"token": None}, {"token": "t", "permissions": [1]}])
async def test_no_token_of_an_app_leads_to_an_error_of_python(on_github: Place, body: Any) -> None:
    assert on_github.server is not None
    tokens = app_tokens(on_github)
    for pattern in ("POST .*/access_tokens", "GET .*/installation", "GET .*/app$"):
        on_github.server.faults.clear()
        on_github.server.faults.add(pattern, Answer(200, body), times=9)
        with pytest.raises(HostError):
            await (tokens.name() if pattern.endswith("app$") else tokens.token())
