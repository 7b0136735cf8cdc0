"""GitLab's objects as its API shows them."""

from __future__ import annotations

from typing import Any

from tests.support.githost.gitlab import base
from tests.support.githost.state import Account, Json, Repository

LEVELS = {
    0: "No one",
    10: "Guest",
    20: "Reporter",
    30: "Developers + Maintainers",
    40: "Maintainers",
    50: "Owner",
}


def user_json(url: str, account: Account) -> Json:
    """A user, in short."""
    return {
        "id": account.id,
        "username": account.name,
        "name": account.name.title(),
        "state": "active",
        "locked": False,
        "avatar_url": None,
        "web_url": f"{url}/{account.name}",
    }


def namespace_json(url: str, account: Account) -> Json:
    """The namespace of a group or person."""
    group = account.organization
    return {
        "id": account.id if group else account.id + base.USER_NAMESPACES,
        "name": account.name.rpartition("/")[2],
        "path": account.name.rpartition("/")[2],
        "kind": "group" if group else "user",
        "full_path": account.name,
        "parent_id": None,
        "avatar_url": None,
        "web_url": f"{url}/{'groups/' if group else ''}{account.name}",
    }


def group_json(url: str, account: Account) -> Json:
    """A group."""
    return {
        "id": account.id,
        "web_url": f"{url}/groups/{account.name}",
        "name": account.name.rpartition("/")[2],
        "path": account.name.rpartition("/")[2],
        "description": "",
        "visibility": account.visibility,
        "full_name": account.name.replace("/", " / "),
        "full_path": account.name,
        "created_at": "2026-01-01T00:00:00.000Z",
        "parent_id": None,
        "default_branch_protection": account.options.get("default_branch_protection", 2),
    }


def project_json(url: str, owner: Account, repository: Repository, groups: dict[str, int]) -> Json:
    """A project; `groups` maps the groups that it is shared with to their IDs."""
    path, options = repository.full_name, repository.options
    marked = options.get("marked_for_deletion_on")
    return {
        "id": repository.id,
        "description": repository.description or None,
        "name": options.get("name", repository.name),
        "name_with_namespace": f"{repository.owner.replace('/', ' / ')} / {repository.name}",
        "path": repository.name,
        "path_with_namespace": path,
        "created_at": repository.created_at.isoformat(timespec="milliseconds"),
        "default_branch": repository.default_branch,
        "tag_list": repository.topics,
        "topics": repository.topics,
        "ssh_url_to_repo": repository.ssh_url,
        "http_url_to_repo": f"{url}/{path}.git",
        "web_url": f"{url}/{path}",
        "readme_url": None,
        "forks_count": 0,
        "avatar_url": None,
        "star_count": 0,
        "last_activity_at": repository.created_at.isoformat(timespec="milliseconds"),
        "visibility": repository.visibility,
        "namespace": namespace_json(url, owner),
        "empty_repo": repository.empty,
        "archived": repository.archived,
        "marked_for_deletion_at": marked,
        "marked_for_deletion_on": marked,
        "only_allow_merge_if_pipeline_succeeds": options.get("pipeline_must_succeed", False),
        "shared_with_groups": [
            {
                "group_id": groups[group],
                "group_name": group.rpartition("/")[2],
                "group_full_path": group,
                "group_access_level": int(level),
                "expires_at": None,
            }
            for group, level in repository.teams.items()
        ],
    }


def level_json(number: int, level: int) -> Json:
    """An access level of a protected branch or environment."""
    return {
        "id": number,
        "access_level": level,
        "access_level_description": LEVELS[level],
        "deploy_key_id": None,
        "user_id": None,
        "group_id": None,
    }


def merge_request_json(url: str, repository: Repository, pull: Json, author: Any) -> Json:
    """A merge request."""
    number = pull["number"]
    return {
        "id": 9000 + number,
        "iid": number,
        "project_id": repository.id,
        "title": pull["title"],
        "description": pull["body"],
        "state": pull["state"],
        "created_at": "2026-01-01T00:00:00.000Z",
        "updated_at": "2026-01-01T00:00:00.000Z",
        "target_branch": pull["base"],
        "source_branch": pull["head"],
        "author": author,
        "assignees": [],
        "labels": [],
        "draft": False,
        "sha": pull["sha"],
        "merge_status": "can_be_merged",
        "web_url": f"{url}/{repository.full_name}/-/merge_requests/{number}",
    }
