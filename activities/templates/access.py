"""Opens credentials to read templates with, only for the host that a credential is for."""

from __future__ import annotations

from urllib.parse import urlsplit

from temporalio.exceptions import ApplicationError

from stepway.activities.credentials.credentials import Credentials
from stepway.activities.credentials.git_hosts import GitHosts, host_kind
from stepway.activities.hosts import host_errors
from stepway.activities.project import ProjectRef
from stepway.activities.templates.fetch import Access
from stepway.hosts.access import HostKind
from stepway.vault.addresses import is_at
from stepway.vault.kinds import CredentialKind
from stepway.vault.known import SecretName
from stepway.vault.vault import Secret
from stepway_tracking.record.errors import step_error

_USERS = {HostKind.GITHUB: "x-access-token", HostKind.GITLAB: "oauth2", HostKind.GITEA: "stepway"}
"""The user names that go with tokens of a host."""


class TemplateAccess:
    """Opens a project's credentials as user name and password, or as an SSH key."""

    def __init__(self, credentials: Credentials, hosts: GitHosts) -> None:
        self._credentials = credentials
        self._hosts = hosts

    async def __call__(self, credential: str, project: ProjectRef, url: str) -> Access:
        """Return how to read a repository with a credential. Raises step_error."""
        secret = await self._credentials.open(credential, project)
        kind, target = secret.target.kind, secret.target
        over_ssh = urlsplit(url).scheme == "ssh"
        if kind is not None and over_ssh is not (kind == CredentialKind.SSH):
            other = "a credential of kind ssh" if over_ssh else "a credential of the Git host"
            raise _refused(
                credential, f"is of kind {kind}, which does not sign in there", url, other
            )
        if target.url and not is_at(url, target.url):
            raise _refused(credential, f"is for {target.url} only", url, "one of that host")
        if over_ssh:
            return Access(credential, key=secret.value, known_hosts=target.ca or "")
        username, password = await self._pair(SecretName(project.owner, credential), secret, url)
        return Access(credential, username, password, ca=target.ca or "")

    async def _pair(self, name: SecretName, secret: Secret, url: str) -> tuple[str, str]:
        host = host_kind(secret)
        if host is not None:
            with host_errors():
                return _USERS[host], await self._hosts.token(name, secret)
        if secret.target.kind in (None, CredentialKind.BASIC):
            return secret.account or name.name, secret.value
        raise _refused(
            name.name,
            f"is of kind {secret.target.kind}, which does not sign in to a Git host",
            url,
            "a credential of the Git host",
        )


def _refused(credential: str, reason: str, url: str, other: str) -> ApplicationError:
    return step_error(
        f"The credential {credential!r} {reason}, so it cannot read {url}",
        remedy=f"Name {other} as `credential` of the template in the blueprint.",
        retry=False,
    )
