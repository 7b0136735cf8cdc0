"""Reads the secret of a credential of kind `kubernetes`: a kubeconfig, or `in-cluster`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

from stepway.clusters.errors import ClusterError

IN_CLUSTER = "in-cluster"
"""The secret that stands for the service account of the worker's own pod."""

_FILES = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
}
_REMEDY = (
    "Store a kubeconfig that contains its certificates and a token of a service account: "
    "`kubectl config view --minify --flatten`."
)


def read_kubeconfig(secret: str) -> SingleConfig:
    """Return the current context of a kubeconfig. Raises ClusterError.

    It must contain its certificates and keys, and run no command: it is stored in the database and
    used on every worker.
    """
    if secret.strip() == IN_CLUSTER:
        return _in_cluster()
    try:
        given = yaml.safe_load(secret)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise _unfit(f"is not YAML{where}") from None
    if not isinstance(given, Mapping) or "clusters" not in given or "contexts" not in given:
        raise _unfit("has no `clusters` and `contexts`")
    _refuse_files(given)
    try:
        config = KubeConfig.from_dict(dict(given)).get()
    except ConfigError as error:
        raise _unfit(f"cannot be used: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise _unfit(f"cannot be used: {type(error).__name__} {error}") from None
    if config is None or config.user is None:
        raise _unfit("has no user in its current context")
    return config


def secrets_in(secret: str) -> list[str]:
    """Return the tokens, passwords and keys in a kubeconfig, to be hidden from people."""
    try:
        given = yaml.safe_load(secret)
    except yaml.YAMLError:
        return []
    users = given.get("users") if isinstance(given, Mapping) else None
    found = []
    for entry in users if isinstance(users, list) else ():
        user = entry.get("user") if isinstance(entry, Mapping) else None
        for field in ("token", "password", "client-key-data"):
            value = user.get(field) if isinstance(user, Mapping) else None
            if isinstance(value, str) and value:
                found.append(value)
    return found


def _in_cluster() -> SingleConfig:
    try:
        config = KubeConfig.from_service_account().get()
    except (ConfigError, KeyError) as error:
        raise ClusterError(
            "The worker does not run in a pod with a service account",
            remedy="Run the worker in the cluster, or store a kubeconfig as the credential.",
        ) from error
    if config is None:
        raise _unfit("has no current context")
    return config


def _refuse_files(given: Mapping[str, Any]) -> None:
    for kind, fields in _FILES.items():
        entries = given.get(f"{kind}s")
        for entry in entries if isinstance(entries, list) else ():
            body = entry.get(kind) if isinstance(entry, Mapping) else None
            for field in fields:
                if isinstance(body, Mapping) and body.get(field):
                    raise _unfit(f"refers to the file {body[field]} ({field})")
            if isinstance(body, Mapping) and (body.get("exec") or body.get("auth-provider")):
                raise _unfit(f"runs a command to sign in (user {entry.get('name')})")


def _unfit(what: str) -> ClusterError:
    return ClusterError(f"The kubeconfig {what}", remedy=_REMEDY)
