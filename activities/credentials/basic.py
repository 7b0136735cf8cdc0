"""Checks a user name and password."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import httpx

from stepway.hosts.access import HostAccess, HostKind, StaticToken
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.http import HostHttp, http_client
from stepway.vault.vault import Secret


async def check_basic(credential: str, secret: Secret) -> str:
    """Get the credential's address with it; return the account. Raises HostError."""
    url = secret.target.url
    if not url:
        raise HostError(
            Reason.INVALID,
            f"The credential {credential!r} has no address, so it cannot be tried",
            remedy=f"Store it again with the address: `stepway credential set {credential} "
            "--kind basic --account USER --url URL`.",
        )
    pair = b64encode(f"{secret.account}:{secret.value}".encode()).decode()
    access = HostAccess(
        kind=HostKind.LOCAL,
        url=url,
        credential=credential,
        account=secret.account,
        tokens=StaticToken(pair),
        ca=secret.target.ca,
        scheme="Basic",
    )
    async with http_client(access.ca) as client:
        http = HostHttp(client, access, url, _nothing, {"Accept": "*/*"})
        try:
            await http.answer("GET", url)
        except HostError as error:
            # A page is as good as JSON here.
            if error.reason is not Reason.NOT_JSON or (error.status or 500) >= 400:
                raise
    return secret.account


def _nothing(response: httpx.Response, data: Any) -> HostError | None:
    return None
