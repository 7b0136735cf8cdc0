"""Pushes to a host for tests, with Git's own texts."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from tempfile import TemporaryDirectory

from dulwich import porcelain
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
from dulwich.index import commit_tree
from dulwich.objects import Blob, Commit
from dulwich.repo import Repo

from stepway.hosts.host import GitRemote


class PushRefused(Exception):
    """What Git shows of a push that was refused."""


def push(
    remote: GitRemote, files: Mapping[str, bytes], branch: str = "main", *, force: bool = False
) -> str:
    """Push one commit without parents with these files; return its ID.

    Raises PushRefused.
    """
    with TemporaryDirectory() as folder, Repo.init(folder) as repo:
        commit = _commit(repo, files)
        ref = f"refs/heads/{branch}".encode()
        repo.refs[ref] = commit.id
        shown = BytesIO()
        spec = (b"+" if force else b"") + ref + b":" + ref
        try:
            porcelain.push(
                folder,
                remote.url,
                spec,
                outstream=BytesIO(),
                errstream=shown,
                username=remote.username,
                password=remote.password,
            )
        except (porcelain.Error, GitProtocolError, HangupException, NotGitRepository) as error:
            raise PushRefused(f"{shown.getvalue().decode()}{error}") from error
        if b"rejected" in shown.getvalue() or b"failed" in shown.getvalue():
            raise PushRefused(shown.getvalue().decode())
        return commit.id.decode()


def _commit(repo: Repo, files: Mapping[str, bytes]) -> Commit:
    blobs = []
    for name, content in files.items():
        blob = Blob.from_string(content)
        repo.object_store.add_object(blob)
        blobs.append((name.encode(), blob.id, 0o100644))
    commit = Commit()
    commit.tree = commit_tree(repo.object_store, blobs)
    commit.author = commit.committer = b"Erin <erin@example.org>"
    commit.author_time = commit.commit_time = 1767225600
    commit.author_timezone = commit.commit_timezone = 0
    commit.message = b"Start\n"
    repo.object_store.add_object(commit)
    return commit
