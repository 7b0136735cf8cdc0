"""GitLab: gitlab.com and self-managed."""

from stepway.hosts.gitlab.host import GitLabHost

__all__ = ["GitLabHost"]
