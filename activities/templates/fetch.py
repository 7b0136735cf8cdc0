"""Reads templates from Git repositories; a process of its own does it, within bounds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepway.activities.git.child import waited
from stepway.activities.scratch import scratch
from stepway.activities.templates.errors import Subject, template_failure
from stepway_tracking.record.errors import step_error

MEMORY = 2 << 30
"""Bytes of address space that one fetch may take."""
SECONDS = 300
"""Seconds that it may take; the step's own timeout holds as well."""
SILENT = 60
"""Seconds that the host may be silent."""
BYTES = 256 << 20
"""Bytes of a template's repository, at one commit."""
FILES = 50_000
_MORE = 10
"""Seconds after SECONDS at which the system ends the process of a worker that died."""
_MODULE = "stepway.activities.templates.fetch_process"
_KEPT = (
    *("PATH", "PYTHONPATH", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
)

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
    with scratch() as folder:
        done = _run(repository, request, folder, beat, ref)
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
        "silent": SILENT,
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
        raise template_failure(_subject(repository, ref), found)
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


def _subject(repository: Repository, ref: str) -> Subject:
    access = repository.access
    limits = f"{BYTES >> 20} MB or {FILES:,} files"
    known = bool(access.known_hosts)
    return Subject(repository.url, ref, access.credential, known, limits)
