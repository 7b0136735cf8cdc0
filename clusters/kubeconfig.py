"""The configuration of a client: from a kubeconfig, or from the worker's own pod."""

from __future__ import annotations

import yaml
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

from stepway.clusters.errors import ClusterError


def configuration(kubeconfig: str | None) -> SingleConfig:
    """Return the current context; None stands for the pod's service account.

    Raises ClusterError. What a kubeconfig may contain is checked where it is stored.
    """
    if kubeconfig is None:
        return _of_the_pod()
    try:
        found = KubeConfig.from_dict(yaml.safe_load(kubeconfig)).get()
    except (
        ConfigError,
        yaml.YAMLError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        # The error's text may have parts of the secret.
        raise _unusable(type(error).__name__) from None
    if found is None or found.user is None:
        raise _unusable("no user")
    return found


def _of_the_pod() -> SingleConfig:
    try:
        found = KubeConfig.from_service_account().get()
    except (ConfigError, KeyError):
        found = None
    if found is None:
        raise ClusterError(
            "The credential stands for the pod's service account, but this process does not run "
            "in a pod, or its pod has no token",
            remedy="Run the step on a worker in the cluster (`queue`), or store a kubeconfig.",
        )
    return found


def _unusable(why: str) -> ClusterError:
    return ClusterError(
        f"The kubeconfig cannot be used: {why}",
        remedy="Store one that works: `kubectl config view --raw --flatten --minify`.",
    )
