"""Commits to a repository that others write to as well, directly or beside its main branch."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dulwich.objects import Commit, ObjectID
from dulwich.repo import Repo

from stepway.activities.beats import Beats
from stepway.activities.git.remote import Remote
from stepway.activities.git.repositories import (
    Change,
    add_commit,
    changed_tree,
    folder_of,
    is_made_for,
)
from stepway.activities.project import ProjectRef, manifests_path
from stepway.hosts.errors import HostError, Reason
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Progress

_TRIES = 20

Plan = Callable[[Repo, Commit | None], list[Change]]


@dataclass(frozen=True)
class Committed:
    """A commit, the branch that it is on, and the ID of the project's folder in it."""

    commit: str
    branch: str
    tree: str
    pull_request: dict[str, Any] | None = None


class Writing:
    """Commits what `plan` changes to a repository that others write to as well. For threads."""

    def __init__(
        self,
        remote: Remote,
        main: str,
        project: ProjectRef,
        message: str,
        plan: Plan,
        beats: Beats,
    ) -> None:
        self._remote = remote
        self._main = main
        self._project = project
        self._message = message
        self._plan = plan
        self._beats = beats

    def commit(self) -> Committed:
        """Commit on top of the main branch.

        Tries again if somebody moves it meanwhile; raises step_error after _TRIES.
        """
        for _ in range(_TRIES):
            try:
                return self._once(self._main)
            except HostError as error:
                if error.reason is not Reason.CONFLICT:
                    raise
            self._beats.say(Progress(40, "Waiting for the GitOps repository"))
            time.sleep(random.uniform(0.01, 0.1))
        raise step_error(
            "The GitOps repository is busy: its main branch kept changing or stayed locked",
            remedy="Retry the step. If that does not help, remove a stale main.lock in the "
            "repository.",
        )

    def propose(self, branch: str) -> Committed:
        """Commit to a branch beside the main branch; nothing if that needs no change."""
        return self._once(branch)

    def _once(self, branch: str) -> Committed:
        check = self._beats.check
        with self._remote.copy() as repo:
            refs = self._remote.visible_refs(check)
            head = self._newest(repo, refs.get(_full(self._main)))
            tree = changed_tree(repo, head, self._plan(repo, head))
            if head is not None and head.tree == tree:
                return self._made(repo, head, self._main)
            before = self._newest(repo, refs.get(_full(branch))) if branch != self._main else head
            if branch != self._main and before is not None:
                if not is_made_for(before, self._project.id):
                    raise step_error(
                        f"The branch {branch} of {self._remote.name} has commits that were not "
                        "made by Stepway",
                        remedy="Merge or delete the branch, then retry.",
                        retry=False,
                    )
                if before.tree == tree:
                    return self._made(repo, before, branch)
            new = add_commit(
                repo,
                tree,
                head,
                message=self._message,
                project_id=self._project.id,
                at=int(time.time()),
            )
            self._remote.push(repo, branch, before.id if before else None, new, check)
            commit = repo[new]
            assert isinstance(commit, Commit)
            return self._made(repo, commit, branch)

    def _newest(self, repo: Repo, commit_id: ObjectID | None) -> Commit | None:
        if commit_id is None:
            return None
        self._remote.fetch(repo, [commit_id], self._beats.check, depth=1)
        found = repo[commit_id]
        assert isinstance(found, Commit)
        return found

    def _made(self, repo: Repo, commit: Commit, branch: str) -> Committed:
        folder = folder_of(repo, commit, manifests_path(self._project))
        return Committed(commit.id.decode(), branch, folder.id.decode() if folder else "")


def _full(branch: str) -> bytes:
    return f"refs/heads/{branch}".encode()
