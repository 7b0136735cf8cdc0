"""Turns what dulwich, urllib3 and ssh raise about a repository into HostError."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import urllib3
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
from dulwich.file import FileLocked

from stepway.activities.git.http_client import Answered, Moved, NotGit
from stepway.activities.git.refusals import Push, lines_of, push_refused
from stepway.activities.git.ssh import CONNECT
from stepway.activities.git.watch import TransferTimedOut
from stepway.hosts.errors import HostError, Reason

_NOT_FOUND = re.compile(r"not found|could not be found|does not exist", re.IGNORECASE)
_HOST_KEY = re.compile(r"Host key verification failed|no matching host key", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """A repository for messages: its host, its name, and the names of the credentials."""

    host: str
    name: str
    credential: str
    ssh_credential: str
    over_ssh: bool


@contextmanager
def as_host_errors(place: Place, push: Push | None) -> Iterator[None]:
    """Turn the errors of dulwich and urllib3 into HostError; texts never have the password."""
    try:
        yield
    except Answered as error:
        raise _of_status(place, error, push) from None
    except NotGitRepository as error:
        raise _not_found(place, 404) from error
    except Moved as error:
        raise _moved(place, error) from error
    except NotGit as error:
        raise _not_git(place) from error
    except TransferTimedOut as error:
        raise HostError(
            Reason.TIMED_OUT, f"{place.host} {error}", remedy="Retry when the host works again."
        ) from error
    except (EOFError, AssertionError, zlib.error) as error:
        # So dulwich reports an answer that ends too early.
        raise _ended(place, []) from error
    except FileLocked as error:
        raise HostError(
            Reason.CONFLICT,
            f"The repository {place.name} stayed locked",
            remedy="Retry. If that does not help, remove the stale lock file.",
        ) from error
    except HangupException as error:
        raise _hung_up(place, b"\n".join(error.stderr_lines or [])) from error
    except GitProtocolError as error:
        raise _broken(place, push, error) from error
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
            f"{place.host} cannot be reached by Git: {error.strerror or type(error).__name__}",
            remedy="Check the network of the worker.",
        ) from error


def _of_status(place: Place, error: Answered, push: Push | None) -> HostError:
    status, lines = error.status, lines_of(error.text)
    shown = f": {lines[0][:300]}" if lines and not lines[0].lstrip().startswith("<") else ""
    if status == 401:
        return HostError(
            Reason.UNAUTHORIZED,
            f"{place.host} does not accept the credential {place.credential} for Git",
            remedy=f"Store a valid token: `stepway credential set {place.credential} …`, "
            "then retry.",
            status=status,
        )
    if status == 404:
        return _not_found(place, status)
    if status == 407:
        return _proxy(place)
    if status == 429:
        wait = float(error.retry_after) if error.retry_after.isdecimal() else 60.0
        return HostError(
            Reason.RATE_LIMITED,
            f"{place.host} limits the rate of requests",
            status=status,
            retry_after=wait,
        )
    if status >= 500:
        return HostError(
            Reason.SERVER_ERROR,
            f"{place.host} answered {status} to Git",
            remedy="Retry when the host works again.",
            status=status,
        )
    if any(line.startswith("Push to create is not enabled") for line in lines):
        return _not_found(place, status)  # Gitea's answer
    if push is not None:
        refused = push_refused(push, "", error.text if shown else b"")
        refused.status = status
        return refused
    return HostError(
        Reason.FORBIDDEN,
        f"{place.host} refuses Git access to {place.name} (status {status}){shown}",
        remedy=f"Give the account of the credential {place.credential} access to it, then retry.",
        status=status,
    )


def _not_found(place: Place, status: int) -> HostError:
    return HostError(
        Reason.NOT_FOUND,
        f"The repository {place.name} was not found on {place.host}",
        remedy=f"Check that it exists and that the credential {place.credential} may see it; "
        "then retry.",
        status=status,
    )


def _hung_up(place: Place, said: bytes) -> HostError:
    """The error of a connection that ended early: over SSH, that is how hosts refuse."""
    lines = lines_of(said)
    text = "\n".join(lines)
    again = f"`stepway credential set {place.ssh_credential} --kind ssh …`"
    if _NOT_FOUND.search(text):
        return _not_found(place, 404)
    if _HOST_KEY.search(text):
        return HostError(
            Reason.CERTIFICATE,
            f"The SSH key of {place.host} is not the one that is stored with the credential "
            f"{place.ssh_credential}",
            remedy="If the host has a new key, store the credential again with "
            f"`--known-hosts FILE`, a file with the output of `ssh-keyscan`: {again}; then retry.",
        )
    if "Permission denied (" in text:
        return HostError(
            Reason.UNAUTHORIZED,
            f"{place.host} does not accept the SSH key of the credential {place.ssh_credential}",
            remedy=f"Add the public key to the account on the host, or store another key: {again}; "
            "then retry.",
        )
    return _ended(place, lines)


def _broken(place: Place, push: Push | None, error: GitProtocolError) -> HostError:
    cause = error.__cause__
    reason = getattr(cause, "reason", cause)
    # Over SSH it is the line behind `ERROR: ` that the host wrote.
    if place.over_ssh and _NOT_FOUND.search(str(error)):
        return _not_found(place, 404)
    if isinstance(reason, urllib3.exceptions.SSLError) and "CERTIFICATE" in str(reason).upper():
        return HostError(
            Reason.CERTIFICATE,
            f"The certificate of {place.host} is not trusted",
            remedy="Store the authority's certificate with the credential: "
            f"`stepway credential set {place.credential} … --ca FILE`; then retry.",
        )
    if isinstance(reason, urllib3.exceptions.ProxyError) and "407" in str(reason):
        return _proxy(place)
    if isinstance(reason, urllib3.exceptions.TimeoutError):
        return HostError(
            Reason.TIMED_OUT,
            f"{place.host} did not accept a connection of Git within {CONNECT:.0f} s",
            remedy="Retry when the host answers again.",
        )
    if isinstance(reason, urllib3.exceptions.ProtocolError):
        return _ended(place, [])
    if isinstance(cause, urllib3.exceptions.HTTPError):
        return HostError(
            Reason.UNREACHABLE,
            f"{place.host} cannot be reached by Git: {type(reason).__name__}",
            remedy="Check the proxy and the network of the worker.",
        )
    if push is not None and error.args:
        return push_refused(push, "", str(error).encode())
    if isinstance(cause, HangupException) and error.args:
        return HostError(
            Reason.FORBIDDEN,
            f"{place.host} refuses Git access to {place.name}: {str(error)[:300]}",
            remedy="Remove the cause that the host names, then retry.",
        )
    return _not_git(place)


def _not_git(place: Place) -> HostError:
    return HostError(
        Reason.NOT_JSON,
        f"{place.host} does not answer as a Git server",
        remedy="Check the credential's URL and the proxy of the worker.",
    )


def _proxy(place: Place) -> HostError:
    return HostError(
        Reason.UNREACHABLE,
        f"The proxy of the workers asks for a sign-in to reach {place.host}",
        remedy="Write user and password into https_proxy or http_proxy of the workers, as "
        "`http://USER:PASSWORD@HOST:PORT`, then restart them and retry.",
    )


def _moved(place: Place, error: Moved) -> HostError:
    return HostError(
        Reason.INVALID,
        f"{place.host} sends Git for {place.name} to another host: {error.to}",
        remedy="Store the credential with the address of that host, "
        f"`stepway credential set {place.credential} … --url URL`, then retry.",
    )


def _ended(place: Place, lines: list[str]) -> HostError:
    return HostError(
        Reason.UNREACHABLE,
        f"{place.host} ended the connection{': ' + lines[-1][:300] if lines else ''}",
        remedy="Check the network of the worker; retry when the host works again.",
    )
