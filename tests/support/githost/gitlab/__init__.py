"""GitLab's API and its rules for pushes."""

from tests.support.githost.gitlab.surface import GitLabSurface
from tests.support.githost.gitlab.tokens import add_bot_token, add_oauth_tokens

__all__ = ["GitLabSurface", "add_bot_token", "add_oauth_tokens"]
