"""Reads templates from Git repositories; a process of its own does it, within bounds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from temporalio.exceptions import ApplicationError

from stepway.activities.git.child import waited
from stepway_tracking.record.errors import step_error

MEMORY = 2 << 30
"""Bytes of address space that one fetch may take."""
SECONDS = 300
"""Seconds that it may take; the step's own timeout holds as well."""
BYTES = 256 << 20
"""Bytes of a template's repository, at one commit."""
FILES = 50_000
_MORE = 10
"""Seconds after SECONDS at which the system ends the process of a worker that died."""
_MODULE = "stepway.activities.git.fetch_process"
_KEPT = (
    *("PATH", "PYTHONPATH", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
)
_NEAREST = 3
_WAIT = 60.0
_LONGEST_WAIT = 3600.0

Beat = Callable[[], None]


@dataclass(frozen=True)
class Access:
    """As whom a repository is read; repr hides the secrets.

    `key` is a private SSH key, `known_hosts` the hosts to trust, `ca` PEM with the authorities to
    trust in place of the public ones. `credential` is the credential's name, for messages.
    """

    credential: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    known_hosts: str = ""
    ca: str = field(default="", repr=False)


@dataclass(frozen=True)
class Repository:
    """A repository that templates are read from; `url` is normalized."""

    url: str
    access: Access = Access()


@dataclass(frozen=True)
class Version:
    """A commit of a template; `version` is the tag at it, or the commit."""

    commit: str
    version: str


def resolve(repository: Repository, ref: str, beat: Beat) -> Version:
    """Ask the host for the commit of a tag, branch or commit; for "", of the newest release.

    Raises step_error, which is retried where the host may answer later.
    """
    request = {"action": "resolve", "ref": ref}
    with tempfile.TemporaryDirectory(prefix="stepway-") as folder:
        done = _run(repository, request, Path(folder), beat, ref)
    return Version(done["commit"], done["version"])


def fetch(repository: Repository, commit: str, target: Path, beat: Beat) -> Mapping[str, int]:
    """Write the files of a commit into `target/files`; return the numbers of files and bytes.

    Raises step_error as `resolve` does.
    """
    request = {"action": "fetch", "commit": commit, "target": str(target)}
    done: Mapping[str, int] = _run(repository, request, target, beat, commit)
    return done


def _run(
    repository: Repository, request: Mapping[str, Any], folder: Path, beat: Beat, ref: str
) -> Any:
    access = repository.access
    answer = folder / "answer.json"
    whole = {
        "url": repository.url,
        "username": access.username,
        "password": access.password,
        "key": access.key,
        "known_hosts": access.known_hosts,
        "ca": access.ca,
        "memory": MEMORY,
        "seconds": SECONDS + _MORE,
        "bytes": BYTES,
        "files": FILES,
        **request,
    }
    with (folder / "output").open("w+b") as output:
        status = _wait(_started(answer, folder, output, whole), repository.url, beat)
        try:
            found = json.loads(answer.read_text())
        except (OSError, ValueError):
            output.seek(0)
            last = output.read()[-1_000:].decode(errors="replace").strip().rpartition("\n")[2]
            ended = f"signal {-status}" if status < 0 else f"status {status}"
            raise step_error(
                f"Cannot read {repository.url}: the process ended with {ended}. {last}".strip(),
                remedy="Retry. If it fails again, make the template's repository smaller.",
            ) from None
    if "failure" in found:
        raise _failed(repository, ref, found)
    return found


def _started(
    answer: Path, folder: Path, output: Any, request: Mapping[str, Any]
) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # -P: the current folder must not bring modules of its own.
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", _MODULE, str(answer)],
        cwd=folder,
        env={**environment, "HOME": str(folder), "LANG": "C.UTF-8", "PYTHONUTF8": "1"},
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        with process.stdin:
            process.stdin.write(json.dumps(request).encode())
    except BrokenPipeError:
        pass  # it ended at once; its status says more
    return process


def _wait(process: subprocess.Popen[bytes], url: str, beat: Beat) -> int:
    try:
        return waited(process, SECONDS, beat)
    except TimeoutError as error:
        raise step_error(
            f"The template's repository {url} was not read within {SECONDS} s",
            remedy="Retry. If it fails again, name a tag, or make the repository smaller.",
        ) from error


def _failed(repository: Repository, ref: str, found: Mapping[str, Any]) -> ApplicationError:
    """The error of a step for a failure of the process."""
    url, access = repository.url, repository.access
    host = urlsplit(url).hostname or "this machine"
    said = f": {found['text']}" if found.get("text") else ""
    in_blueprint = "in the template of the blueprint"
    match found["failure"]:
        case "unreachable":
            return step_error(
                f"Cannot reach the template's repository {url}{said}",
                remedy=f"Check that the workers reach {host}, and the URL {in_blueprint}; "
                "then retry.",
            )
        case "busy":
            return step_error(
                f"{host} answered HTTP {found['status']} for the template's repository {url}",
                remedy=f"Retry when {host} answers again.",
                retry_after=_seconds(found["retry_after"]) if found["status"] == 429 else None,
            )
        case "certificate" if access.credential:
            return _final(
                f"The certificate of {host} is not trusted{said}",
                "Store the authority's certificate with the credential: "
                f"`stepway credential set {access.credential} … --ca FILE`; then retry.",
            )
        case "certificate":
            return _final(
                f"The certificate of {host} is not trusted{said}",
                "Set SSL_CERT_FILE of the workers to a file with its authority, then retry.",
            )
        case "unauthorized" if access.credential:
            return _final(
                f"{host} refused the credential {access.credential!r} for {url}{said}",
                "Renew the credential, or give it the right to read this repository; then retry.",
            )
        case "unauthorized":
            return _final(
                f"{host} asks for a sign-in to read {url}{said}",
                f"Name a `credential` {in_blueprint} if the repository is private; check the URL.",
            )
        case "proxy":
            return _final(
                f"The proxy of the workers asks for a sign-in to reach {url}",
                "Write user and password into https_proxy or http_proxy of the workers, as "
                "`http://USER:PASSWORD@HOST:PORT`, then restart them and retry.",
            )
        case "not_found":
            hint = "the credential can read it" if access.credential else "it is public"
            return _final(
                f"The template's repository {url} does not exist, or may not be seen",
                f"Check the URL {in_blueprint}, and that {hint}; then retry.",
            )
        case "refused":
            return _final(
                f"{host} answered HTTP {found['status']} for the template's repository {url}",
                "Give the credential the right to read this repository, then retry.",
            )
        case "moved":
            return _final(
                f"The template's repository {url} has moved to {found['to']}",
                f"Write its new URL {in_blueprint}.",
            )
        case "not_git":
            return _final(
                f"{url} does not answer as a Git repository{said}",
                f"Check the URL {in_blueprint}: it is the one that `git clone` takes.",
            )
        case "no_ssh":
            return _final(
                "Cannot read a template over SSH: the program ssh is not installed",
                "Install an SSH client on the workers, or use an https URL; then retry.",
            )
        case "host_key" if access.known_hosts:
            return _final(
                f"The SSH key of {host} is not the one that is stored with the credential "
                f"{access.credential!r}",
                "If the host has a new key, store the credential again with `--known-hosts FILE`, "
                "a file with the output of `ssh-keyscan`; then retry.",
            )
        case "host_key":
            return _final(
                f"The SSH key of {host} is not known{said}",
                f"Add the key of {host} to the known_hosts of the workers, then retry.",
            )
        case "ref_missing":
            return _ref_missing(url, ref, found["tags"], found["branches"])
        case "commit_missing":
            return _final(
                f"The template's repository {url} does not have the commit {ref}",
                "Name a tag or branch that exists as `ref` of the template. A history that was "
                "rewritten has lost the commit: start a new project.",
            )
        case "empty":
            return _final(
                f"The template's repository {url} is empty", "Push the template to it, then retry."
            )
        case "name":
            return _final(
                f"The template's repository {url} has a file that no system can hold: "
                f"{found['path']}",
                "Rename it in the repository.",
            )
        case "too_large":
            return _final(
                f"The template's repository {url} has over {BYTES >> 20} MB or {FILES:,} files",
                "Make the repository smaller, or move the template to a separate one.",
            )
    return step_error(
        f"Cannot store the template of {url}{said}",
        remedy="Ask an operator to free space on the workers, then retry.",
    )


def _final(message: str, remedy: str) -> ApplicationError:
    return step_error(message, remedy=remedy, retry=False)


def _ref_missing(
    url: str, ref: str, tags: Sequence[str], branches: Sequence[str]
) -> ApplicationError:
    names = [*tags, *branches]
    near = get_close_matches(ref, names, _NEAREST) or list(tags[:_NEAREST] or branches[:_NEAREST])
    digits = set(ref.lower()) <= set("0123456789abcdef") and len(ref) >= 7
    remedy = f"Name an existing one as `ref` of the template, such as {', '.join(near)}."
    if digits:
        remedy = "Write all 40 digits of a commit as `ref` of the template, or name a tag."
    missing = f"no tag, branch or commit {ref!r}" if ref else "no release and no default branch"
    return _final(f"The template's repository {url} has {missing}", remedy)


def _seconds(retry_after: str) -> float:
    return min(float(retry_after), _LONGEST_WAIT) if retry_after.isdecimal() else _WAIT
