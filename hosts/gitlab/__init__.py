"""GitLab: gitlab.com and self-managed."""

from stepway.hosts.gitlab.host import GitLabHost, open_gitlab

__all__ = ["GitLabHost", "open_gitlab"]
