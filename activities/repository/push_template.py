"""push_template and its undo: renders the template with Copier and pushes it as one commit."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any, Literal

from dulwich.objects import Commit, ObjectID
from dulwich.repo import Repo
from temporalio import activity
from temporalio.exceptions import ApplicationError

from stepway.activities.beats import Beats, beating
from stepway.activities.git.checkout import LINK, check_out_clean, normalized, refuse_unusable
from stepway.activities.git.refusals import PushRefused
from stepway.activities.git.remote import Refs, Remote
from stepway.activities.git.repositories import (
    Change,
    add_commit,
    add_files,
    changed_tree,
    is_made_for,
)
from stepway.activities.hosts import OpenHost
from stepway.activities.repository.keys import OpenKey
from stepway.activities.repository.target import (
    OnRepository,
    made_repository,
    opened_host,
    opened_repository,
    owner_on,
    remote_to_push_to,
)
from stepway.activities.rollback import Removed, left_behind
from stepway.activities.scratch import scratch
from stepway.activities.templates.source import FoundTemplate, TemplateSource
from stepway.blueprints.git_template import GitTemplate
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.host import Feature, GitHost, HostRepository, PullRequestSpec
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Progress, SubStep

_EXECUTABLE, _PLAIN = 0o100755, 0o100644


@dataclass(frozen=True)
class PushTemplateInput(OnRepository):
    """`template` is a folder beside the blueprints, or a Git repository.

    `variables` answer the template's questions; `project_name` and `owner` are set by default.
    `template_written` names the fields of a Git template that the blueprint itself writes, or is
    `["folder"]` for the name of a folder that it writes.
    `protected`: whether the step fails or opens a pull request if the default branch refuses the
    push, or has commits of other people only. A repository without a commit takes no pull request:
    somebody has to make the first one. With `ssh_credential`, Git pushes over SSH with that key.
    With the mode `import`, the template comes as a pull request, unless the repository is empty.
    """

    template: str | GitTemplate
    variables: dict[str, Any] = field(default_factory=dict)
    template_written: list[str] = field(default_factory=list)
    protected: Literal["fail", "pull_request"] = field(default="fail", kw_only=True)
    ssh_credential: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class PushedTemplate:
    """`files` is the number of files in the commit.

    `template` is the folder's name, or `URL@VERSION`; `template_commit` is the commit of a Git
    template. `branch` has the commit; a `pull_request` (`number`, `url`) leads from there to the
    default branch, if that takes no pushes.
    """

    files: int
    commit: str
    url: str
    template: str
    template_commit: str | None = None
    branch: str = "main"
    pull_request: dict[str, Any] | None = None


@dataclass(frozen=True)
class WithdrawTemplateInput(OnRepository):
    """`result` is the result of push_template."""

    result: dict[str, Any] | None = field(default=None, kw_only=True)
    ssh_credential: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class _Pushed:
    files: int
    commit: str
    branch: str
    is_proposal: bool = False


class TemplateSteps:
    """Renders templates and pushes them to Git hosts."""

    def __init__(self, hosts: OpenHost, key: OpenKey, templates: TemplateSource) -> None:
        self._hosts = hosts
        self._key = key
        self._templates = templates

    @activity.defn
    async def push_template(self, given: PushTemplateInput) -> PushedTemplate:
        """Render the template and push it, or reuse the commit of an earlier attempt."""
        async with beating() as beats:
            beats.say(_progress(0, "prepare_vars", "Prepare variables"))
            template = await self._templates.find(
                given.template, given.template_written, given.project, beats.in_thread, beats.check
            )
            with scratch() as outer:
                folder = outer / "rendered"
                folder.mkdir()
                beats.say(_progress(20, "render_template", "Render template"))
                await beats.in_thread(
                    partial(template.render, folder, _answers(given), beats.check)
                )
                beats.say(_progress(50, "push_files", "Push files"))
                return await self._push(folder, template, given, beats)

    @activity.defn
    async def withdraw_template(self, given: WithdrawTemplateInput) -> Removed:
        """Close the pull request and delete its branch; a commit in a new repository stays.

        Raises step_error if the pull request was merged, or somebody pushed to its branch.
        """
        made = given.result or {}
        request = made.get("pull_request")
        if not request:
            return Removed()
        async with beating() as beats, opened_host(self._hosts, given) as host:
            repository = await made_repository(host, given, await owner_on(host, given))
            if repository is None:
                return Removed()
            found = await host.find_pull_request(repository, request["number"])
            if found.state == "merged":
                raise left_behind(f"The pull request {found.url}", "it was merged")
            removed = []
            if await host.close_pull_request(repository, found.number):
                removed.append(found.url)
            remote = await self._remote(host, repository, given)
            branch, commit = made["branch"], made["commit"]
            if await beats.in_thread(lambda: remote.delete_branch(branch, commit, beats.check)):
                removed.append(branch)
            return Removed(removed)

    async def _push(
        self, folder: Path, template: FoundTemplate, given: PushTemplateInput, beats: Beats
    ) -> PushedTemplate:
        async with opened_repository(self._hosts, given) as (host, repository):
            remote = await self._remote(host, repository, given)
            can_propose = Feature.PULL_REQUESTS in host.features
            verb = "Add files of" if given.mode == "import" else "Start from"
            message = f"{verb} the template {template.label}"
            pushing = _Pushing(remote, repository, given, message, beats, can_propose)
            pushed = await beats.in_thread(partial(pushing.run, folder))
            request = None
            if pushed.is_proposal:
                opened = await host.open_pull_request(
                    repository, _request(pushed, given, repository, message)
                )
                request = {"number": opened.number, "url": opened.url}
        return PushedTemplate(
            pushed.files,
            pushed.commit,
            repository.clone_url,
            template.label,
            template.version.commit if template.version else None,
            pushed.branch,
            request,
        )

    async def _remote(
        self,
        host: GitHost,
        repository: HostRepository,
        given: PushTemplateInput | WithdrawTemplateInput,
    ) -> Remote:
        return await remote_to_push_to(host, repository, given, self._key, given.ssh_credential)


def _request(
    pushed: _Pushed, given: PushTemplateInput, repository: HostRepository, message: str
) -> PullRequestSpec:
    return PullRequestSpec(
        head=pushed.branch,
        base=repository.default_branch or "main",
        title=message,
        body=f"Stepway initializes the project {given.project.name} with these files.",
    )


class _Pushing:
    """Pushes the files of a folder as one commit. Runs in a thread."""

    def __init__(
        self,
        remote: Remote,
        repository: HostRepository,
        given: PushTemplateInput,
        message: str,
        beats: Beats,
        can_propose: bool,
    ) -> None:
        self._remote = remote
        self._repository = repository
        self._given = given
        self._message = message
        self._beats = beats
        self._can_propose = can_propose
        self._main = repository.default_branch or "main"
        # The same in every attempt, so that the same files make the same commit. An imported
        # repository may be years old.
        made = repository.created_at if given.mode == "create" else None
        created = made or activity.info().scheduled_time
        self._at = int(created.astimezone(UTC).timestamp())

    def run(self, folder: Path) -> _Pushed:
        """Push the files. Raises HostError, step_error."""
        with self._remote.copy() as repo:
            changes = add_files(repo, self._reported(_files(folder)))
            refs = self._remote.visible_refs(self._beats.check)
            head = self._newest(repo, refs, self._main)
            if head is not None and self._is_only_to_propose(head):
                return self._propose(repo, changes, refs, head)
            try:
                commit = self._commit_to_main(repo, changes, head)
            except PushRefused as refused:
                if not refused.is_protected:
                    raise
                if head is None:
                    raise self._nothing_to_merge_into(refused) from refused
                if self._given.protected != "pull_request":
                    raise
                return self._propose(repo, changes, refs, head)
            return _Pushed(len(changes), commit.decode(), self._main)

    def _is_only_to_propose(self, head: Commit) -> bool:
        if self._given.mode == "import":
            return True
        # Somebody has made the first commit, because a rule refuses it from Stepway.
        return self._given.protected == "pull_request" and self._made(head) is None

    def _commit_to_main(self, repo: Repo, changes: list[Change], head: Commit | None) -> ObjectID:
        """Return the ID of the template's commit: an earlier attempt's or a new one."""
        tree = changed_tree(repo, None, changes)
        if head is not None:
            made = self._made(head)
            if made is None:
                raise _pushed_by_somebody(self._main)
            if made.tree == tree or made.id != head.id:
                return made.id
        return self._add(repo, tree, head, self._main, head.id if head else None)

    def _propose(self, repo: Repo, changes: list[Change], refs: Refs, base: Commit) -> _Pushed:
        """Push the files on top of the default branch, to a branch for a pull request."""
        if not self._can_propose:
            raise HostError(
                Reason.UNSUPPORTED,
                f"{self._remote.host} has no pull requests",
                remedy="Use the credential of another host.",
            )
        tree = changed_tree(repo, base, changes)
        if tree == base.tree:  # merged by now, or the files were there
            return _Pushed(len(changes), base.id.decode(), self._main)
        branch = f"stepway/{self._given.project.name}"
        before = self._newest(repo, refs, branch)
        if before is not None:
            made = self._made(before)
            if made is None:
                raise _pushed_by_somebody(branch)
            if made.tree == tree or made.id != before.id:
                return _Pushed(len(changes), made.id.decode(), branch, is_proposal=True)
        commit = self._add(repo, tree, base, branch, before.id if before else None)
        return _Pushed(len(changes), commit.decode(), branch, is_proposal=True)

    def _add(
        self, repo: Repo, tree: ObjectID, parent: Commit | None, branch: str, old: ObjectID | None
    ) -> ObjectID:
        commit = add_commit(
            repo,
            tree,
            parent,
            message=self._message,
            project_id=self._given.project.id,
            at=self._at,
        )
        self._beats.say(_progress(99, "push_files", "Push files", 99))
        check_out_clean(Path(repo.path), commit.decode(), self._beats.check)
        self._remote.push(repo, branch, old, commit, self._beats.check)
        return commit

    def _newest(self, repo: Repo, refs: Refs, branch: str) -> Commit | None:
        commit_id = refs.get(f"refs/heads/{branch}".encode())
        if commit_id is None:
            return None
        self._remote.fetch(repo, [commit_id], self._beats.check, depth=1)
        found = repo[commit_id]
        assert isinstance(found, Commit)
        return found

    def _made(self, head: Commit) -> Commit | None:
        """Return the newest commit that Stepway made for the project."""
        project_id = self._given.project.id
        if is_made_for(head, project_id):
            return head
        history = self._remote.history(head.id, self._beats.check)
        return next((commit for commit in history if is_made_for(commit, project_id)), None)

    def _nothing_to_merge_into(self, refused: PushRefused) -> HostError:
        remedy = f"Let the account of the credential {self._given.credential} bypass the rule"
        if self._given.protected == "pull_request":
            remedy += (
                f", or create a first file in {self._main} on the host, such as a README. Then "
                "retry: after a first commit, the template comes as a pull request."
            )
        else:
            remedy += ", or turn the rule off until the template is pushed; then retry."
        return PushRefused(
            Reason.FORBIDDEN,
            f"{refused.message}, and an empty repository takes no pull request",
            remedy=remedy,
            lines=refused.lines,
            protected=True,
        )

    def _reported(self, files: list[tuple[Path, str, int]]) -> Iterator[tuple[str, bytes, int]]:
        attributes = {
            name: path.read_bytes()
            for path, name, mode in files
            if path.name == ".gitattributes" and mode != LINK
        }
        for done, file in enumerate(normalized(_contents(files), attributes)):
            part = 100 * done // len(files)
            self._beats.say(_progress(50 + part // 2, "push_files", "Push files", part))
            yield file


def _progress(percent: int, name: str, display_name: str, part: int = 0) -> Progress:
    return Progress(percent, display_name, sub_step=SubStep(name, display_name, part))


def _answers(given: PushTemplateInput) -> dict[str, Any]:
    return {
        "project_name": given.project.name,
        "owner": given.project.owner,
        **given.variables,
    }


def _files(folder: Path) -> list[tuple[Path, str, int]]:
    """Return every file with its name and mode. Raises step_error for a name git cannot hold."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or path.is_file():
            found.append((path, path.relative_to(folder).as_posix(), _mode(path)))
    refuse_unusable({name: mode for _, name, mode in found})
    return found


def _mode(path: Path) -> int:
    if path.is_symlink():
        return LINK
    return _EXECUTABLE if path.stat().st_mode & stat.S_IXUSR else _PLAIN


def _contents(files: list[tuple[Path, str, int]]) -> Iterator[tuple[str, bytes, int]]:
    for path, name, mode in files:
        yield name, os.fsencode(path.readlink()) if mode == LINK else path.read_bytes(), mode


def _pushed_by_somebody(branch: str) -> ApplicationError:
    return step_error(
        f"The branch {branch} has commits that were not made by Stepway",
        remedy=f"Move these commits to another branch and delete {branch}, then retry.",
        retry=False,
    )
