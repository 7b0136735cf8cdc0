"""Requests to the API of one cluster: bounded in time and size. All failures are ClusterErrors."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import httpx2
from lightkube.config import client_adapter
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ConfigError

from stepway.clusters.errors import ClusterError
from stepway.clusters.kubeconfig import configuration
from stepway.net.answers import ENCODING, AnswerRefused, bounded

TERMINATING = 10.0
"""Seconds until the next look at an object that is being deleted."""

WITHIN = 20.0
"""Seconds for one request, until the end of its answer."""

JSON = "application/json"
_CONNECTING = 10.0
_SHOWN = 2_000
_LATER = frozenset({408, 409, 429, 500, 502, 503, 504})

Answer = dict[str, Any]


@asynccontextmanager
async def connected(kubeconfig: str | None) -> AsyncIterator[Connection]:
    """Connect to the cluster of a kubeconfig; of the worker's own pod for None."""
    config = configuration(kubeconfig)
    timeout = httpx2.Timeout(WITHIN, connect=_CONNECTING)
    try:
        http = client_adapter.AsyncClient(config, client_adapter.ConnectionParams(timeout=timeout))
    except (ssl.SSLError, ValueError, OSError) as error:
        raise ClusterError(
            "The certificate or key in the kubeconfig cannot be used",
            remedy="Store a valid kubeconfig as the credential.",
        ) from error
    except ConfigError:
        raise ClusterError(
            "The kubeconfig has a way to sign in that is not supported",
            remedy="Store one with a token or a client certificate as the credential.",
        ) from None
    http.headers.update(ENCODING)
    http.event_hooks = {"response": [bounded]}
    async with http:
        yield Connection(config, http)


@dataclass
class Connection:
    """Sends requests with the account of the kubeconfig. All methods raise ClusterError."""

    _config: SingleConfig
    _http: httpx2.AsyncClient

    @property
    def server(self) -> str:
        """The address of the API server, for people."""
        return str(self._config.cluster.server)

    @property
    def namespace(self) -> str:
        """The namespace of objects that name none."""
        return self._config.namespace or "default"

    async def send(
        self,
        method: str,
        path: str,
        *,
        about: object = None,
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
        params: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return the answer, an object of JSON. `about` is what the request is for, for messages.

        `path` is without a slash at its beginning, and its parts are quoted.
        """
        with self._errors():
            async with asyncio.timeout(WITHIN):
                response = await self._http.request(
                    method,
                    f"/{path}",
                    content=None if body is None else json.dumps(body).encode(),
                    headers={"Accept": accept, "Content-Type": content_type},
                    params=dict(params or {}),
                )
        if not response.is_success:
            raise _refused(response, about)
        found = _parsed(response)
        if not isinstance(found, dict):
            self.refuse_answer()
        return found

    def refuse_answer(self) -> NoReturn:
        """Raise the error for an answer that no Kubernetes API gives."""
        raise ClusterError(
            f"{self.server} does not answer as a Kubernetes API",
            remedy="Check the server's address in the kubeconfig.",
            later=True,
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (httpx2.TimeoutException, TimeoutError) as error:
            raise ClusterError(
                f"The cluster {self.server} did not answer within {WITHIN:.0f} s",
                remedy="Retry when the cluster answers again.",
                later=True,
            ) from error
        except httpx2.TransportError as error:
            raise self._unreachable(error) from error
        except (AnswerRefused, httpx2.HTTPError, httpx2.InvalidURL):
            self.refuse_answer()
        except (ConfigError, OSError) as error:
            raise ClusterError(
                "The pod's token cannot be read",
                remedy="Check the service account of the worker's pod, then retry.",
                later=True,
            ) from error

    def _unreachable(self, error: httpx2.TransportError) -> ClusterError:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return ClusterError(
                f"The certificate of the cluster {self.server} is not trusted",
                remedy="Store a kubeconfig with the cluster's authority as the credential.",
            )
        return ClusterError(
            f"The cluster {self.server} cannot be reached: {str(error) or type(error).__name__}",
            remedy="Check the address in the kubeconfig and the network of the worker, then retry.",
            later=True,
        )


def _parsed(response: httpx2.Response) -> Any:
    """Return the JSON of an answer; None if it is not JSON."""
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        return None


def _refused(response: httpx2.Response, about: object) -> ClusterError:
    status, found = response.status_code, _parsed(response)
    given = found if isinstance(found, dict) else {}
    texts = {name: given.get(name) for name in ("message", "reason")}
    message, reason = (text if isinstance(text, str) else "" for text in texts.values())
    said = (message or reason)[:_SHOWN]
    wait = response.headers.get("retry-after", "")
    asked = float(wait) if wait.isascii() and wait.isdecimal() else None
    what = f" for {about}" if about else ""
    return ClusterError(
        f"The cluster answered {status}{what}{': ' + said if said else ''}",
        remedy=_remedy(status, said),
        later=_is_terminating(said) or (status in _LATER and not _is_conflict(said)),
        status=status,
        reason=reason,
        retry_after=TERMINATING if _is_terminating(said) else asked,
    )


def _remedy(status: int, said: str) -> str:
    if status == 401:
        return (
            "The token or client certificate is wrong or has expired. Store a kubeconfig with a "
            "valid one as the credential, then retry."
        )
    if _is_terminating(said):
        return "Wait until the namespace is gone: the step is tried again."
    if "admission webhook" in said:
        return "Change what the cluster's policy refuses, or the policy, then retry."
    if status == 403:
        return "Give the account of the kubeconfig this right in the cluster, then retry."
    if _is_conflict(said):
        return "Let only one of them manage the field, then retry."
    return "Correct the manifest, then retry." if status in (400, 422) else "Retry later."


def _is_conflict(said: str) -> bool:
    """Whether another manager owns a field of the manifest."""
    return "conflict with" in said or "conflicts with" in said


def _is_terminating(said: str) -> bool:
    return "being terminated" in said
