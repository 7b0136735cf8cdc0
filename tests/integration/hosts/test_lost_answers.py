"""Each write whose answer is lost, and that the next attempt repeats, leaves one object."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

from stepway.hosts.errors import UNCERTAIN, HostError
from stepway.hosts.host import (
    BranchRules,
    CommitStatus,
    DeployEnvironment,
    Feature,
    GitHost,
    HostRepository,
    Permission,
    PullRequestSpec,
    RepositorySpec,
    WebhookSpec,
)
from tests.integration.hosts.clients import new_key
from tests.integration.hosts.places import PLACES, Place
from tests.support.githost.state import Repository

CHANGING = r"^(POST|PUT|PATCH|DELETE) /"
MOST = 8
"""Changing requests that one write sends at most."""


@dataclass
class Scene:
    """A repository, and what was made in it beforehand; `commit` is on its newest branch."""

    place: Place
    spec: RepositorySpec
    repository: HostRepository
    commit: str = ""
    made: dict[str, Any] = field(default_factory=dict)
    key: str = field(default_factory=new_key)

    @property
    def host(self) -> GitHost:
        return self.place.host


Act = Callable[[Scene], Awaitable[Any]]


@dataclass(frozen=True)
class Write:
    """A write of the protocol; `before` makes what it removes. `count` counts what it leaves.

    `branches` are those that the repository has.
    """

    act: Act
    count: Callable[[Repository | None], int]
    left: int = 1
    needs: tuple[Feature, ...] = ()
    before: Act | None = None
    branches: tuple[str, ...] = ()


def rules(found: Repository) -> int:
    return len(found.protections) + len(found.rulesets)


def opened(found: Repository) -> int:
    return sum(pull["state"] in ("open", "opened") for pull in found.pulls.values())


def people(found: Repository) -> int:
    """The collaborators; GitHub invites them first."""
    return len({*found.collaborators, *found.options.get("invited", ())})


def of(count: Callable[[Repository], int]) -> Callable[[Repository | None], int]:
    """Count in a repository that must be there."""

    def counted(found: Repository | None) -> int:
        assert found is not None
        return count(found)

    return counted


async def put_environment(scene: Scene) -> None:
    await scene.host.put_environment(scene.repository, DeployEnvironment("production"))


async def put_secret(scene: Scene) -> None:
    await scene.host.put_secret(scene.repository, "TOKEN", scene.place.secrets[0])


async def put_variable(scene: Scene) -> None:
    await scene.host.put_variable(scene.repository, "REGION", "north")


async def put_collaborator(scene: Scene) -> None:
    await scene.host.put_collaborator(scene.repository, scene.place.other, Permission.WRITE)


async def put_team(scene: Scene) -> None:
    await scene.host.put_team(scene.repository, scene.place.team, Permission.WRITE)


async def add_deploy_key(scene: Scene) -> None:
    scene.made["key"] = await scene.host.add_deploy_key(scene.repository, "flux", scene.key)


async def add_webhook(scene: Scene) -> None:
    hook = WebhookSpec("https://hooks.example/a", secret="s3cret")
    scene.made["hook"] = await scene.host.add_webhook(scene.repository, hook)


async def protect_branch(scene: Scene) -> None:
    await scene.host.protect_branch(scene.repository, BranchRules("main", approvals=1))


async def open_pull_request(scene: Scene) -> None:
    spec = PullRequestSpec("change", "main", "A change")
    scene.made["pull"] = (await scene.host.open_pull_request(scene.repository, spec)).number


WRITES = {
    "create_repository": Write(
        lambda scene: scene.host.create_repository(scene.spec), lambda found: int(bool(found))
    ),
    "delete_repository": Write(
        lambda scene: scene.host.delete_repository(scene.repository),
        lambda found: int(bool(found)),
        left=0,
    ),
    "put_collaborator": Write(put_collaborator, of(people), needs=(Feature.COLLABORATORS,)),
    "remove_collaborator": Write(
        lambda scene: scene.host.remove_collaborator(scene.repository, scene.place.other),
        of(people),
        left=0,
        needs=(Feature.COLLABORATORS,),
        before=put_collaborator,
    ),
    "put_team": Write(put_team, of(lambda found: len(found.teams)), needs=(Feature.TEAMS,)),
    "remove_team": Write(
        lambda scene: scene.host.remove_team(scene.repository, scene.place.team),
        of(lambda found: len(found.teams)),
        left=0,
        needs=(Feature.TEAMS,),
        before=put_team,
    ),
    "put_environment": Write(
        put_environment, of(lambda found: len(found.environments)), needs=(Feature.ENVIRONMENTS,)
    ),
    "remove_environment": Write(
        lambda scene: scene.host.remove_environment(scene.repository, "production"),
        of(lambda found: len(found.environments)),
        left=0,
        needs=(Feature.ENVIRONMENTS,),
        before=put_environment,
    ),
    "put_secret": Write(put_secret, of(lambda found: len(found.secrets)), needs=(Feature.SECRETS,)),
    "remove_secret": Write(
        lambda scene: scene.host.remove_secret(scene.repository, "TOKEN"),
        of(lambda found: len(found.secrets)),
        left=0,
        needs=(Feature.SECRETS,),
        before=put_secret,
    ),
    "put_variable": Write(
        put_variable, of(lambda found: len(found.variables)), needs=(Feature.VARIABLES,)
    ),
    "remove_variable": Write(
        lambda scene: scene.host.remove_variable(scene.repository, "REGION"),
        of(lambda found: len(found.variables)),
        left=0,
        needs=(Feature.VARIABLES,),
        before=put_variable,
    ),
    "add_deploy_key": Write(
        add_deploy_key, of(lambda found: len(found.keys)), needs=(Feature.DEPLOY_KEYS,)
    ),
    "remove_deploy_key": Write(
        lambda scene: scene.host.remove_deploy_key(scene.repository, scene.made["key"]),
        of(lambda found: len(found.keys)),
        left=0,
        needs=(Feature.DEPLOY_KEYS,),
        before=add_deploy_key,
    ),
    "add_webhook": Write(
        add_webhook, of(lambda found: len(found.hooks)), needs=(Feature.WEBHOOKS,)
    ),
    "remove_webhook": Write(
        lambda scene: scene.host.remove_webhook(scene.repository, scene.made["hook"]),
        of(lambda found: len(found.hooks)),
        left=0,
        needs=(Feature.WEBHOOKS,),
        before=add_webhook,
    ),
    "protect_branch": Write(
        protect_branch, of(rules), needs=(Feature.BRANCH_PROTECTION,), branches=("main",)
    ),
    "unprotect_branch": Write(
        lambda scene: scene.host.unprotect_branch(scene.repository, "main"),
        of(rules),
        left=0,
        needs=(Feature.BRANCH_PROTECTION,),
        before=protect_branch,
        branches=("main",),
    ),
    "open_pull_request": Write(
        open_pull_request,
        of(opened),
        needs=(Feature.PULL_REQUESTS,),
        branches=("main", "change"),
    ),
    "close_pull_request": Write(
        lambda scene: scene.host.close_pull_request(scene.repository, scene.made["pull"]),
        of(opened),
        left=0,
        needs=(Feature.PULL_REQUESTS,),
        before=open_pull_request,
        branches=("main", "change"),
    ),
    "dispatch": Write(
        lambda scene: scene.host.dispatch(
            scene.repository, scene.place.workflow_name, "main", {"size": "3"}
        ),
        of(lambda found: len(found.dispatches)),
        needs=(Feature.DISPATCH,),
        branches=("main",),
    ),
    "set_commit_status": Write(
        lambda scene: scene.host.set_commit_status(
            scene.repository, scene.commit, CommitStatus("stepway", "success")
        ),
        of(lambda found: len({shown(one) for one in found.statuses[next(iter(found.statuses))]})),
        needs=(Feature.COMMIT_STATUS,),
        branches=("main",),
    ),
}
"""All writes of the protocol."""


def shown(status: dict[str, Any]) -> str:
    """The context of a status, whatever the host calls it: the newest of a context counts."""
    return str(status.get("context") or status.get("name"))


def test_no_write_of_the_protocol_is_missing() -> None:
    prefixes = ("create_", "delete_", "put_", "add_", "remove_", "set_", "open_", "close_")
    named = {name for name in vars(GitHost) if name.startswith(prefixes)}
    assert set(WRITES) == named | {"protect_branch", "unprotect_branch", "dispatch"}


def state(found: Repository | None) -> dict[str, Any]:
    """What a repository is like, without IDs and times."""
    if found is None:
        return {}
    fields = asdict(found)
    kept = ("description", "visibility", "collaborators", "teams", "secrets", "variables")
    counted = ("environments", "keys", "hooks", "protections", "rulesets", "dispatches")
    state = {name: fields[name] for name in kept} | {name: len(fields[name]) for name in counted}
    return state | {"topics": len(fields["topics"]), "people": people(found)}


async def prepared(place: Place, name: str, write: Write) -> Scene:
    spec = place.spec(topics=("web",))
    if name == "create_repository":
        return Scene(place, spec, None)  # type: ignore[arg-type]
    scene = Scene(place, spec, await place.host.create_repository(spec))
    path, text = place.workflow
    for branch in write.branches:
        files = {path: text.encode(), "branch": branch.encode()}
        scene.commit = await place.pushed(scene.repository, files, branch)
    if write.branches and place.host.kind == "gitlab":
        # The protection that the first push brings is no object of ours.
        await place.host.unprotect_branch(scene.repository, "main")
    if write.before is not None:
        await write.before(scene)
    return scene


@pytest.mark.parametrize("name", list(WRITES))
@pytest.mark.parametrize("place", [name for name in PLACES if "live" not in name], indirect=True)
async def test_a_write_whose_answer_is_lost_is_repeated_without_a_second_object(
    place: Place, name: str
) -> None:
    write = WRITES[name]
    for feature in write.needs:
        if feature not in place.host.features:
            pytest.skip(f"{place.host.kind} has no {feature}")
    assert place.server is not None
    scene = await prepared(place, name, write)
    await write.act(scene)
    expected = state(place.server.world.find(f"{scene.spec.owner}/{scene.spec.name}"))
    for request in range(MOST):
        scene = await prepared(place, name, write)
        fault = place.server.faults.add(CHANGING, skip=request, effect=True, lost=True)
        try:
            await write.act(scene)
        except HostError as error:
            assert error.reason in UNCERTAIN, error
            assert error.may_succeed_later
            await write.act(scene)
        place.server.faults.clear()
        found = place.server.world.find(f"{scene.spec.owner}/{scene.spec.name}")
        assert write.count(found) == write.left, request
        assert state(found) == expected, request
        if not fault.met:
            assert request, "the write has sent a request"
            return
    raise AssertionError(f"{name} sends more requests than expected")
