"""The lines of known_hosts by which Flux knows the SSH server of a Git host. Pure."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode
from collections.abc import Iterable
from fnmatch import fnmatchcase
from urllib.parse import urlsplit


def place_of(url: str) -> str:
    """Return how known_hosts names the host of an `ssh://` URL: `HOST`, or `[HOST]:PORT`."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return host if parts.port in (None, 22) else f"[{host}]:{parts.port}"


def lines_for(url: str, keys: Iterable[str]) -> str:
    """Return the lines for the host of a URL and its public keys, each `TYPE BASE64`."""
    place = place_of(url)
    return "".join(f"{place} {key}\n" for key in keys)


def names(known_hosts: str, url: str) -> bool:
    """Whether the lines have a key of the URL's host, by its name, a pattern or a hash of it."""
    place = place_of(url)
    for line in known_hosts.splitlines():
        words = line.split()
        if words and words[0].startswith(("#", "@")):
            continue
        if words and any(_matches(pattern, place) for pattern in words[0].split(",")):
            return True
    return False


def _matches(pattern: str, place: str) -> bool:
    if not pattern.startswith("|1|"):
        return pattern == place or fnmatchcase(place, pattern.replace("[", "[[]"))
    try:
        _, _, salt, digest = pattern.split("|", 3)
        made = hmac.new(b64decode(salt), place.encode(), hashlib.sha1).digest()
        return hmac.compare_digest(made, b64decode(digest))
    except ValueError:
        return False
