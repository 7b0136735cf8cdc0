"""http_request: sends one HTTP request to another system."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import urljoin, urlsplit
from uuid import UUID, uuid5

import httpx
from temporalio import activity

from stepway.activities.beats import beating
from stepway.activities.credentials.addresses import addresses_of
from stepway.activities.credentials.credentials import Credentials
from stepway.activities.http.guard import Guard, Pinned
from stepway.activities.project import ProjectRef
from stepway.hosts.answers import retry_after
from stepway.net.answers import parsed_json
from stepway.vault.addresses import is_at
from stepway.workflows.model.references import text_of
from stepway_tracking.record.errors import step_error

LARGEST = 256 * 1024
"""Bytes of an answer that are read."""

_SHOWN = 2_000
_REDIRECTS = 5
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_OURS = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding"}
_USUAL = {"User-Agent": "stepway", "Accept-Encoding": "identity"}
_LATER = [408, 425, 429, 500, 502, 503, 504]

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class SecretHeader:
    """The value of a header: `prefix` and the secret of a credential.

    It is sent over HTTPS, or to this machine. The secret of a credential that is stored with an
    address is sent there only.
    """

    credential: str
    prefix: str = ""


@dataclass(frozen=True)
class HttpRequestInput:
    """`body` is sent as it is if it is a text, otherwise as JSON.

    `expected` are the status codes of success, by default 200 to 299; after one of `retry_on` the
    step is tried again. `timeout` is in seconds, 1 to 300, for the request with its redirects.
    All attempts have the same Idempotency-Key.
    """

    project: ProjectRef
    url: str
    method: Method = "GET"
    headers: dict[str, SecretHeader | str | int | float | bool | None] = field(default_factory=dict)
    body: Any = None
    expected: list[int] = field(default_factory=list)
    retry_on: list[int] = field(default_factory=lambda: list(_LATER))
    timeout: float = 30.0


@dataclass(frozen=True)
class HttpAnswer:
    """`json` is the answer's body if that is JSON; otherwise `text` is the body."""

    status: int
    json: Any = None
    text: str = ""
    url: str = ""


@dataclass
class _Request:
    method: str
    url: str
    headers: dict[str, str]
    content: bytes | None
    secret: set[str]
    places: list[list[str]]
    """For each secret with an address: the addresses that it may be sent to."""


class HttpSteps:
    """Sends requests to the hosts that `guard` allows."""

    def __init__(self, credentials: Credentials, guard: Guard) -> None:
        self._credentials = credentials
        self._guard = guard

    @activity.defn
    async def http_request(self, given: HttpRequestInput) -> HttpAnswer:
        """Send the request. Raises step_error for a status that is not expected."""
        seconds = min(max(given.timeout, 1.0), 300.0)
        timeout = httpx.Timeout(seconds, connect=10.0)
        async with (
            beating(),
            httpx.AsyncClient(
                timeout=timeout,
                trust_env=False,
                follow_redirects=False,
                event_hooks={"response": [_check_location]},
            ) as client,
        ):
            request = await self._request(given)
            try:
                # httpx limits each read, which a slow answer has many of.
                async with asyncio.timeout(seconds):
                    response, body = await self._followed(client, request)
            except TimeoutError as error:
                raise _late(request.url) from error
        return _answer(given, response, body, request.url)

    async def _request(self, given: HttpRequestInput) -> _Request:
        headers, secret = dict(_USUAL), set[str]()
        places = []
        content = _content(given.body, headers)
        for name, value in given.headers.items():
            if not _HEADER.fullmatch(name) or name.lower() in _OURS:
                raise _bad(f"the header {name!r} cannot be set")
            if value is None:
                continue
            if isinstance(value, SecretHeader):
                opened = await self._credentials.open(value.credential, given.project)
                text = f"{value.prefix}{opened.value.strip()}"
                secret.add(name.lower())
                if addresses := addresses_of(opened):
                    _check_place(value.credential, given.url, addresses)
                    places.append(addresses)
            else:
                text = text_of(value)
            text = text.strip(" \t")
            if not _VALUE.fullmatch(text):
                raise _bad(
                    f"the value of the header {name!r} has more than one line, or other "
                    "characters than printable ASCII"
                )
            headers = {key: old for key, old in headers.items() if key.lower() != name.lower()}
            headers[name] = text
        if "idempotency-key" not in {name.lower() for name in headers}:
            what = f"{given.method} {given.url} {content!r}"
            headers["Idempotency-Key"] = str(uuid5(UUID(given.project.id), what))
        return _Request(given.method, given.url, headers, content, secret, places)

    async def _followed(
        self, client: httpx.AsyncClient, request: _Request
    ) -> tuple[httpx.Response, bytes]:
        for _ in range(_REDIRECTS + 1):
            response, body = await self._sent(client, request)
            if not response.has_redirect_location:
                return response, body
            _redirect(request, response)
        raise step_error(
            f"{_host(request.url)} redirects more than {_REDIRECTS} times",
            remedy="Use the final address as `url`, then retry.",
            retry=False,
        )

    async def _sent(
        self, client: httpx.AsyncClient, request: _Request
    ) -> tuple[httpx.Response, bytes]:
        pinned = await self._guard.pinned(request.url)
        _check_encrypted(request, pinned)
        try:
            sent = client.build_request(
                request.method,
                pinned.url_of(request.url),
                headers={**request.headers, "Host": pinned.host_header(request.url)},
                content=request.content,
                extensions={"sni_hostname": pinned.host},
            )
            response = await client.send(sent, stream=True)
            try:
                return response, await _read(response)
            finally:
                await response.aclose()
        except httpx.TimeoutException as error:
            raise _late(request.url) from error
        except (httpx.LocalProtocolError, httpx.InvalidURL, UnicodeError):
            # The error's text may have the value of a header.
            raise _bad("its address or headers have characters that HTTP does not allow") from None
        except httpx.TransportError as error:
            raise step_error(
                f"{pinned.host} cannot be reached: {type(error).__name__}: {error}",
                remedy="Check the address and the network of the worker, then retry.",
            ) from error


def _late(url: str) -> Exception:
    return step_error(
        f"{_host(url)} did not answer in time",
        remedy="Retry when it answers again, or raise `timeout`.",
    )


def _redirect(request: _Request, response: httpx.Response) -> None:
    """Point the request to where the answer leads; body and headers stay with their origin."""
    target = _target(request.url, response.headers["location"])
    if response.status_code == 303 or (
        response.status_code in (301, 302) and request.method == "POST"
    ):
        request.method = "HEAD" if request.method == "HEAD" else "GET"
        request.content = None
        request.headers.pop("Content-Type", None)
    if _origin(target) != _origin(request.url):
        if request.content is not None:
            raise step_error(
                f"{_host(request.url)} redirects to {_host(target)}, which does not get the body",
                remedy="Use the final address as `url`, then retry.",
                retry=False,
            )
        request.headers, request.secret, request.places = dict(_USUAL), set(), []
    elif not _is_allowed(target, request.places):
        request.headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in request.secret
        }
        request.secret, request.places = set(), []
    request.url = target


async def _check_location(response: httpx.Response) -> None:
    """Refuse a bad address before httpx does, whose error is that of a failed connection."""
    if response.has_redirect_location:
        _target(f"//{response.request.headers['host']}", response.headers["location"])


def _target(url: str, location: str) -> str:
    try:
        target = urljoin(url, location)
        _ = httpx.URL(location), httpx.URL(target)
    except (ValueError, httpx.InvalidURL):
        raise step_error(
            f"{_host(url)} redirects to an address that is not a URL",
            remedy="Use the final address as `url`, then retry.",
            retry=False,
        ) from None
    return target


def _is_allowed(url: str, places: list[list[str]]) -> bool:
    return all(any(is_at(url, address) for address in addresses) for addresses in places)


def _check_place(credential: str, url: str, addresses: list[str]) -> None:
    if not _is_allowed(url, [addresses]):
        raise step_error(
            f"The credential {credential!r} is for {' and '.join(addresses)} only, "
            f"so it is not sent to {_host(url) or 'another address'}",
            remedy="Use a credential of that host in the blueprint, then retry.",
            retry=False,
        )


def _check_encrypted(request: _Request, pinned: Pinned) -> None:
    encrypted = urlsplit(request.url).scheme == "https"
    if request.secret and not encrypted and not ip_address(pinned.address).is_loopback:
        raise _bad(f"a credential is not sent to {pinned.host} without encryption; use https://")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


async def _read(response: httpx.Response) -> bytes:
    # httpx would decompress some bytes to any size.
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise step_error(
            "The answer is compressed, which the request did not ask for",
            remedy="Use an address that answers without Content-Encoding, then retry.",
            retry=False,
        )
    body = b""
    async for part in response.aiter_raw():
        body += part
        if len(body) > LARGEST:
            raise step_error(
                f"The answer has more than {LARGEST >> 10} kB",
                remedy="Use an address with a smaller answer, then retry.",
                retry=False,
            )
    return body


def _content(body: Any, headers: dict[str, str]) -> bytes | None:
    if body is None:
        return None
    if isinstance(body, str):
        headers["Content-Type"] = "text/plain; charset=utf-8"
        return body.encode()
    headers["Content-Type"] = "application/json"
    return json.dumps(body, ensure_ascii=False).encode()


def _answer(given: HttpRequestInput, response: httpx.Response, body: bytes, url: str) -> HttpAnswer:
    status, text = response.status_code, body.decode(errors="replace").replace("\0", "\ufffd")
    is_expected = status in given.expected if given.expected else response.is_success
    if not is_expected:
        later = status in given.retry_on
        wait = retry_after(response)
        raise step_error(
            f"{_host(url)} answered {status} {response.reason_phrase}".rstrip(),
            remedy="Retry when it works again." if later else "Correct the request, then retry.",
            retry=later,
            retry_after=wait if status in (429, 503) else None,
            details={"answer": text[:_SHOWN]} if text.strip() else None,
        )
    try:
        return HttpAnswer(status, parsed_json(text), "", url)
    except ValueError:
        return HttpAnswer(status, None, text, url)


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _bad(reason: str) -> Exception:
    return step_error(
        f"The request cannot be sent: {reason}",
        remedy="Correct it in the blueprint, then retry.",
        retry=False,
    )
