"""Signs in to a host with an SSH key."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from stepway.activities.scratch import scratch
from stepway.hosts.errors import HostError, Reason
from stepway.vault.redaction import redact
from stepway.vault.vault import Secret

_SECONDS = 20.0
_GREETED = re.compile(
    # GitHub, GitLab, Gitea and Forgejo
    r"Hi (?P<github>[\w.-]+)!|Welcome to GitLab, @(?P<gitlab>[\w.-]+)!"
    r"|Hi there, (?P<gitea>[\w.-]+)!"
)
_SHOWN = 300


async def check_ssh(credential: str, secret: Secret) -> str:
    """Return the account that the host names, else the user name of the address.

    Raises HostError.
    """
    program = shutil.which("ssh")
    if program is None:
        raise HostError(
            Reason.UNSUPPORTED,
            "The program ssh is not installed here",
            remedy="Install OpenSSH's client.",
        )
    url = urlsplit(secret.target.url)
    with scratch() as folder:
        key, known = folder / "key", folder / "known_hosts"
        for path, text in ((key, secret.value), (known, secret.target.ca or "")):
            path.touch(mode=0o600)
            path.write_text(text)
        said, status = await _signed_in(
            program,
            *_options(key, known),
            "-p",
            str(url.port or 22),
            f"{url.username}@{url.hostname}",
        )
    greeting = _GREETED.search(said)
    if greeting:
        return str(next(filter(None, greeting.groups())))
    # Git hosts refuse a shell with another status than 255, which is ssh's own.
    if status != 255:
        return secret.account
    raise _refused(credential, url.netloc.rpartition("@")[2], said)


def _options(key: Path, known_hosts: Path) -> list[str]:
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": "10",
        "GlobalKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
        "IdentityFile": str(key),
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(known_hosts),
    }
    given = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    return ["-F", "/dev/null", "-T", *given]


async def _signed_in(*command: str) -> tuple[str, int]:
    """Return what the host said, and the status of ssh."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _SECONDS)
    except TimeoutError:
        raise HostError(
            Reason.TIMED_OUT,
            "The SSH host did not answer in time",
            remedy="Retry when the host answers again.",
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output.decode(errors="replace"), process.returncode or 0


def _refused(credential: str, host: str, said: str) -> HostError:
    if "Host key verification failed" in said:
        return HostError(
            Reason.CERTIFICATE,
            f"The key of {host} is not the one that is stored with the credential {credential!r}",
            remedy="If the host has a new key, store the credential again with "
            "`--known-hosts FILE`, a file with the output of `ssh-keyscan`.",
        )
    if "Permission denied" in said:
        return HostError(
            Reason.UNAUTHORIZED,
            f"{host} does not accept the key of the credential {credential!r}",
            remedy="Add the public key to the account on the host, or store another key.",
        )
    last = said.strip().rpartition("\n")[2]
    return HostError(
        Reason.UNREACHABLE,
        f"{host} cannot be reached: {redact(last)[:_SHOWN]}",
        remedy="Check the credential's URL and the network of the worker.",
    )
