"""Gitea's and Forgejo's API and their rules for pushes."""

from tests.support.githost.gitea.surface import ForgejoSurface, GiteaSurface

__all__ = ["ForgejoSurface", "GiteaSurface"]
