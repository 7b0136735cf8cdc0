"""A repository on a host, as Git reaches it: over HTTPS, over SSH, or by a path.

All calls block, are bounded in time, and raise HostError. They are for threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar
from urllib.parse import urlsplit

from dulwich.client import GitClient
from dulwich.errors import SendPackError
from dulwich.objects import ZERO_SHA, Commit, ObjectID
from dulwich.pack import UnpackedObject, pack_objects_to_data
from dulwich.refs import Ref
from dulwich.repo import Repo

from stepway.activities.git.connection import SignIn, connected
from stepway.activities.git.refusals import Push, push_refused
from stepway.activities.git.remote_errors import Place, as_host_errors
from stepway.activities.git.repositories import has_only_commits_for, locked, new_objects
from stepway.activities.git.watch import Limits
from stepway.hosts.errors import UNCERTAIN, HostError, Reason
from stepway.hosts.host import GitRemote

LIMITS = Limits()
"""The limits of each transfer."""

NOT_YET = (0.5, 1.0, 2.0, 4.0, 6.0, 8.0)
"""Seconds between the tries to reach a repository that the host does not show yet."""

_SHOWN = 8_000

_OWN_COMMITS = 100
"""More than the commits that Stepway makes in a project's repository."""

Refs = dict[bytes, ObjectID]
Beat = Callable[[], None]
T = TypeVar("T")


@dataclass(frozen=True)
class SshKey:
    """A private key in OpenSSH's format, and the lines of known_hosts to trust; repr hides it.

    `credential` is the name of the credential, for messages.
    """

    private_key: str = field(repr=False)
    known_hosts: str
    credential: str = ""


@dataclass(frozen=True)
class Remote:
    """A repository on a host. `name` is OWNER/NAME; `key` takes the place of the password."""

    git: GitRemote
    name: str
    credential: str
    key: SshKey | None = None

    @property
    def host(self) -> str:
        """The host's name, for messages."""
        return urlsplit(self.git.url).hostname or "the local host"

    @property
    def ssh_credential(self) -> str:
        """The name of the key's credential, for messages."""
        return self.key.credential if self.key is not None else ""

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return not urlsplit(self.git.url).scheme

    def refs(self, beat: Beat) -> Refs:
        """Return the IDs of all branches and tags by their full names."""
        with self._client(beat) as (client, path):
            found = client.get_refs(path).refs
        kinds = (b"refs/heads/", b"refs/tags/")
        return {
            bytes(name): ObjectID(value)
            for name, value in found.items()
            if value is not None and name.startswith(kinds)
        }

    def visible_refs(self, beat: Beat) -> Refs:
        """Return the refs; try again for some seconds if the host does not show the repository."""
        return self._visible(lambda: self.refs(beat), beat)

    def _visible(self, call: Callable[[], T], beat: Beat) -> T:
        """Repeat a call that does not find the repository, which may be new.

        If that does not help, the error is one that a later attempt may not have.
        """
        for pause in (*NOT_YET, None):
            try:
                return call()
            except HostError as error:
                if error.reason is not Reason.NOT_FOUND:
                    raise
                if pause is None:
                    raise HostError(
                        Reason.CONFLICT, error.message, remedy=error.remedy, status=error.status
                    ) from error
            _pause(pause, beat)
        raise AssertionError("the last try returns or raises")

    @contextmanager
    def copy(self) -> Iterator[Repo]:
        """Yield a repository to make commits in: a local one itself, locked, else an empty one."""
        if not self.is_local:
            with temporary_repository() as repo:
                yield repo
            return
        with locked(Path(self.git.url)), Repo(self.git.url) as repo:
            yield repo

    def fetch(self, target: Repo, wanted: Sequence[ObjectID], beat: Beat, depth: int = 0) -> None:
        """Copy commits with their files into `target`; with `depth`, only that many of each."""
        if self._is_itself(target):
            return
        with self._client(beat) as (client, path):
            client.fetch(
                path,
                target,
                determine_wants=lambda refs, depth=None: list(wanted),
                progress=lambda _: beat(),
                depth=depth or None if not self.is_local else None,
            )

    def commit(self, commit_id: bytes, beat: Beat) -> Commit | None:
        """Return a commit without its history; None if the ID is one of something else."""
        with self.copy() as repo:
            self.fetch(repo, [ObjectID(commit_id)], beat, depth=1)
            found = repo[ObjectID(commit_id)]
        return found if isinstance(found, Commit) else None

    def history(self, head: ObjectID, beat: Beat) -> Iterator[Commit]:
        """Yield the commit and its ancestors, newest first; their files are not fetched."""
        if self.is_local:
            with Repo(self.git.url) as repo:
                for entry in repo.get_walker(include=[head]):
                    yield entry.commit
            return
        with temporary_repository() as repo:
            with self._client(beat) as (client, path):
                client.fetch(
                    path,
                    repo,
                    determine_wants=lambda refs, depth=None: [head],
                    progress=lambda _: beat(),
                    filter_spec=None if self.key else b"tree:0",
                )
            for entry in repo.get_walker(include=[head]):
                yield entry.commit

    def refs_with_others(self, refs: Refs, project_id: str, beat: Beat) -> list[str]:
        """Return the refs that lead to a commit which Stepway did not create for the project.

        A tag always does. So does a branch with more commits than Stepway makes: no more of them
        are fetched. Their files are not fetched.
        """
        branches = {name: head for name, head in refs.items() if name.startswith(b"refs/heads/")}
        others = refs.keys() - branches.keys()
        if branches:
            with self.copy() as repo:
                self._fetch_commits(repo, list(branches.values()), beat)
                others |= {
                    name
                    for name, head in branches.items()
                    if not has_only_commits_for(repo, head, project_id)
                }
        return [name.decode(errors="replace") for name in sorted(others)]

    def _fetch_commits(self, target: Repo, heads: list[ObjectID], beat: Beat) -> None:
        if self.is_local:
            return
        with self._client(beat) as (client, path):
            client.fetch(
                path,
                target,
                determine_wants=lambda refs, depth=None: heads,
                progress=lambda _: beat(),
                depth=_OWN_COMMITS,
                filter_spec=None if self.key else b"tree:0",
            )

    def push(
        self, source: Repo, branch: str, old: ObjectID | None, new: ObjectID | None, beat: Beat
    ) -> None:
        """Move the branch from `old` to `new`; None stands for no branch.

        After an uncertain answer it looks whether the branch has moved. Raises PushRefused.
        """
        try:
            self._visible(lambda: self._push(source, _ref(branch), old, new, beat), beat)
        except HostError as error:
            if error.reason not in UNCERTAIN:
                raise
            with suppress(HostError):
                if self.refs(beat).get(_ref(branch)) == new:
                    return
            raise

    def delete_branch(self, branch: str, commit: str, beat: Beat) -> bool:
        """Delete a branch; False if there is none. Raises HostError if it has other commits."""
        head = self.refs(beat).get(_ref(branch))
        if head is None:
            return False
        if head.decode() != commit:
            raise HostError(
                Reason.INVALID,
                f"The branch {branch} of {self.name} was kept: it has new commits",
                remedy="Check it, and remove it manually if it is no longer needed.",
            )
        with self.copy() as repo:
            self.push(repo, branch, head, None, beat)
        return True

    def _is_itself(self, repo: Repo) -> bool:
        return self.is_local and Path(repo.path) == Path(self.git.url)

    def _push(
        self, source: Repo, ref: Ref, old: ObjectID | None, new: ObjectID | None, beat: Beat
    ) -> None:
        push = Push(self.host, self.credential, self.name, ref.decode().removeprefix("refs/heads/"))
        if self._is_itself(source):
            with as_host_errors(self._place, push):
                if not _moved(source, ref, old, new):
                    raise push_refused(push, "stale info", b"")
            return
        said: list[bytes] = []

        def update(refs: dict[Ref, ObjectID]) -> dict[Ref, ObjectID]:
            beat()
            if refs.get(ref, ZERO_SHA) != (old or ZERO_SHA):
                if refs.get(ref) == new:
                    return {}
                raise push_refused(push, "stale info", b"")
            return {ref: new or ZERO_SHA}

        def pack(
            have: Set[ObjectID],
            want: Set[ObjectID],
            *,
            ofs_delta: bool = False,
            progress: Callable[[bytes], None] | None = None,
        ) -> tuple[int, Iterator[UnpackedObject]]:
            objects = [] if new is None else new_objects(source.object_store, new, old)
            return pack_objects_to_data(objects)

        with self._client(beat, push) as (client, path):
            try:
                result = client.send_pack(path, update, pack, progress=_collect(said, beat))
            except SendPackError as error:
                reason = error.args[0].decode(errors="replace") if error.args else ""
                raise push_refused(push, reason, b"".join(said)) from error
        if problem := (result.ref_status or {}).get(ref):
            raise push_refused(push, problem, b"".join(said))

    @contextmanager
    def _client(self, beat: Beat, push: Push | None = None) -> Iterator[tuple[GitClient, bytes]]:
        git, key = self.git, self.key
        sign_in = SignIn(git.username, git.password, git.ca or "")
        if key is not None:
            sign_in = SignIn(key=key.private_key, known_hosts=key.known_hosts)
        with as_host_errors(self._place, push), connected(git.url, sign_in, beat, LIMITS) as opened:
            yield opened

    @property
    def _place(self) -> Place:
        over_ssh = self.key is not None
        return Place(self.host, self.name, self.credential, self.ssh_credential, over_ssh)


def https(remote: GitRemote) -> bool:
    """Whether Git reaches the repository over HTTP or HTTPS."""
    return urlsplit(remote.url).scheme in ("http", "https")


@contextmanager
def temporary_repository() -> Iterator[Repo]:
    """Yield an empty bare repository in a temporary folder, which is removed afterwards."""
    with TemporaryDirectory(prefix="stepway-") as folder, Repo.init_bare(folder) as repo:
        yield repo


def _moved(repo: Repo, ref: Ref, old: ObjectID | None, new: ObjectID | None) -> bool:
    """Move a branch; False if it is no longer at `old`."""
    if new is None:
        return repo.refs.remove_if_equals(ref, old, message=b"stepway")
    if old is None:
        return repo.refs.add_if_new(ref, new, message=b"stepway")
    return repo.refs.set_if_equals(ref, old, new, message=b"stepway")


def _pause(seconds: float, beat: Beat) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        beat()
        time.sleep(0.1)


def _ref(branch: str) -> Ref:
    return Ref(f"refs/heads/{branch}".encode())


def _collect(said: list[bytes], beat: Beat) -> Callable[[bytes], None]:
    def collect(part: bytes) -> None:
        beat()
        if sum(map(len, said)) < _SHOWN * 8:
            said.append(part)

    return collect
