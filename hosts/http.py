"""Requests to a host's API: bounded in time, with one kind of error."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import httpx

from stepway.hosts.access import HostAccess
from stepway.hosts.answers import NOT_JSON, json_of, kind_of, message_of, retry_after
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.finishing import finished
from stepway.hosts.kept import answers_of
from stepway.hosts.pace import Pace
from stepway.net.answers import ENCODING, AnswerRefused, read_answer

log = logging.getLogger(__name__)

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
LONGEST = 60.0
"""Seconds that a request may take in all."""
PAGES = 100
"""Pages of a list that are read at most."""
_REDIRECTS = 5
_SHOWN = 100
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_TOKEN = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")

Explain = Callable[[httpx.Response, Any], HostError | None]
"""Returns the host's own error for an answer and its JSON; None for an answer it does not know."""


@lru_cache(maxsize=32)
def _trusting(ca: str | None) -> ssl.SSLContext:
    """Reading the public authorities takes long: all clients share them."""
    if not ca:
        return httpx.create_ssl_context()
    try:
        return ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError) as error:
        raise HostError(
            Reason.INVALID,
            "The authority's certificate cannot be read",
            remedy="Store a PEM file with the credential: `stepway credential set … --ca FILE`.",
        ) from error


@asynccontextmanager
async def http_client(ca: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A client that honours the proxies of the environment and the authorities in `ca` (PEM).

    Raises HostError for a `ca` that cannot be read.
    """
    async with httpx.AsyncClient(
        verify=_trusting(ca), timeout=TIMEOUT, follow_redirects=False
    ) as client:
        yield client


class HostHttp:
    """Requests below one API address, with the token of `access`."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        access: HostAccess,
        api: str,
        explain: Explain,
        headers: Mapping[str, str] | None = None,
        pace: Pace | None = None,
        *,
        keeps: bool = False,
    ) -> None:
        """`keeps`: reads are asked for only if they have changed since (ETag)."""
        self._client = client
        self._keeps = keeps
        self._pace = pace
        self._access = access
        self._api = api.rstrip("/")
        self._explain = explain
        self._headers = {
            "User-Agent": "stepway",
            "Accept": "application/json",
            **(headers or {}),
            **ENCODING,
        }

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        missing: bool = False,
    ) -> Any:
        """Return the answer's JSON, None for an empty one.

        With `missing`, an answer 404 returns None. Raises HostError.
        """
        return (await self.answer(method, path, body, params=params, missing=missing))[1]

    async def answer(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        missing: bool = False,
    ) -> tuple[httpx.Response, Any]:
        """Return the answer and its JSON. Raises HostError."""
        response = await self._sent(method, self._url(path), body, params)
        data = json_of(response)
        if response.is_success and data is not NOT_JSON:
            return response, data
        if response.status_code == 404 and missing and data is not NOT_JSON:
            return response, None
        error = self._error(response, data)
        if self._pace is not None and error.reason is Reason.RATE_LIMITED:
            await self._pace.limited(error.retry_after or 0.0)
        raise error

    async def pages(
        self, path: str, params: Mapping[str, Any] | None = None, items: str | None = None
    ) -> AsyncIterator[Any]:
        """Yield the items of a list, page by page, following `Link: rel="next"`.

        `items` is the field of the list where the answer is an object. Raises HostError.
        """
        url: str | None = path
        given = params
        for _ in range(PAGES):
            response, data = await self.answer("GET", url or path, params=given)
            for item in data[items] if items else data or ():
                yield item
            url, given = response.links.get("next", {}).get("url"), None
            if not url:
                return
            url = self._in_api(url)

    def _url(self, path: str) -> str:
        url = path if path.startswith("http") else f"{self._api}/{path.lstrip('/')}"
        try:
            parts = urlsplit(url)
        except ValueError:
            raise self._no_url() from None
        if parts[:2] != urlsplit(self._api)[:2]:
            raise HostError(Reason.INVALID, f"{self._name} refers to another host, {parts.netloc}")
        if {".", ".."} & set(unquote(parts.path).split("/")):
            # httpx would remove them, and the path would be that of another object.
            raise HostError(Reason.INVALID, "A path on a Git host has a part '.' or '..'")
        return url

    def _in_api(self, url: str) -> str:
        """Return an address that the host has named. The token is for no other part of the host."""
        url = self._url(url)
        path, api = urlsplit(url).path, urlsplit(self._api).path
        if path != api and not path.startswith(f"{api}/"):
            raise HostError(
                Reason.NOT_JSON,
                f"{self._name} did not answer as an API, but refers to {path[:_SHOWN]}",
                remedy="Check the credential's URL and the proxy of the worker.",
            )
        return url

    def _joined(self, url: str, location: str) -> str:
        try:
            return urljoin(url, location)
        except ValueError:
            raise self._no_url() from None

    def _no_url(self) -> HostError:
        return HostError(Reason.INVALID, f"{self._name} refers to an address that is not a URL")

    async def _sent(
        self, method: str, url: str, body: Any, params: Mapping[str, Any] | None
    ) -> httpx.Response:
        """Send the request, following redirects within the host with method and body."""
        if self._pace is not None and method != "GET":
            await self._pace.wait(creates=method == "POST")
        for _ in range(_REDIRECTS):
            response = await self._signed(method, url, body, params)
            if (
                response.status_code not in (301, 302, 307, 308)
                or "location" not in response.headers
            ):
                return response
            url, params = self._in_api(self._joined(url, response.headers["location"])), None
        raise HostError(Reason.NOT_JSON, f"{self._name} redirects in a circle")

    async def _signed(
        self, method: str, url: str, body: Any, params: Mapping[str, Any] | None
    ) -> httpx.Response:
        """Send the request once; a second time if the token was refused and there is a newer."""
        token = await self._access.tokens.token()
        response = await self._once(self._request(method, url, body, params, token))
        if response.status_code == 401:
            self._access.tokens.refused(token)
            newer = await self._access.tokens.token()
            if newer != token:
                return await self._once(self._request(method, url, body, params, newer))
        return response

    def _request(
        self, method: str, url: str, body: Any, params: Mapping[str, Any] | None, token: str
    ) -> httpx.Request:
        if not _TOKEN.fullmatch(token):
            raise self._bad_token()
        headers = {**self._headers, "Authorization": f"{self._access.scheme} {token}"}
        try:
            return self._client.build_request(
                method, url, json=body, params=params, headers=headers
            )
        except httpx.InvalidURL:
            raise self._no_url() from None

    async def _once(self, request: httpx.Request) -> httpx.Response:
        if not self._keeps or request.method != "GET":
            return await self._answered(request)
        answers, url = answers_of(request.headers["authorization"]), str(request.url)
        kept = answers.find(url)
        if kept is not None:
            request.headers["If-None-Match"] = kept.etag
        response = await self._answered(request)
        if kept is not None and response.status_code == 304:
            response = kept.renewed(response)
        answers.keep(url, response)
        return response

    async def _answered(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return await self._exchanged(request)
        return await finished(self._exchanged(request))

    async def _exchanged(self, request: httpx.Request) -> httpx.Response:
        sent_at = time.monotonic()
        try:
            async with asyncio.timeout(LONGEST):
                response = await self._client.send(request, stream=True)
                try:
                    await read_answer(response)
                finally:
                    await response.aclose()
        except (httpx.TimeoutException, TimeoutError) as error:
            raise HostError(
                Reason.TIMED_OUT,
                f"{self._name} did not answer in time",
                remedy="Retry when the host answers again.",
                sent_at=None if isinstance(error, _NOT_SENT) else sent_at,
            ) from error
        except AnswerRefused as error:
            raise HostError(
                Reason.NOT_JSON,
                f"{self._name} did not answer as an API: {error}",
                remedy="Check the credential's URL and the proxy of the worker.",
            ) from error
        except httpx.TransportError as error:
            unreachable = self._unreachable(error)
            unreachable.sent_at = None if isinstance(error, _NOT_SENT) else sent_at
            raise unreachable from error
        response.extensions["sent_at"] = sent_at
        return response

    def _bad_token(self) -> HostError:
        return HostError(
            Reason.UNAUTHORIZED,
            f"The token of the credential {self._access.credential} has other characters than "
            "printable ASCII, or spaces around it",
            remedy=f"Store a valid token: `stepway credential set {self._access.credential} …`, "
            "then retry.",
        )

    def _unreachable(self, error: httpx.TransportError) -> HostError:
        if isinstance(error.__cause__ or error.__context__, ssl.SSLCertVerificationError) or (
            "CERTIFICATE_VERIFY_FAILED" in str(error)
        ):
            return HostError(
                Reason.CERTIFICATE,
                f"The certificate of {self._name} is not trusted",
                remedy="Store the authority's certificate with the credential: "
                "`stepway credential set … --ca FILE`.",
            )
        # The text of a LocalProtocolError may have the value of a header.
        said = "" if isinstance(error, httpx.LocalProtocolError) else str(error)
        return HostError(
            Reason.UNREACHABLE,
            f"{self._name} cannot be reached: {said or type(error).__name__}",
            remedy="Check the credential's URL, the proxy and the network of the worker.",
        )

    def _error(self, response: httpx.Response, data: Any) -> HostError:
        log.info("%s %s: %s", response.request.method, response.request.url, response.status_code)
        wait = retry_after(response)
        if data is not NOT_JSON and (known := self._explain(response, data)) is not None:
            known.status = response.status_code
            known.retry_after = known.retry_after if known.retry_after is not None else wait
            return known
        return self._plain(response, wait, data)

    def _plain(self, response: httpx.Response, wait: float | None, data: Any) -> HostError:
        status = response.status_code
        if status == 429:
            return HostError(
                Reason.RATE_LIMITED,
                f"{self._name} limits the rate of requests",
                status=status,
                retry_after=wait or 60.0,
            )
        if status >= 500:
            return HostError(
                Reason.SERVER_ERROR,
                f"{self._name} answered {status}",
                remedy="Retry when the host works again.",
                status=status,
                retry_after=wait,
                # A proxy gives up before the host does.
                sent_at=response.extensions.get("sent_at") if status in (502, 504) else None,
            )
        if data is NOT_JSON:
            return HostError(
                Reason.NOT_JSON,
                f"{self._name} did not answer as an API, but {kind_of(response)} (status {status})",
                remedy="Check the credential's URL and the proxy of the worker.",
                status=status,
            )
        said = message_of(data)
        reason, remedy = _BY_STATUS.get(status, (Reason.INVALID, ""))
        return HostError(
            reason,
            f"{self._name} answered {status}{': ' + said if said else ''}",
            remedy=remedy.format(credential=self._access.credential),
            status=status,
        )

    @property
    def _name(self) -> str:
        return urlsplit(self._access.url).netloc


_BY_STATUS = {
    401: (
        Reason.UNAUTHORIZED,
        "Store a valid token: `stepway credential set {credential} …`, then retry.",
    ),
    403: (Reason.FORBIDDEN, "Give the account of the credential {credential} this right."),
    404: (
        Reason.NOT_FOUND,
        "Check the name, and that the credential {credential} may see it.",
    ),
    409: (Reason.CONFLICT, ""),
    423: (Reason.ARCHIVED, "Unarchive it, then retry."),
}
