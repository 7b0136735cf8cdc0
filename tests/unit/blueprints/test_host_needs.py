"""What a step asks of its Git host, and which hosts lack it."""

from __future__ import annotations

from typing import Any

import pytest

from stepway.blueprints.host_needs import host_of, lacking
from stepway.hosts.access import HostKind
from stepway.hosts.features import FEATURE_NAMES, HOST_NAMES, NO, SUPPORT, features_of
from stepway.hosts.host import Feature

REVIEWED = {"environments": ["dev", {"name": "production", "reviewers": ["otto"], "wait": 5}]}


def found(uses: str, given: dict[str, Any], kind: HostKind, references: bool = False) -> list[str]:
    lacks = lacking(uses, given, kind, references=references)
    return [f"{'.'.join(map(str, place))}: {reason}" for place, reason in lacks]


def test_every_feature_has_a_name_and_a_line_in_the_table() -> None:
    assert set(SUPPORT) == set(FEATURE_NAMES) == set(Feature)
    assert set(HOST_NAMES) == set(HostKind)
    assert features_of(HostKind.LOCAL) == frozenset()
    for support in SUPPORT.values():
        assert set(support) == set(HostKind) - {HostKind.LOCAL}
        assert set(support.values()) != {NO}


@pytest.mark.parametrize(
    ("uses", "given", "kind", "lacks"),
    [
        ("create_environments", REVIEWED, HostKind.GITHUB, []),
        (
            "create_environments",
            REVIEWED,
            HostKind.GITLAB,
            ["environments.1.wait: GitLab has no waiting time before deployments"],
        ),
        (
            "create_environments",
            REVIEWED,
            HostKind.GITEA,
            [
                "environments.1.reviewers: Gitea or Forgejo has no reviewers of deployments",
                "environments.1.wait: Gitea or Forgejo has no waiting time before deployments",
            ],
        ),
        ("create_environments", {"environments": ["dev"]}, HostKind.GITEA, []),
        ("create_environments", {}, HostKind.LOCAL, []),
        (
            "create_secrets",
            {"variables": {"A": 1}, "environment": "production"},
            HostKind.GITEA,
            ["environment: Gitea or Forgejo has no secrets and variables of an environment"],
        ),
        ("create_secrets", {"variables": {}, "environment": None}, HostKind.LOCAL, []),
        (
            "add_collaborators",
            {"teams": [{"team": "a"}]},
            HostKind.LOCAL,
            ["teams: the local host has no teams or groups with access"],
        ),
        ("protect_branch", {}, HostKind.LOCAL, [": the local host has no protected branches"]),
        ("protect_branch", {"protect": False}, HostKind.LOCAL, []),
        ("protect_branch", {"unsupported": "skip"}, HostKind.LOCAL, []),
        ("protect_branch", {"allow_force_push": True}, HostKind.GITEA, []),
        ("create_webhook", {"url": ""}, HostKind.LOCAL, []),
        (
            "push_template",
            {"mode": "import"},
            HostKind.LOCAL,
            ["mode: the local host has no pull or merge requests"],
        ),
        ("run_command", {"credential": "x"}, HostKind.LOCAL, []),
    ],
)
def test_what_a_host_lacks_is_named_with_its_argument(
    uses: str, given: dict[str, Any], kind: HostKind, lacks: list[str]
) -> None:
    assert found(uses, given, kind) == lacks


def test_a_reference_counts_where_the_value_will_be_there() -> None:
    given = {"teams": "${{ parameters.teams }}"}
    assert found("add_collaborators", given, HostKind.LOCAL) == []
    assert found("add_collaborators", given, HostKind.LOCAL, references=True)


def test_the_host_of_a_credential() -> None:
    kinds = {"a": "github-app", "b": "kubernetes", "c": None}
    assert host_of("local", kinds) is HostKind.LOCAL
    assert host_of("a", kinds) is HostKind.GITHUB
    assert [host_of(name, kinds) for name in ("b", "c", "unknown")] == [None, None, None]
