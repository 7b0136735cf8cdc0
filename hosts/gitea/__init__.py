"""Gitea and Forgejo."""

from stepway.hosts.gitea.host import GiteaHost

__all__ = ["GiteaHost"]
