"""Asks the system of a credential who it is: one real call, which tells rights and expiry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from stepway.activities.credentials.basic import check_basic
from stepway.activities.credentials.cluster import check_cluster
from stepway.activities.credentials.git_hosts import GitHosts, host_kind
from stepway.activities.credentials.ssh_key import check_ssh
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.host import Feature, GitHost
from stepway.vault.kinds import CredentialKind
from stepway.vault.known import SecretName
from stepway.vault.vault import Secret

WORKFLOWS = "workflows"
"""Stands for pushing files below `.github/workflows`, besides the features of hosts."""


@dataclass(frozen=True)
class Checked:
    """What a system said about a credential.

    `account` is the account behind the secret. `scopes` is None where the system does not tell.
    `lacks` are the scopes that are missing for each feature that could be used with more of them.
    `asked` is False for a plain secret, which names no system to ask.
    """

    account: str
    account_kind: str = ""
    scopes: frozenset[str] | None = None
    expires_at: datetime | None = None
    lacks: Mapping[str, list[str]] = field(default_factory=dict)
    asked: bool = True


async def check_credential(hosts: GitHosts, name: SecretName, secret: Secret) -> Checked:
    """Use the credential once. Raises HostError, which says why it does not work."""
    kind = secret.target.kind
    if host_kind(secret) is not None:
        async with hosts.of_secret(name, secret) as host:
            return await _on_git_host(host, name.name)
    if kind == CredentialKind.KUBERNETES:
        return Checked(await check_cluster(secret), "user")
    if kind == CredentialKind.SSH:
        return Checked(await check_ssh(name.name, secret), "user")
    if kind == CredentialKind.BASIC:
        return Checked(await check_basic(name.name, secret), "user")
    if kind is None:
        return Checked(secret.account, asked=False)
    raise HostError(
        Reason.UNSUPPORTED,
        f"This version of Stepway does not know credentials of kind {kind!r}",
        remedy="Update Stepway here.",
    )


async def check_needs(
    host: GitHost, credential: str, needed: Sequence[Feature], *, workflows: bool
) -> None:
    """Raise HostError if the host lacks a feature, or the token a scope for it."""
    check_features(credential, host.kind, host.features, needed)
    if missing := await host.missing_scopes(needed, workflows=workflows):
        raise scopes_missing(credential, missing)


def check_features(
    credential: str, kind: str, features: frozenset[Feature], needed: Sequence[Feature]
) -> None:
    """Raise HostError if a kind of host lacks a feature."""
    if absent := sorted(set(needed) - features):
        raise HostError(
            Reason.UNSUPPORTED,
            f"The blueprint uses {', '.join(absent)}, which the host of the credential "
            f"{credential!r} ({kind}) does not have",
            remedy="Use a credential of another host, or leave them out.",
        )


def scopes_missing(credential: str, missing: list[str]) -> HostError:
    """Return the error of a token without these scopes."""
    plural = "s" if len(missing) > 1 else ""
    return HostError(
        Reason.SCOPE_MISSING,
        f"The token of the credential {credential!r} lacks the scope{plural} {', '.join(missing)}",
        remedy=f"Give the token the scope{plural}, or store one that has them: "
        f"`stepway credential set {credential} …`. Then retry.",
    )


async def _on_git_host(host: GitHost, credential: str) -> Checked:
    identity = await host.identity()
    if missing := await host.missing_scopes([], workflows=False):
        raise scopes_missing(credential, missing)
    return Checked(
        identity.account, identity.kind, identity.scopes, identity.expires_at, await _lacks(host)
    )


async def _lacks(host: GitHost) -> dict[str, list[str]]:
    features = sorted(host.features)
    if not await host.missing_scopes(features, workflows=True):
        return {}
    lacks = {each.value: await host.missing_scopes([each], workflows=False) for each in features}
    lacks[WORKFLOWS] = await host.missing_scopes([], workflows=True)
    return {name: missing for name, missing in lacks.items() if missing}
