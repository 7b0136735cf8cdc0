"""Git's smart HTTP for the host's repositories, with checks of what is pushed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from threading import RLock
from typing import Any

from dulwich.diff_tree import tree_changes
from dulwich.graph import can_fast_forward
from dulwich.objects import Blob, Commit, ObjectID
from dulwich.repo import Repo
from dulwich.server import DEFAULT_HANDLERS, DictBackend, ReceivePackHandler
from dulwich.web import make_wsgi_chain

from tests.support.githost.state import Repository
from tests.support.githost.surface import PushRefusal, RefUpdate

_PROGRESS = 2
_ZERO = b"0" * 40

Check = Callable[[RefUpdate], PushRefusal | None]

_locks: dict[str, RLock] = defaultdict(RLock)


def serve_git(
    repository: Repository, check: Check, environ: dict[str, Any], start_response: Any
) -> list[bytes]:
    """Answer a request of Git; PATH_INFO is the path below the repository's own.

    The pushes to one repository happen one after another.
    """
    with _locks[str(repository.path)], Repo(str(repository.path)) as repo:
        handlers = {**DEFAULT_HANDLERS, b"git-receive-pack": _receiving(repo, check)}
        app = make_wsgi_chain(DictBackend({"/": repo}), handlers=handlers)
        parts: list[bytes] = []

        def start(status: str, headers: list[tuple[str, str]], exc: Any = None) -> Any:
            start_response(status, headers)
            return parts.append

        rest: Iterable[bytes] = app(environ, start)
        parts.extend(rest)
        return parts


def _receiving(repo: Repo, check: Check) -> Any:
    class Receiving(ReceivePackHandler):
        def _on_update(self, ref_name: Any, old_sha: ObjectID, new_sha: ObjectID) -> bytes | None:
            # Dulwich reports success also where the branch has moved since.
            if (repo.refs.as_dict().get(ref_name) or _ZERO) != old_sha:
                return b"failed to update ref"
            refusal = check(_update(repo, ref_name, old_sha, new_sha))
            if refusal is None:
                return None
            if refusal.lines and self.has_capability(b"side-band-64k"):
                self.proto.write_sideband(
                    _PROGRESS, "".join(f"{line}\n" for line in refusal.lines).encode()
                )
            return refusal.reason.encode()

    return Receiving


def _update(repo: Repo, ref: bytes, old: ObjectID, new: ObjectID) -> RefUpdate:
    before = None if old == _ZERO else old
    after = None if new == _ZERO else new
    return RefUpdate(
        ref.decode(),
        before.decode() if before else None,
        after.decode() if after else None,
        _changed(repo, before, after) if after else {},
        bool(before and after and not can_fast_forward(repo, before, after)),
    )


def _changed(repo: Repo, before: ObjectID | None, after: ObjectID) -> dict[str, bytes]:
    """Return the files of the new commits that differ from the commit before."""
    new, old = repo[after], repo[before] if before else None
    assert isinstance(new, Commit)
    tree = old.tree if isinstance(old, Commit) else None
    files = {}
    for change in tree_changes(repo.object_store, tree, new.tree):
        entry = change.new
        if entry is not None and entry.path is not None and entry.sha is not None:
            blob = repo.object_store[entry.sha]
            if isinstance(blob, Blob):
                files[entry.path.decode(errors="replace")] = blob.data
    return files
