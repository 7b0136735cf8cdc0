"""Asks a Kubernetes cluster who a credential is."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import yaml

from stepway.hosts.errors import HostError, Reason
from stepway.vault.kinds import IN_CLUSTER
from stepway.vault.vault import Secret

if TYPE_CHECKING:
    from lightkube import KubeConfig

_SECONDS = 20.0


async def check_cluster(credential: str, secret: Secret) -> str:
    """Return the account's name in the cluster. Raises HostError."""
    # Loaded here, because most processes never ask a cluster.
    import httpx2  # noqa: PLC0415
    from lightkube import AsyncClient  # noqa: PLC0415
    from lightkube.core.exceptions import ApiError, ConfigError  # noqa: PLC0415
    from lightkube.resources.authentication_v1 import SelfSubjectReview  # noqa: PLC0415

    url = secret.target.url
    try:
        config = kubeconfig(secret)
        client: Any = AsyncClient(config=config, timeout=httpx2.Timeout(_SECONDS))
        try:
            review = await client.create(SelfSubjectReview())
        finally:
            await client.close()
    except (ConfigError, OSError, ValueError) as error:
        raise _unusable(credential, url, error) from error
    except ApiError as error:
        raise _refused(credential, url, error.response.status_code, str(error)) from error
    except httpx2.HTTPStatusError as error:
        raise _refused(credential, url, error.response.status_code, "") from error
    except httpx2.TimeoutException as error:
        raise HostError(
            Reason.TIMED_OUT,
            f"The cluster {url} did not answer in time",
            remedy="Retry when the cluster answers again.",
        ) from error
    except httpx2.TransportError as error:
        raise _unreachable(url, error) from error
    return str(review.status.userInfo.username)


def kubeconfig(secret: Secret) -> KubeConfig:
    """Return lightkube's configuration of a Kubernetes credential.

    Raises lightkube's ConfigError where it stands for the pod, and this is not one.
    """
    from lightkube import KubeConfig  # noqa: PLC0415

    if secret.value == IN_CLUSTER:
        return KubeConfig.from_service_account()
    return KubeConfig.from_dict(yaml.safe_load(secret.value))


def _refused(credential: str, url: str, status: int, said: str) -> HostError:
    if status == 401:
        return HostError(
            Reason.UNAUTHORIZED,
            f"The cluster {url} does not accept the credential {credential!r}",
            remedy="Its token or certificate is wrong or has expired. Store a valid kubeconfig: "
            f"`stepway credential set {credential} --kind kubernetes`, then retry.",
            status=status,
        )
    reason = Reason.FORBIDDEN if status == 403 else Reason.SERVER_ERROR
    return HostError(
        reason if status in (403,) or status >= 500 else Reason.INVALID,
        f"The cluster {url} answered {status}{': ' + said if said else ''}",
        remedy="Check that the address is that of the cluster's API, version 1.28 or newer.",
        status=status,
    )


def _unusable(credential: str, url: str, error: Exception) -> HostError:
    if url == "https://kubernetes.default.svc":
        return HostError(
            Reason.INVALID,
            f"The credential {credential!r} stands for the pod's service account, but this process "
            "does not run in a pod, or its pod has no token",
            remedy="Run the step on a worker in the cluster (queue), or store a kubeconfig.",
        )
    return HostError(
        Reason.INVALID,
        f"The kubeconfig of the credential {credential!r} cannot be used: {type(error).__name__}",
        remedy="Store one that works: `kubectl config view --raw --flatten --minify`.",
    )


def _unreachable(url: str, error: Exception) -> HostError:
    if isinstance(error.__cause__ or error.__context__, ssl.SSLCertVerificationError) or (
        "CERTIFICATE_VERIFY_FAILED" in str(error)
    ):
        return HostError(
            Reason.CERTIFICATE,
            f"The certificate of the cluster {url} is not trusted",
            remedy="Store a kubeconfig with the cluster's 'certificate-authority-data'.",
        )
    return HostError(
        Reason.UNREACHABLE,
        f"The cluster {url} cannot be reached: {str(error) or type(error).__name__}",
        remedy="Check the kubeconfig's address, the proxy and the network of the worker.",
    )
