"""Opens a Git repository with dulwich: over HTTPS, over SSH, or by a path of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from dulwich.client import GitClient, LocalGitClient, SSHGitClient

from stepway.activities.git.http_client import HttpClient
from stepway.activities.git.ssh import Ssh, ssh_words
from stepway.activities.git.watch import Beat, Limits, watched


@dataclass(frozen=True)
class SignIn:
    """As whom a repository is opened, and whom to trust there; repr hides the secrets.

    `key` is a private SSH key, `known_hosts` the hosts to trust, `ca` PEM with the authorities to
    trust in place of the public ones.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    ca: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    known_hosts: str = ""


@contextmanager
def connected(
    url: str,
    sign_in: SignIn,
    beat: Beat,
    limits: Limits,
    *,
    own_group: bool = True,
) -> Iterator[tuple[GitClient, bytes]]:
    """Yield dulwich's client and the path to give it, for one transfer. Blocks; for threads.

    However it ends, no connection, process or key of it is left. `beat` is called twice a second in
    another thread; what it raises ends the transfer. With `own_group`, ssh leads a process group,
    which ends with it. Raises TransferTimedOut besides what the clients raise.
    """
    parts = urlsplit(url)
    if parts.scheme in ("", "file"):
        yield LocalGitClient(), (unquote(parts.path) if parts.scheme else url).encode()
        return
    with watched(beat, limits) as watch, ExitStack() as stack:
        if parts.scheme != "ssh":
            http = HttpClient(url, sign_in.username, sign_in.password, sign_in.ca, watch)
            stack.callback(http.close)
            yield http, b""
            return
        words = stack.enter_context(ssh_words(sign_in.key, sign_in.known_hosts))
        vendor = Ssh(words, watch, own_group=own_group)
        stack.callback(vendor.close)
        path = unquote(parts.path)
        path = path.removeprefix("/") if path.startswith("/~") else path
        host = parts.hostname or ""
        yield SSHGitClient(host, parts.port, parts.username or "git", vendor=vendor), path.encode()
