"""GitLab as one surface."""

from __future__ import annotations

from typing import ClassVar

from tests.support.githost.gitlab.projects import ProjectRoutes
from tests.support.githost.gitlab.pushes import Pushes
from tests.support.githost.gitlab.settings import EnvironmentRoutes, KeyRoutes, VariableRoutes
from tests.support.githost.gitlab.tokens import TokenRoutes
from tests.support.githost.gitlab.work import WorkRoutes


class GitLabSurface(
    TokenRoutes,
    ProjectRoutes,
    VariableRoutes,
    EnvironmentRoutes,
    KeyRoutes,
    Pushes,
    WorkRoutes,
):
    """GitLab 19 with the options that `world.options` and the accounts' `options` name."""

    unchecked: ClassVar[str] = (
        r"(\S+ /oauth/|GET /users$"
        r"|\S+ .*(/share/\d+|/stop|/pipelines|/approval_rules(/\d+)?|/statuses/\w+)$"
        # GitLab answers 204, which the document does not list.
        r"|DELETE .*/deploy_keys/)"
    )
