"""How names become parts of the path of a URL, and how SSH addresses become URLs."""

from __future__ import annotations

from urllib.parse import quote

from stepway.hosts.errors import HostError, Reason

_LEADS_ELSEWHERE = {".", ".."}


def one_segment(name: str) -> str:
    """Return a name as one segment of a path; its slashes are escaped.

    Raises HostError INVALID for a name with which the path would be that of another object.
    """
    # Clients and proxies remove "." and "..", some of them also after an escaped slash.
    if not name or _LEADS_ELSEWHERE & set(name.split("/")):
        raise HostError(
            Reason.INVALID,
            f"{name!r} cannot be a name on a Git host",
            remedy="Correct the name: it is not empty, and no part of it is '.' or '..'.",
        )
    return quote(name, safe="")


def segments(name: str) -> str:
    """Return a name whose slashes separate segments. Raises HostError INVALID, as one_segment."""
    return "/".join(one_segment(part) for part in name.split("/"))


def ssh_url(address: str) -> str:
    """Return `USER@HOST:PATH`, as hosts show it, as `ssh://USER@HOST/PATH`; leave URLs as is."""
    if "://" in address:
        return address
    start = address.find("]") + 1  # of an IPv6 address
    host, colon, path = address[start:].partition(":")
    return f"ssh://{address[:start]}{host}/{path.lstrip('/')}" if colon else address
