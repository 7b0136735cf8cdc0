"""An import weakens nothing of what a repository has: rights, reviewers, waiting times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from stepway.activities.database.create_environments import (
    CreateEnvironmentsInput,
    EnvironmentSpec,
    EnvironmentSteps,
)
from stepway.activities.on_host.add_collaborators import (
    AddCollaboratorsInput,
    Collaborator,
    CollaboratorSteps,
    TeamAccess,
)
from stepway.hosts.host import DeployEnvironment, Feature, Permission
from tests.integration.hosts.places import Place
from tests.integration.hosts.stage import Stage, new_stage
from tests.support.githost.state import Repository

_NO_DATABASE = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")


@pytest.fixture
def stage(place: Place, tmp_path: Path) -> Stage:
    if place.server is None:
        pytest.skip("a person acts on the host here")
    return new_stage(place, tmp_path / "templates")


def stored(stage: Stage) -> Repository:
    assert stage.place.server is not None
    found = stage.place.server.world.find(f"{stage.place.owner}/{stage.project.name}")
    assert found is not None
    return found


def rights(found: Repository) -> dict[str, Any]:
    return {**found.options.get("invited", {}), **found.collaborators, **found.teams}


async def add(stage: Stage, permission: Any, mode: Any) -> None:
    where = {**stage.where, "mode": mode}
    given = AddCollaboratorsInput(
        stage.project,
        collaborators=[Collaborator(stage.place.other, permission)],
        teams=[TeamAccess(stage.place.team, permission)],
        **where,
    )
    await stage.run(CollaboratorSteps(stage.open).add_collaborators, given)


async def test_an_import_takes_no_right_from_people_and_teams(stage: Stage) -> None:
    repository, host = await stage.existing(), stage.place.host
    found = stored(stage)
    # Somebody who has accepted the invitation, if there was one.
    found.collaborators[stage.place.other] = "pull" if host.kind == "github" else "20"
    if host.kind == "gitea":
        found.collaborators[stage.place.other] = "read"
    await host.put_collaborator(repository, stage.place.other, Permission.ADMIN)
    await host.put_team(repository, stage.place.team, Permission.ADMIN)
    before = rights(found)
    assert len(before) == 2
    await add(stage, "write", "import")
    assert rights(found) == before


async def test_an_import_gives_a_greater_right(stage: Stage) -> None:
    repository, host = await stage.existing(), stage.place.host
    await host.put_collaborator(repository, stage.place.other, Permission.READ)
    await host.put_team(repository, stage.place.team, Permission.READ)
    await add(stage, "admin", "import")
    after = rights(stored(stage))
    await host.put_collaborator(repository, stage.place.other, Permission.ADMIN)
    await host.put_team(repository, stage.place.team, Permission.ADMIN)
    assert rights(stored(stage)) == after


async def put(stage: Stage, *specs: EnvironmentSpec) -> None:
    """Let the step create environments on the host, not in the database."""
    steps = EnvironmentSteps(_NO_DATABASE, stage.open)
    given = CreateEnvironmentsInput(stage.project, **stage.where, mode="import")
    assert await steps._put_on_host(given, specs)


def protection(found: Repository) -> Any:
    return found.options.get("protected_environments") or found.environments


async def test_an_import_leaves_an_environment_that_it_asks_nothing_of(stage: Stage) -> None:
    host = stage.place.host
    if Feature.ENVIRONMENT_REVIEWERS not in host.features:
        pytest.skip(f"{host.kind} has no reviewers")
    repository = await stage.existing()
    wait = 30 if Feature.ENVIRONMENT_WAIT in host.features else 0
    theirs = DeployEnvironment("production", (stage.place.other,), 1, wait)
    await host.put_environment(repository, theirs)
    before = str(protection(stored(stage)))
    await put(stage, EnvironmentSpec("production", 2))
    assert str(protection(stored(stage))) == before


async def test_an_import_adds_to_the_reviewers_of_an_environment(stage: Stage) -> None:
    host = stage.place.host
    if Feature.ENVIRONMENT_REVIEWERS not in host.features:
        pytest.skip(f"{host.kind} has no reviewers")
    repository = await stage.existing()
    await host.put_environment(repository, DeployEnvironment("live", (stage.place.other,), 1))
    found = stored(stage)
    if host.kind == "github":
        policy = {"protected_branches": True, "custom_branch_policies": False}
        found.environments["live"] |= {
            "wait_timer": 30,
            "prevent_self_review": True,
            "deployment_branch_policy": policy,
        }
        spec = EnvironmentSpec("live", 1, [stage.place.account, stage.place.other], 10)
        await put(stage, spec)
        kept = found.environments["live"]
        world = stage.place.server.world if stage.place.server else None
        assert world is not None
        names = {account.id: name for name, account in world.accounts.items()}
        asked = [names[one["id"]] for one in kept["reviewers"]]
        assert asked == [stage.place.other, stage.place.account]
        assert (kept["wait_timer"], kept["prevent_self_review"]) == (30, True)
        assert kept["deployment_branch_policy"] == policy
        return
    team = f"@{stage.place.team}"
    for approvals, needed in ((2, [1, 2]), (1, [1, 2]), (3, [1, 3])):
        await put(stage, EnvironmentSpec("live", approvals, [stage.place.other, team]))
        rules = found.options["protected_environments"]["live"]["approval_rules"]
        assert [rule["required_approvals"] for rule in rules] == needed
