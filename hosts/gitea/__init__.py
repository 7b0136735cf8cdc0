"""Gitea and Forgejo."""

from stepway.hosts.gitea.host import GiteaHost, open_gitea

__all__ = ["GiteaHost", "open_gitea"]
