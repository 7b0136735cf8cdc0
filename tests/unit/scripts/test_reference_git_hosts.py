"""The table of Git hosts has each feature once, and what each host has of it."""

from __future__ import annotations

from scripts.reference.git_hosts import features
from stepway.hosts.features import FEATURE_NAMES, SUPPORT


def test_the_table_has_each_feature_and_every_condition() -> None:
    head, _, *rows = [line.strip("| ").split(" | ") for line in features().splitlines()]
    assert head == ["Feature", "GitHub", "GitLab", "Gitea or Forgejo"]
    *differing, (others, *everywhere) = rows
    assert everywhere == ["yes", "yes", "yes"]
    named = [row[0] for row in differing] + others.split(", ")
    assert sorted(named) == sorted(FEATURE_NAMES.values())
    shown = {row[0]: row[1:] for row in differing}
    for feature, support in SUPPORT.items():
        cells = shown.get(FEATURE_NAMES[feature], everywhere)
        assert cells == list(support.values())
