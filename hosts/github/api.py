"""The address of GitHub's API, and how its paths are written."""

from __future__ import annotations

from urllib.parse import urlsplit

from stepway.hosts.paths import one_segment

HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


def api_of(url: str) -> str:
    """Return the address of the API of github.com, or of the GitHub Enterprise at `url`."""
    if urlsplit(url).netloc.removeprefix("www.") == "github.com":
        return "https://api.github.com"
    return f"{url.rstrip('/')}/api/v3"


def segment(text: str) -> str:
    """Return a text as one segment of a path. Raises HostError INVALID."""
    return one_segment(text)
