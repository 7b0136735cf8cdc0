"""Gitea's objects as its API shows them."""

from __future__ import annotations

from typing import Any

from tests.support.githost.state import Account, Json, Repository, Team

_TIME = "2026-01-01T00:00:00Z"


def user_json(url: str, account: Account) -> Json:
    """A person, or an organization as the owner of a repository."""
    return {
        "id": account.id,
        "login": account.name,
        "login_name": "",
        "source_id": 0,
        "full_name": "",
        "email": f"{account.name}@noreply.example.org",
        "avatar_url": f"{url}/avatars/{account.id}",
        "html_url": f"{url}/{account.name}",
        "language": "",
        "is_admin": False,
        "last_login": _TIME,
        "created": _TIME,
        "restricted": False,
        "active": True,
        "prohibit_login": False,
        "location": "",
        "website": "",
        "description": "",
        "visibility": account.visibility,
        "followers_count": 0,
        "following_count": 0,
        "starred_repos_count": 0,
    }


def organization_json(url: str, account: Account) -> Json:
    """An organization."""
    return {
        "id": account.id,
        "name": account.name,
        "username": account.name,
        "full_name": "",
        "email": "",
        "avatar_url": f"{url}/avatars/{account.id}",
        "description": "",
        "website": "",
        "location": "",
        "visibility": account.visibility,
        "repo_admin_change_team_access": True,
    }


def team_json(team: Team, right: str) -> Json:
    """A team."""
    return {
        "id": team.id,
        "name": team.slug,
        "description": "",
        "organization": None,
        "permission": right,
        "can_create_org_repo": False,
        "includes_all_repositories": False,
        "units": ["repo.code"],
        "units_map": {"repo.code": right},
    }


def repository_json(url: str, owner: Account, repository: Repository, rights: Json) -> Json:
    """A repository."""
    path = repository.full_name
    return {
        "id": repository.id,
        "owner": user_json(url, owner),
        "name": repository.name,
        "full_name": path,
        "description": repository.description,
        "empty": repository.empty,
        "private": repository.visibility == "private",
        "internal": repository.visibility == "internal",
        "fork": False,
        "template": False,
        "mirror": False,
        "size": 0,
        "language": "",
        "html_url": f"{url}/{path}",
        "url": f"{url}/api/v1/repos/{path}",
        "link": "",
        "ssh_url": repository.ssh_url,
        "clone_url": f"{url}/{path}.git",
        "original_url": "",
        "website": "",
        "stars_count": 0,
        "forks_count": 0,
        "watchers_count": 0,
        "open_issues_count": 0,
        "open_pr_counter": 0,
        "release_counter": 0,
        "default_branch": repository.default_branch,
        "archived": repository.archived,
        "archived_at": _TIME,
        "created_at": repository.created_at.isoformat(timespec="seconds"),
        "updated_at": repository.created_at.isoformat(timespec="seconds"),
        "permissions": rights,
        "has_issues": True,
        "has_wiki": True,
        "has_pull_requests": True,
        "has_actions": True,
        "object_format_name": "sha1",
        "topics": list(repository.topics),
    }


def pull_json(url: str, repository: Repository, whole: Json, pull: Json, author: Any) -> Json:
    """A pull request; `whole` is the JSON of its repository."""
    branches = {
        side: {
            "label": pull[side],
            "ref": pull[side],
            "sha": pull["sha"],
            "repo_id": repository.id,
            "repo": whole,
        }
        for side in ("head", "base")
    }
    address = f"{url}/{repository.full_name}/pulls/{pull['number']}"
    return {
        "id": 9000 + pull["number"],
        "number": pull["number"],
        "url": address,
        "html_url": address,
        "user": author,
        "title": pull["title"],
        "body": pull["body"],
        "labels": [],
        "assignees": [],
        "requested_reviewers": [],
        "state": pull["state"],
        "draft": False,
        "is_locked": False,
        "comments": 0,
        "mergeable": True,
        "merged": bool(pull.get("merged")),
        "created_at": _TIME,
        "updated_at": _TIME,
        **branches,
    }
