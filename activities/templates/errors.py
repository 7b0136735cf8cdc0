"""Why a template could not be read, as the error of a step with a remedy. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal
from urllib.parse import urlsplit

from temporalio.exceptions import ApplicationError

from stepway.activities.templates.fetch_failure import Failure
from stepway_tracking.record.errors import step_error

_NEAREST = 3
_WAIT = 60.0
_LONGEST_WAIT = 3600.0
_COMMIT = 40

When = Literal["credential", "known_hosts"]


@dataclass(frozen=True)
class Subject:
    """What was to be read: `ref` of the repository at `url`, with a credential or without ("").

    `has_known_hosts`: the credential has the keys of hosts. `limits` are those of a repository.
    """

    url: str
    ref: str
    credential: str
    has_known_hosts: bool
    limits: str

    @property
    def host(self) -> str:
        """The host's name, for messages."""
        return urlsplit(self.url).hostname or "this machine"


@dataclass(frozen=True)
class _Text:
    """`{…}` stand for what is known; `{said}` is the host's or the system's own text, if any.

    It holds for a subject with `when`; empty for any. `later`: a retry may succeed.
    """

    failure: Failure
    message: str
    remedy: str
    when: When | Literal[""] = ""
    later: bool = False


_TEXTS = (
    _Text(
        Failure.UNREACHABLE,
        "Cannot reach the template's repository {url}{said}",
        "Check that the workers reach {host}, and the URL in the template of the blueprint; "
        "then retry.",
        later=True,
    ),
    _Text(
        Failure.BUSY,
        "{host} answered HTTP {status} for the template's repository {url}",
        "Retry when {host} answers again.",
        later=True,
    ),
    _Text(
        Failure.CERTIFICATE,
        "The certificate of {host} is not trusted{said}",
        "Store the authority's certificate with the credential: "
        "`stepway credential set {credential} … --ca FILE`; then retry.",
        when="credential",
    ),
    _Text(
        Failure.CERTIFICATE,
        "The certificate of {host} is not trusted{said}",
        "Set SSL_CERT_FILE of the workers to a file with its authority, then retry.",
    ),
    _Text(
        Failure.UNAUTHORIZED,
        "{host} refused the credential {credential!r} for {url}{said}",
        "Renew the credential, or give it the right to read this repository; then retry.",
        when="credential",
    ),
    _Text(
        Failure.UNAUTHORIZED,
        "{host} asks for a sign-in to read {url}{said}",
        "Name a `credential` in the template of the blueprint if the repository is private; "
        "check the URL.",
    ),
    _Text(
        Failure.PROXY,
        "The proxy of the workers asks for a sign-in to reach {url}",
        "Write user and password into https_proxy or http_proxy of the workers, as "
        "`http://USER:PASSWORD@HOST:PORT`, then restart them and retry.",
    ),
    _Text(
        Failure.NOT_FOUND,
        "The template's repository {url} does not exist, or may not be seen",
        "Check the URL in the template of the blueprint, and that the credential can read it; "
        "then retry.",
        when="credential",
    ),
    _Text(
        Failure.NOT_FOUND,
        "The template's repository {url} does not exist, or may not be seen",
        "Check the URL in the template of the blueprint, and that it is public; then retry.",
    ),
    _Text(
        Failure.REFUSED,
        "{host} answered HTTP {status} for the template's repository {url}",
        "Give the credential the right to read this repository, then retry.",
    ),
    _Text(
        Failure.MOVED,
        "The template's repository {url} has moved to {to}",
        "Write its new URL in the template of the blueprint.",
    ),
    _Text(
        Failure.NOT_GIT,
        "{url} does not answer as a Git repository{said}",
        "Check the URL in the template of the blueprint: it is the one that `git clone` takes.",
    ),
    _Text(
        Failure.NO_SSH,
        "Cannot read a template over SSH: the program ssh is not installed",
        "Install an SSH client on the workers, or use an https URL; then retry.",
    ),
    _Text(
        Failure.HOST_KEY,
        "The SSH key of {host} is not the one that is stored with the credential {credential!r}",
        "If the host has a new key, store the credential again with `--known-hosts FILE`, "
        "a file with the output of `ssh-keyscan`; then retry.",
        when="known_hosts",
    ),
    _Text(
        Failure.HOST_KEY,
        "The SSH key of {host} is not known{said}",
        "Add the key of {host} to the known_hosts of the workers, then retry.",
    ),
    _Text(
        Failure.REF_MISSING,
        "The template's repository {url} has {missing}",
        "{instead}",
    ),
    _Text(
        Failure.COMMIT_MISSING,
        "The template's repository {url} does not have the commit {ref}",
        "Name a tag or branch that exists as `ref` of the template. A history that was "
        "rewritten has lost the commit: start a new project.",
    ),
    _Text(
        Failure.EMPTY,
        "The template's repository {url} is empty",
        "Push the template to it, then retry.",
    ),
    _Text(
        Failure.NAME,
        "The template's repository {url} has a file that no system can hold: {path}",
        "Rename it in the repository.",
    ),
    _Text(
        Failure.TREE,
        "The template's repository {url} has an entry that cannot be written: {path} {text}",
        "Correct or remove it in the repository.",
    ),
    _Text(
        Failure.TOO_LARGE,
        "The template's repository {url} has over {limits}",
        "Make the repository smaller, or move the template to a separate one.",
    ),
    _Text(
        Failure.DISK,
        "Cannot store the template of {url}{said}",
        "Ask an operator to free space on the workers, then retry.",
        later=True,
    ),
)


def template_failure(subject: Subject, found: Mapping[str, Any]) -> ApplicationError:
    """Return the error of a step for a failure of the process that reads templates.

    `found` has `failure` and what else is known about it.
    """
    holds = {"", *_conditions(subject)}
    text = next(one for one in _TEXTS if one.failure == found["failure"] and one.when in holds)
    known = {**found, **vars(subject), "host": subject.host, "said": _said(found)}
    if text.failure == Failure.REF_MISSING:
        known |= _missing(subject.ref, found["tags"], found["branches"])
    limited = text.failure == Failure.BUSY and found["status"] == 429
    return step_error(
        text.message.format(**known),
        remedy=text.remedy.format(**known),
        retry=text.later,
        retry_after=_seconds(found["retry_after"]) if limited else None,
    )


def _conditions(subject: Subject) -> list[When]:
    holds: list[When] = ["credential"] if subject.credential else []
    return [*holds, "known_hosts"] if subject.has_known_hosts else holds


def _said(found: Mapping[str, Any]) -> str:
    return f": {found['text']}" if found.get("text") else ""


def _missing(ref: str, tags: Sequence[str], branches: Sequence[str]) -> dict[str, str]:
    names = [*tags, *branches]
    near = get_close_matches(ref, names, _NEAREST) or list(tags[:_NEAREST] or branches[:_NEAREST])
    instead = f"Name an existing one as `ref` of the template, such as {', '.join(near)}."
    if set(ref.lower()) <= set("0123456789abcdef") and len(ref) >= 7:
        instead = f"Write all {_COMMIT} digits of a commit as `ref` of the template, or name a tag."
    missing = f"no tag, branch or commit {ref!r}" if ref else "no release and no default branch"
    return {"missing": missing, "instead": instead}


def _seconds(retry_after: str) -> float:
    return min(float(retry_after), _LONGEST_WAIT) if retry_after.isdecimal() else _WAIT
