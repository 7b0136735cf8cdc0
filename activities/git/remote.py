"""A repository on a host, as Git reaches it: over HTTPS, over SSH, or by a path.

All calls block, are bounded in time, and raise HostError. They are for threads.
"""

from __future__ import annotations

import re
import ssl
import stat
import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import httpx
import urllib3
from dulwich.client import GitClient, LocalGitClient, SSHGitClient, Urllib3HttpGitClient
from dulwich.config import ConfigDict
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository, SendPackError
from dulwich.file import FileLocked
from dulwich.object_store import BaseObjectStore
from dulwich.objects import ZERO_SHA, Commit, ObjectID, ShaFile, Tree
from dulwich.pack import UnpackedObject, pack_objects_to_data
from dulwich.refs import Ref
from dulwich.repo import Repo

from stepway.activities.git.proxy import proxy_of
from stepway.activities.git.refusals import Push, lines_of, push_refused
from stepway.activities.git.repositories import locked
from stepway.activities.git.ssh import CONNECT, ssh_command
from stepway.hosts.errors import UNCERTAIN, HostError, Reason
from stepway.hosts.host import GitRemote

NOT_YET = (0.5, 1.0, 2.0, 4.0)
"""Seconds between the tries to reach a repository that the host does not show yet."""

_READ = 60.0
_BUFFER = 64 << 20
"""Bytes of a push that are sent with their length: GitHub does not take large streams."""

_SHOWN = 8_000
_SUBMODULE = 0o160000
_NOT_FOUND = re.compile(r"not found|could not be found|does not exist", re.IGNORECASE)
_HOST_KEY = re.compile(r"Host key verification failed|no matching host key", re.IGNORECASE)

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

    def refs(self) -> Refs:
        """Return the IDs of all branches and tags by their full names."""
        with self._client() as (client, path):
            found = client.get_refs(path).refs
        kinds = (b"refs/heads/", b"refs/tags/")
        return {
            bytes(name): ObjectID(value)
            for name, value in found.items()
            if value is not None and name.startswith(kinds)
        }

    def visible_refs(self, beat: Beat) -> Refs:
        """Return the refs; try again for some seconds if the host does not show the repository."""
        return self._visible(self.refs, beat)

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
        with self._client() as (client, path):
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
        with temporary_repository() as repo, self._client() as (client, path):
            client.fetch(
                path,
                repo,
                determine_wants=lambda refs, depth=None: [head],
                progress=lambda _: beat(),
                filter_spec=None if self.key else b"tree:0",
            )
            for entry in repo.get_walker(include=[head]):
                yield entry.commit

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
                if self.refs().get(_ref(branch)) == new:
                    return
            raise

    def delete_branch(self, branch: str, commit: str, beat: Beat) -> bool:
        """Delete a branch; False if there is none. Raises HostError if it has other commits."""
        head = self.refs().get(_ref(branch))
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
            with _errors(self, push):
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

        with self._client(push=push) as (client, path):
            try:
                result = client.send_pack(path, update, pack, progress=_collect(said, beat))
            except SendPackError as error:
                reason = error.args[0].decode(errors="replace") if error.args else ""
                raise push_refused(push, reason, b"".join(said)) from error
        if problem := (result.ref_status or {}).get(ref):
            raise push_refused(push, problem, b"".join(said))

    @contextmanager
    def _client(self, push: Push | None = None) -> Iterator[tuple[GitClient, bytes]]:
        with ExitStack() as stack:
            client, path = self._opened(stack)
            stack.callback(client.close)
            with _errors(self, push):
                yield client, path.encode()

    def _opened(self, stack: ExitStack) -> tuple[GitClient, str]:
        if self.is_local:
            return LocalGitClient(), self.git.url
        url = urlsplit(self.git.url)
        if url.scheme != "ssh":
            return _HttpClient(self.git), ""
        assert self.key is not None
        path = unquote(url.path)
        path = path.removeprefix("/") if path.startswith("/~") else path
        command = stack.enter_context(ssh_command(self.key.private_key, self.key.known_hosts))
        user, host = url.username or "git", url.hostname or ""
        return SSHGitClient(host, url.port, user, ssh_command=command), path


def https(remote: GitRemote) -> bool:
    """Whether Git reaches the repository over HTTP or HTTPS."""
    return urlsplit(remote.url).scheme in ("http", "https")


@contextmanager
def temporary_repository() -> Iterator[Repo]:
    """Yield an empty bare repository in a temporary folder, which is removed afterwards."""
    with TemporaryDirectory(prefix="stepway-") as folder, Repo.init_bare(folder) as repo:
        yield repo


def new_objects(store: BaseObjectStore, new: ObjectID, old: ObjectID | None) -> list[ShaFile]:
    """Return the commits after `old` up to `new`, with the files that `old` does not have."""
    base = store[old] if old is not None and old in store else None
    base_tree = base.tree if isinstance(base, Commit) else None
    found: dict[bytes, ShaFile] = {}
    commit: ShaFile = store[new]
    while isinstance(commit, Commit) and commit.id != old:
        found[commit.id] = commit
        _add_tree(store, commit.tree, base_tree, found)
        parents = [parent for parent in commit.parents if parent in store]
        if not parents or parents[0] == old:
            break
        commit = store[parents[0]]
    return list(found.values())


def _add_tree(
    store: BaseObjectStore, tree_id: ObjectID, base_id: ObjectID | None, found: dict[bytes, ShaFile]
) -> None:
    if tree_id == base_id or tree_id in found:
        return
    tree = store[tree_id]
    assert isinstance(tree, Tree)
    found[tree_id] = tree
    base = store[base_id] if base_id is not None and base_id in store else None
    before: dict[bytes, tuple[int, ObjectID]] = {}
    if isinstance(base, Tree):
        before = {name: (mode, entry_id) for name, mode, entry_id in base.iteritems()}
    for name, mode, entry_id in tree.iteritems():
        if mode == _SUBMODULE or (mode, entry_id) == before.get(name):
            continue
        if stat.S_ISDIR(mode):
            was = before.get(name)
            folder = was[1] if was and stat.S_ISDIR(was[0]) else None
            _add_tree(store, entry_id, folder, found)
        else:
            found[entry_id] = store[entry_id]


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


class _Answered(Exception):
    """An HTTP status other than 200."""

    def __init__(self, status: int, text: bytes, retry_after: str) -> None:
        super().__init__(status)
        self.status = status
        self.text = text
        self.retry_after = retry_after


class _HttpClient(Urllib3HttpGitClient):
    """dulwich's client, with time limits, authorities, proxies, and the texts of refusals."""

    def __init__(self, remote: GitRemote) -> None:
        config = ConfigDict()
        config.set((b"http",), b"postBuffer", str(_BUFFER).encode())
        super().__init__(
            remote.url,
            pool_manager=_pool(remote),
            config=config,
            username=remote.username,
            password=remote.password,
        )

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,
    ) -> Any:
        response, read = super()._http_request(url, headers, data, raise_for_status=False)
        if raise_for_status and response.status != 200:
            try:
                text = response.read(_SHOWN)
            except urllib3.exceptions.HTTPError:
                text = b""
            response.close()
            raise _Answered(response.status, text, response.headers.get("Retry-After", ""))
        return response, read


def _pool(remote: GitRemote) -> urllib3.PoolManager:
    context = (
        ssl.create_default_context(cadata=remote.ca) if remote.ca else httpx.create_ssl_context()
    )
    options: dict[str, Any] = {
        "headers": {"User-agent": "git/stepway"},
        "timeout": urllib3.Timeout(connect=CONNECT, read=_READ),
        "retries": urllib3.Retry(total=5, connect=1, read=0, other=0, status=0, redirect=5),
        "ssl_context": context,
    }
    proxy = proxy_of(remote.url)
    if proxy is None:
        return urllib3.PoolManager(**options)
    return urllib3.ProxyManager(proxy.url, proxy_headers=proxy.headers, **options)


@contextmanager
def _errors(remote: Remote, push: Push | None) -> Iterator[None]:
    """Turn the errors of dulwich and urllib3 into HostError; texts never have the password."""
    try:
        yield
    except _Answered as error:
        raise _of_status(remote, error, push) from None
    except NotGitRepository as error:
        raise _not_found(remote, 404) from error
    except FileLocked as error:
        raise HostError(
            Reason.CONFLICT,
            f"The repository {remote.name} stayed locked",
            remedy="Retry. If that does not help, remove the stale lock file.",
        ) from error
    except HangupException as error:
        raise _hung_up(remote, push, b"\n".join(error.stderr_lines or [])) from error
    except GitProtocolError as error:
        raise _broken(remote, push, error) from error
    except FileNotFoundError as error:
        if error.filename != "ssh":
            raise
        raise HostError(
            Reason.UNSUPPORTED,
            "The program ssh is not installed here",
            remedy="Install OpenSSH's client on the workers, or leave `ssh_credential` out; "
            "then retry.",
        ) from error
    except OSError as error:
        raise HostError(
            Reason.UNREACHABLE,
            f"{remote.host} cannot be reached by Git: {error.strerror or type(error).__name__}",
            remedy="Check the network of the worker.",
        ) from error


def _of_status(remote: Remote, error: _Answered, push: Push | None) -> HostError:
    status, lines = error.status, lines_of(error.text)
    shown = f": {lines[0][:300]}" if lines and not lines[0].lstrip().startswith("<") else ""
    if status == 401:
        return HostError(
            Reason.UNAUTHORIZED,
            f"{remote.host} does not accept the credential {remote.credential} for Git",
            remedy=f"Store a valid token: `stepway credential set {remote.credential} …`, "
            "then retry.",
            status=status,
        )
    if status == 404:
        return _not_found(remote, status)
    if status == 429:
        wait = float(error.retry_after) if error.retry_after.isdecimal() else 60.0
        return HostError(
            Reason.RATE_LIMITED,
            f"{remote.host} limits the rate of requests",
            status=status,
            retry_after=wait,
        )
    if status >= 500:
        return HostError(
            Reason.SERVER_ERROR,
            f"{remote.host} answered {status} to Git",
            remedy="Retry when the host works again.",
            status=status,
        )
    if any(line.startswith("Push to create is not enabled") for line in lines):
        return _not_found(remote, status)  # Gitea's answer
    if push is not None:
        refused = push_refused(push, "", error.text if shown else b"")
        refused.status = status
        return refused
    return HostError(
        Reason.FORBIDDEN,
        f"{remote.host} refuses Git access to {remote.name} (status {status}){shown}",
        remedy=f"Give the account of the credential {remote.credential} access to it, then retry.",
        status=status,
    )


def _not_found(remote: Remote, status: int) -> HostError:
    return HostError(
        Reason.NOT_FOUND,
        f"The repository {remote.name} was not found on {remote.host}",
        remedy=f"Check that it exists and that the credential {remote.credential} may see it; "
        "then retry.",
        status=status,
    )


def _hung_up(remote: Remote, push: Push | None, said: bytes) -> HostError:
    """The error of a connection that ended early: over SSH, that is how hosts refuse."""
    lines = lines_of(said)
    text = "\n".join(lines)
    again = f"`stepway credential set {remote.ssh_credential} --kind ssh …`"
    if _NOT_FOUND.search(text):
        return _not_found(remote, 404)
    if _HOST_KEY.search(text):
        return HostError(
            Reason.CERTIFICATE,
            f"The SSH key of {remote.host} is not the one that is stored with the credential "
            f"{remote.ssh_credential}",
            remedy="If the host has a new key, store the credential again with "
            f"`--known-hosts FILE`, a file with the output of `ssh-keyscan`: {again}; then retry.",
        )
    if "Permission denied (" in text:
        return HostError(
            Reason.UNAUTHORIZED,
            f"{remote.host} does not accept the SSH key of the credential {remote.ssh_credential}",
            remedy=f"Add the public key to the account on the host, or store another key: {again}; "
            "then retry.",
        )
    return HostError(
        Reason.UNREACHABLE,
        f"{remote.host} ended the connection{': ' + lines[-1][:300] if lines else ''}",
        remedy="Check the network of the worker; retry when the host works again.",
    )


def _broken(remote: Remote, push: Push | None, error: GitProtocolError) -> HostError:
    cause = error.__cause__
    reason = getattr(cause, "reason", cause)
    # Over SSH it is the line behind `ERROR: ` that the host wrote.
    if remote.key is not None and _NOT_FOUND.search(str(error)):
        return _not_found(remote, 404)
    if isinstance(reason, urllib3.exceptions.SSLError) and "CERTIFICATE" in str(reason).upper():
        return HostError(
            Reason.CERTIFICATE,
            f"The certificate of {remote.host} is not trusted",
            remedy="Store the authority's certificate with the credential: "
            f"`stepway credential set {remote.credential} … --ca FILE`; then retry.",
        )
    if isinstance(reason, urllib3.exceptions.TimeoutError):
        return HostError(
            Reason.TIMED_OUT,
            f"{remote.host} did not answer Git within {_READ:.0f} s",
            remedy="Retry when the host answers again.",
        )
    if isinstance(cause, urllib3.exceptions.HTTPError):
        return HostError(
            Reason.UNREACHABLE,
            f"{remote.host} cannot be reached by Git: {type(reason).__name__}",
            remedy="Check the proxy and the network of the worker.",
        )
    if push is not None and error.args:
        return push_refused(push, "", str(error).encode())
    if isinstance(cause, HangupException) and error.args:
        return HostError(
            Reason.FORBIDDEN,
            f"{remote.host} refuses Git access to {remote.name}: {str(error)[:300]}",
            remedy="Remove the cause that the host names, then retry.",
        )
    return HostError(
        Reason.NOT_JSON,
        f"{remote.host} does not answer as a Git server",
        remedy="Check the credential's URL and the proxy of the worker.",
    )
