"""Why a host refused a push: its own words as an error with a remedy. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepway.hosts.errors import HostError, Reason

MOST_LINES = 50
"""Lines of the host's answer that are kept."""

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


class PushRefused(HostError):
    """A push that the host refused. `lines` are the host's own words.

    `is_protected`: a rule of the branch refuses it, so that a pull request may be possible.
    """

    def __init__(
        self, reason: Reason, message: str, *, remedy: str, lines: Sequence[str], protected: bool
    ) -> None:
        super().__init__(reason, message, remedy=remedy)
        self.lines = list(lines)
        self.is_protected = protected

    @property
    def details(self) -> Mapping[str, Any]:
        """The host's own words, for the details of a step's error."""
        return {"host": "\n".join(self.lines)} if self.lines else {}


@dataclass(frozen=True)
class Push:
    """A push: where to, as whom, and which branch."""

    host: str
    credential: str
    repository: str
    branch: str


@dataclass(frozen=True)
class _Known:
    """A refusal that hosts are known to give. `{…}` in the texts are fields of Push."""

    pattern: str
    reason: Reason
    message: str
    remedy: str
    protected: bool = False


_KNOWN = (
    _Known(
        r"Push cannot contain secrets|GH009|Secrets? detected",
        Reason.INVALID,
        "{host} found a secret in the files that the template makes",
        "Remove the secret from the template, or allow it under the address that {host} names; "
        "then retry.",
    ),
    _Known(
        r"Personal Access Token to create or update workflow|OAuth App to create or update "
        r"workflow|without `?workflow`? scope",
        Reason.SCOPE_MISSING,
        "The token of the credential {credential} may not push workflows: its scope `workflow` "
        "is missing",
        "Give the token the scope `workflow`, store it with `stepway credential set {credential} "
        "…`, then retry.",
    ),
    _Known(
        r"GitHub App to create or update workflow|`workflows` permission",
        Reason.SCOPE_MISSING,
        "The GitHub App of the credential {credential} may not push workflows: its permission "
        "`workflows` is missing",
        "Give the app the permission `workflows`, accept it in the installation, then retry.",
    ),
    _Known(
        r"GH001|exceeds GitHub's file size limit|larger than the .*limit|file size limit",
        Reason.INVALID,
        "{host} does not take a file of this size",
        "Make the file in the template smaller or remove it, then retry.",
    ),
    _Known(
        r"default branch \(e\.g\. \S+\) does not yet exist",
        Reason.FORBIDDEN,
        "The account of the credential {credential} may not create the first branch of "
        "{repository}: that needs a Maintainer",
        "Give the account the role Maintainer in the group, or let developers push initially; "
        "then retry.",
    ),
    _Known(
        r"GH006|GH013|[Pp]rotected branch|to protected branches|through a pull request|"
        r"is protected from|rule violations",
        Reason.FORBIDDEN,
        "The branch {branch} of {repository} is protected: {host} refuses the push",
        "Let the account of the credential {credential} bypass the rule, then retry. For new "
        "projects, the blueprint can ask for a pull request with `protected: pull_request`, in "
        "`setup_gitops` with `change: pull_request`.",
        protected=True,
    ),
    _Known(
        r"GH007|private email address|email privacy",
        Reason.INVALID,
        "{host} refuses the commit because of its e-mail address",
        'Turn off "Block command line pushes that expose my email" for the account of the '
        "credential {credential}, then retry.",
    ),
    _Known(
        r"archived",
        Reason.ARCHIVED,
        "{repository} is archived and takes no pushes",
        "Unarchive it, then retry.",
    ),
    _Known(
        r"temporarily read-only|Push operation timed out|timed out",
        Reason.SERVER_ERROR,
        "{host} cannot take the push at the moment",
        "Retry when the host works again.",
    ),
    _Known(
        r"not allowed to push code|permission denied|permission to \S+ denied|"
        r"does not have write access|don't have permission|write access to repository not granted",
        Reason.FORBIDDEN,
        "The account of the credential {credential} may not push to {repository}",
        "Give the account the right to write to the repository, then retry.",
    ),
    _Known(
        r"non-fast-forward|fetch first|stale info|cannot lock ref|failed to update ref|"
        r"failed to lock|reference already exists|unable to set|unable to remove|failed to write",
        Reason.CONFLICT,
        "The branch {branch} of {repository} changed during the push",
        "Retry.",
    ),
)


def push_refused(push: Push, reason: str, said: bytes) -> PushRefused:
    """Return the error for a refused push.

    `reason` is what the host gave for the branch, `said` what it wrote beside it.
    """
    lines = lines_of(said)
    text = "\n".join([reason, *lines])
    given = [reason, *lines] if reason and reason not in lines else lines
    for known in _KNOWN:
        if re.search(known.pattern, text, re.IGNORECASE):
            return PushRefused(
                known.reason,
                known.message.format(**vars(push)),
                remedy=known.remedy.format(**vars(push)),
                lines=given,
                protected=known.protected,
            )
    return PushRefused(
        Reason.FORBIDDEN,
        f"{push.host} refuses the push to {push.branch} of {push.repository}"
        + (f": {reason}" if reason else ""),
        remedy="Remove the cause that the host names in the details, then retry.",
        lines=given,
        protected=False,
    )


def lines_of(said: bytes) -> list[str]:
    """Return what a host wrote as lines, without escapes, blank lines and progress."""
    text = said.decode(errors="replace").replace("\r\n", "\n")
    shown = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    lines = [_ESCAPES.sub("", line).rstrip() for line in shown]
    kept = [line.removeprefix("remote: ") for line in lines if line.strip()]
    return kept[-MOST_LINES:]
