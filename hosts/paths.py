"""How names become parts of the path of a URL, and how SSH addresses become URLs."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from stepway.hosts.errors import HostError, Reason

_LEADS_ELSEWHERE = {".", ".."}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SHOWN = 200


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
    """Return `USER@HOST:PATH`, as hosts show it, as `ssh://USER@HOST/PATH`; leave URLs as is.

    Raises HostError INVALID for an SSH address with parts that a program could take for an option.
    """
    url = address
    if "://" not in address:
        start = address.find("]") + 1  # of an IPv6 address
        host, colon, path = address[start:].partition(":")
        url = f"ssh://{address[:start]}{host}/{path.lstrip('/')}" if colon else address
    if problem := ssh_problem(url):
        raise HostError(
            Reason.INVALID,
            f"The SSH address {address[:_SHOWN]!r} is not used: {problem}",
            remedy="Correct the address of the repository, or its name on the Git host.",
        )
    return url


def ssh_problem(url: str) -> str:
    """Return what is wrong with the parts of an `ssh://` URL; "" if nothing is, or for others.

    A part that begins with `-` could be taken for an option by ssh or git.
    """
    scheme, _, rest = url.partition("://")
    if scheme.lower() != "ssh":
        return ""
    place, _, path = rest.partition("/")
    user, _, host = place.rpartition("@")
    parts = {"user": user, "host": host, "port": host.rpartition(":")[2], "path": path}
    for name, given in parts.items():
        text = unquote(given)
        if text.lstrip("/").startswith("-"):
            return f"its {name} begins with '-'"
        if _CONTROL.search(text):
            return f"its {name} has control characters"
    return ""
