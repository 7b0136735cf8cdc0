"""Gitea and Forgejo as one surface each."""

from __future__ import annotations

from typing import ClassVar

from tests.support.githost.gitea.pushes import Pushes
from tests.support.githost.gitea.settings import KeyRoutes, ProtectionRoutes, SecretRoutes
from tests.support.githost.gitea.work import WorkRoutes


class GiteaSurface(SecretRoutes, KeyRoutes, ProtectionRoutes, Pushes, WorkRoutes):
    """Gitea 1.27. A team's permission is `options["teams"]` of its organization."""

    unchecked: ClassVar[str] = (
        r"(GET /(repositories/\d+|repos/.*/(actions/runs|collaborators/[^/]+/permission))"
        r"|DELETE /user/keys/\d+)$"
    )


class ForgejoSurface(GiteaSurface):
    """Forgejo 14."""

    document = "forgejo.json"
    version = "14.0.2+gitea-1.22.0"
    redirect = 307
    forgejo = True
