"""What all Git hosts do in the same way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from stepway.hosts.errors import HostError, Reason
from stepway.hosts.host import (
    BranchRules,
    CommitStatus,
    DeployEnvironment,
    DeployKey,
    Feature,
    Permission,
    PullRequestSpec,
    Visibility,
    WebhookSpec,
)
from tests.integration.hosts.clients import new_key
from tests.integration.hosts.places import Place, PushRefused
from tests.support.githost.answers import Answer


def needs(place: Place, *features: Feature) -> None:
    """Skip the test on a host without these features."""
    for feature in features:
        if feature not in place.host.features:
            pytest.skip(f"{place.host.kind} has no {feature}")


async def test_the_identity_is_the_account_of_the_token(place: Place) -> None:
    assert (await place.host.identity()).account == place.account


async def test_a_created_repository_is_found_with_its_mark(place: Place) -> None:
    spec = place.spec(description="A  shop\nfor tests", topics=("web",))
    made = await place.host.create_repository(spec)
    found = await place.host.find_repository(spec.owner, spec.name)
    assert found is not None
    assert (found.id, found.project_id, found.owner, found.name) == (
        made.id,
        spec.project_id,
        spec.owner,
        spec.name,
    )
    assert found.empty
    assert found.visibility is Visibility.PRIVATE
    assert found.created_at is not None
    assert found.created_at == made.created_at
    assert abs(datetime.now(UTC) - found.created_at) < timedelta(hours=1)
    stored = place.stored(found)
    if stored is not None:
        assert "Stepway" not in stored.description
        assert stored.description.startswith("A")
        assert Feature.TOPICS not in place.host.features or "web" in stored.topics


async def test_a_repeated_creation_returns_the_same_repository(place: Place) -> None:
    spec = place.spec()
    first = await place.host.create_repository(spec)
    assert (await place.host.create_repository(spec)).id == first.id


async def test_a_name_of_another_project_is_taken(place: Place) -> None:
    spec = place.spec()
    await place.host.create_repository(spec)
    other = str(uuid4())
    with pytest.raises(HostError) as refused:
        await place.host.create_repository(place.spec(name=spec.name, project_id=other))
    assert refused.value.reason is Reason.NAME_TAKEN
    assert spec.project_id in refused.value.message
    assert refused.value.remedy


async def test_an_unknown_repository_is_none(place: Place) -> None:
    assert await place.host.find_repository(place.owner, "never") is None


async def test_an_unknown_owner_is_an_error_with_a_remedy(place: Place) -> None:
    if place.is_local:
        pytest.skip("every owner may have repositories here")
    with pytest.raises(HostError) as refused:
        await place.create(owner="nobody-here")
    assert refused.value.reason is Reason.NOT_FOUND
    assert "nobody-here" in refused.value.message
    assert refused.value.remedy


async def test_a_person_owns_repositories_too(place: Place) -> None:
    made = await place.create(owner=place.account)
    assert made.owner == place.account


async def test_a_public_repository_is_public(place: Place) -> None:
    if place.is_local:
        pytest.skip("files of this machine have no visibility")
    made = await place.create(visibility=Visibility.PUBLIC)
    assert made.visibility is Visibility.PUBLIC


async def test_a_deleted_repository_frees_its_name(place: Place) -> None:
    spec = place.spec()
    made = await place.host.create_repository(spec)
    assert await place.host.delete_repository(made)
    assert not await place.host.delete_repository(made)
    assert await place.host.find_repository(spec.owner, spec.name) is None
    again = await place.create(name=spec.name)
    assert again.id != made.id or place.is_local


async def test_the_deletion_of_an_older_repository_spares_a_newer_one(place: Place) -> None:
    if place.is_local:
        pytest.skip("the ID of a repository is its path here")
    spec = place.spec()
    old = await place.host.create_repository(spec)
    await place.host.delete_repository(old)
    await place.create(name=spec.name)
    assert not await place.host.delete_repository(old)
    assert await place.host.find_repository(spec.owner, spec.name) is not None


async def test_git_pushes_to_the_remote(place: Place) -> None:
    made = await place.create()
    assert await place.host.branch_head(made, "main") is None
    commit = await place.pushed(made, {"README.md": b"hello\n", "src/a b.bin": bytes(range(256))})
    assert await place.host.branch_head(made, "main") == commit
    assert await place.host.branch_head(made, "other") is None
    found = await place.host.find_repository(made.owner, made.name)
    assert found is not None
    assert not found.empty


async def test_a_branch_may_have_slashes(place: Place) -> None:
    made = await place.create()
    await place.pushed(made, {"a": b"1"})
    commit = await place.pushed(made, {"b": b"2"}, "feature/a#b")
    assert await place.host.branch_head(made, "feature/a#b") == commit


async def test_the_remote_hides_its_password(place: Place) -> None:
    remote = await place.host.remote(await place.create())
    assert not remote.password or remote.password not in repr(remote)


async def test_collaborators_come_and_go(place: Place) -> None:
    needs(place, Feature.COLLABORATORS)
    made = await place.create()
    await place.host.put_collaborator(made, place.other, Permission.WRITE)
    await place.host.put_collaborator(made, place.other, Permission.READ)
    await place.host.remove_collaborator(made, place.other)
    assert not await place.host.remove_collaborator(made, place.other)


async def test_an_unknown_collaborator_is_refused(place: Place) -> None:
    needs(place, Feature.COLLABORATORS)
    made = await place.create()
    with pytest.raises(HostError) as refused:
        await place.host.put_collaborator(made, "nobody-here", Permission.WRITE)
    assert refused.value.reason is Reason.NOT_FOUND


async def test_teams_come_and_go(place: Place) -> None:
    needs(place, Feature.TEAMS)
    made = await place.create()
    await place.host.put_team(made, place.team, Permission.WRITE)
    await place.host.put_team(made, place.team, Permission.ADMIN)
    assert await place.host.remove_team(made, place.team)
    assert not await place.host.remove_team(made, place.team)


async def test_environments_come_and_go(place: Place) -> None:
    needs(place, Feature.ENVIRONMENTS)
    made = await place.create()
    await place.host.put_environment(made, DeployEnvironment("production"))
    await place.host.put_environment(made, DeployEnvironment("production"))
    stored = place.stored(made)
    assert stored is None or list(stored.environments) == ["production"]
    assert await place.host.remove_environment(made, "production")
    assert not await place.host.remove_environment(made, "production")


async def test_environments_have_reviewers(place: Place) -> None:
    needs(place, Feature.ENVIRONMENTS, Feature.ENVIRONMENT_REVIEWERS)
    made = await place.create()
    reviewed = DeployEnvironment("production", (place.account, f"@{place.team}"), approvals=1)
    await place.host.put_environment(made, reviewed)
    await place.host.put_environment(made, reviewed)
    with pytest.raises(HostError) as refused:
        await place.host.put_environment(made, DeployEnvironment("x", ("nobody-here",)))
    assert refused.value.reason is Reason.NOT_FOUND
    assert "nobody-here" in refused.value.message


@pytest.mark.parametrize("environment", [None, "production"])
async def test_secrets_come_and_go(place: Place, environment: str | None) -> None:
    needs(place, Feature.SECRETS)
    made = await place.create()
    if environment is not None:
        needs(place, Feature.ENVIRONMENT_SECRETS)
        await place.host.put_environment(made, DeployEnvironment(environment))
    for value in place.secrets:
        await place.host.put_secret(made, "DEPLOY_KEY", value, environment)
    stored = place.stored(made)
    if stored is not None:
        assert stored.secrets == {(environment, "DEPLOY_KEY"): place.secrets[1]}
    assert await place.host.remove_secret(made, "DEPLOY_KEY", environment)
    assert not await place.host.remove_secret(made, "DEPLOY_KEY", environment)


@pytest.mark.parametrize("environment", [None, "production"])
async def test_variables_come_and_go(place: Place, environment: str | None) -> None:
    needs(place, Feature.VARIABLES)
    made = await place.create()
    if environment is not None:
        needs(place, Feature.ENVIRONMENT_SECRETS)
        await place.host.put_environment(made, DeployEnvironment(environment))
    await place.host.put_variable(made, "REGION", "north", environment)
    await place.host.put_variable(made, "REGION", "south", environment)
    stored = place.stored(made)
    if stored is not None:
        assert stored.variables == {(environment, "REGION"): "south"}
    assert await place.host.remove_variable(made, "REGION", environment)
    assert not await place.host.remove_variable(made, "REGION", environment)


async def test_deploy_keys_come_and_go(place: Place) -> None:
    needs(place, Feature.DEPLOY_KEYS)
    made = await place.create()
    key = new_key()
    first = await place.host.add_deploy_key(made, "flux", f"{key} a comment")
    assert await place.host.add_deploy_key(made, "flux", key) == first
    kept = " ".join(key.split()[:2])
    assert await place.host.deploy_keys(made) == [DeployKey(first, "flux", kept, True)]
    assert await place.host.remove_deploy_key(made, first)
    assert await place.host.deploy_keys(made) == []
    assert not await place.host.remove_deploy_key(made, first)


async def test_webhooks_come_and_go(place: Place) -> None:
    needs(place, Feature.WEBHOOKS)
    made = await place.create()
    hook = WebhookSpec("https://hooks.example/a", ("push",), secret="s3cret")
    first = await place.host.add_webhook(made, hook)
    assert await place.host.add_webhook(made, hook) == first
    other = await place.host.add_webhook(made, WebhookSpec("https://hooks.example/b"))
    assert other != first
    stored = place.stored(made)
    assert stored is None or len(stored.hooks) == 2
    assert await place.host.remove_webhook(made, first)
    assert not await place.host.remove_webhook(made, first)


async def test_a_protected_branch_takes_no_push(place: Place) -> None:
    needs(place, Feature.BRANCH_PROTECTION)
    made = await place.create()
    first = await place.pushed(made, {"a": b"1"})
    rules = BranchRules("main", approvals=1)
    await place.host.protect_branch(made, rules)
    await place.host.protect_branch(made, rules)
    with pytest.raises(PushRefused):
        await place.pushed(made, {"a": b"2"})
    assert await place.host.branch_head(made, "main") == first
    assert await place.host.unprotect_branch(made, "main")
    assert not await place.host.unprotect_branch(made, "main")
    second = await place.pushed(made, {"a": b"2"})
    assert await place.host.branch_head(made, "main") == second


async def test_pull_requests_open_and_close(place: Place) -> None:
    needs(place, Feature.PULL_REQUESTS)
    made = await place.create()
    await place.pushed(made, {"a": b"1"})
    await place.pushed(made, {"a": b"2"}, "change")
    spec = PullRequestSpec("change", "main", "A change", "Why")
    opened = await place.host.open_pull_request(made, spec)
    assert opened.state == "open"
    assert await place.host.open_pull_request(made, spec) == opened
    assert await place.host.find_pull_request(made, opened.number) == opened
    assert await place.host.close_pull_request(made, opened.number)
    assert not await place.host.close_pull_request(made, opened.number)
    assert (await place.host.find_pull_request(made, opened.number)).state == "closed"
    assert (await place.host.open_pull_request(made, spec)).number != opened.number


async def test_a_pipeline_is_started(place: Place) -> None:
    needs(place, Feature.DISPATCH)
    made = await place.create()
    path, text = place.workflow
    await place.pushed(made, {path: text.encode()})
    url = await place.host.dispatch(made, place.workflow_name, "main", {"size": 3, "dry": True})
    assert url.startswith(made.web_url)
    stored = place.stored(made)
    assert stored is None or len(stored.dispatches) == 1


async def test_a_commit_gets_a_status(place: Place) -> None:
    needs(place, Feature.COMMIT_STATUS)
    made = await place.create()
    commit = await place.pushed(made, {"a": b"1"})
    for state in ("pending", "success"):
        status = CommitStatus("stepway", state, "x" * 300, "https://stepway.example/p")
        await place.host.set_commit_status(made, commit, status)
    stored = place.stored(made)
    assert stored is None or len(stored.statuses[commit]) == 2


async def test_nothing_is_removed_from_a_repository_that_is_gone(place: Place) -> None:
    made = await place.create()
    await place.host.delete_repository(made)
    if Feature.SECRETS in place.host.features:
        assert not await place.host.remove_secret(made, "A")
    if Feature.WEBHOOKS in place.host.features:
        assert not await place.host.remove_webhook(made, "1")
    if Feature.PULL_REQUESTS in place.host.features:
        assert not await place.host.close_pull_request(made, 1)


async def test_a_token_with_all_scopes_lacks_none(place: Place) -> None:
    features = sorted(place.host.features)
    assert await place.host.missing_scopes(features, workflows=True) == []


@pytest.mark.parametrize("lost", [True, False])
async def test_a_repository_whose_answer_was_lost_is_found(place: Place, lost: bool) -> None:
    if place.server is None:
        pytest.skip("nothing answers here")
    answer = None if lost else Answer(502, {"message": "Server Error"})
    fault = place.server.faults.add(place.creation, answer, effect=True, lost=lost)
    spec = place.spec()
    made = await place.host.create_repository(spec)
    assert fault.met == 1
    assert made.project_id == spec.project_id
    assert len(place.server.requests(place.creation)) == 1


async def test_a_lost_creation_that_did_not_happen_is_an_error_to_try_again(place: Place) -> None:
    if place.server is None:
        pytest.skip("nothing answers here")
    place.server.faults.add(place.creation, lost=True)
    spec = place.spec()
    with pytest.raises(HostError) as failed:
        await place.host.create_repository(spec)
    assert failed.value.may_succeed_later
    assert (await place.host.create_repository(spec)).project_id == spec.project_id


async def test_a_new_repository_may_be_hidden_for_some_reads(place: Place) -> None:
    if place.server is None:
        pytest.skip("nothing is hidden here")
    place.server.world.hide_new = 3
    spec = place.spec(topics=("web",))
    made = await place.host.create_repository(spec)
    assert made.project_id == spec.project_id


async def test_a_lost_answer_and_a_hidden_repository_at_once(place: Place) -> None:
    if place.server is None:
        pytest.skip("nothing is hidden here")
    place.server.world.hide_new = 2
    place.server.faults.add(place.creation, effect=True, lost=True)
    made = await place.create()
    assert place.stored(made) is not None


async def test_no_token_is_in_a_url(place: Place) -> None:
    if place.server is None or place.access is None:
        pytest.skip("nothing is logged here")
    made = await place.create()
    await place.pushed(made, {"a": b"1"})
    token = await place.access.tokens.token()
    assert place.server.log
    assert not any(token in entry.line for entry in place.server.log)
