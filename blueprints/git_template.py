"""Templates in Git repositories: their addresses, and what a blueprint may write about them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from stepway.hosts.paths import ssh_problem
from stepway.workflows.model.references import OPENING

FIELDS = ("git", "ref", "subfolder", "credential")
CODE = ("git", "ref", "subfolder")
"""The fields that decide which files a template has."""
FOLDER = "folder"
"""Stands among the written fields for the name of a folder beside the blueprints."""

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# git@host:path, as `git clone` and web pages of hosts write it.
_SCP = re.compile(r"(?P<user>[A-Za-z0-9_.-]+)@(?P<host>[A-Za-z0-9_.-]+):(?P<path>[^/].*)")
_ODD = re.compile(r"[\x00-\x20\x7f\\]")
# What Copier itself takes for a Git repository.
_KNOWN_TO_COPIER = ("git@", "git+", "https://github.com/", "https://gitlab.com/")


class AddressInvalid(ValueError):
    """An address that is no Git URL. The text says what is wrong."""


@dataclass(frozen=True)
class GitTemplate:
    """A template in a Git repository.

    `git` is its URL. `ref` is a tag, a branch or a commit's 40 digits; empty for the newest
    release, as Copier takes it. `subfolder` is the template's folder in the repository.
    `credential` is the name of the credential to read the repository with.
    """

    git: str
    ref: str = ""
    subfolder: str = ""
    credential: str = ""


def is_address(text: str) -> bool:
    """Whether a text is meant as the URL of a repository, not as the name of a folder."""
    return bool(_URL.match(text) or _SCP.fullmatch(text))


def git_template(value: Any) -> GitTemplate | None:
    """The template that an argument asks for; None for a folder beside the blueprints."""
    if isinstance(value, GitTemplate):
        return value
    if isinstance(value, Mapping):
        given = {name: str(value[name]) for name in FIELDS if value.get(name) is not None}
        return GitTemplate(**{"git": "", **given})
    return GitTemplate(str(value)) if isinstance(value, str) and is_address(value) else None


def normalized_address(url: str) -> str:
    """The URL, with `ssh://` for `git@host:path` and without `git+`. Raises AddressInvalid."""
    if scp := _SCP.fullmatch(url):
        url = f"ssh://{scp['user']}@{scp['host']}/{scp['path']}"
    url = url.removeprefix("git+")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise AddressInvalid(f"{url!r} is not a URL") from None
    scheme = parts.scheme
    if scheme not in ("https", "http", "ssh", "file") or _ODD.search(url):
        raise AddressInvalid(f"{url!r} is not a Git URL: use https://… or ssh://…")
    if problem := ssh_problem(url):
        raise AddressInvalid(f"{url!r} is not used: {problem}")
    if parts.password is not None or (scheme in ("https", "http") and parts.username is not None):
        raise AddressInvalid("the URL holds a secret: name a credential in `credential` instead")
    if scheme == "file" and parts.netloc:
        raise AddressInvalid(f"{url!r} names a host: write file:///…")
    if scheme != "file" and not parts.hostname:
        raise AddressInvalid(f"{url!r} names no host")
    if not parts.path.strip("/") or parts.query or parts.fragment:
        raise AddressInvalid(f"{url!r} is not the URL of a repository")
    if ".." in unquote(parts.path).split("/"):
        raise AddressInvalid(f"{url!r} must not hold `..`")
    return url


def ref_problem(ref: str) -> str:
    """What is wrong with the name of a tag, branch or commit; empty if nothing is."""
    odd = ref.startswith(("-", "/", "refs/")) or ".." in ref or _ODD.search(ref) or "@{" in ref
    return f"{ref!r} is not the name of a tag or branch, nor a commit" if odd else ""


def subfolder_problem(subfolder: str) -> str:
    """What is wrong with the name of a folder in a repository; empty if nothing is."""
    parts = subfolder.strip("/").split("/")
    odd = subfolder.startswith("/") or any(part in ("", ".", "..", ".git") for part in parts)
    odd = bool(subfolder) and (odd or "\x00" in subfolder or "\\" in subfolder)
    return f"{subfolder!r} is not the name of a folder in the repository" if odd else ""


def source_path(url: str) -> str:
    """The `_src_path` of a template, with which Copier finds the repository again."""
    known = url.endswith(".git") or url.startswith(_KNOWN_TO_COPIER)
    return url if known else f"git+{url}"


def written_fields(template: Any) -> list[str]:
    """The fields of a Git template whose values the blueprint itself writes, without references.

    A field that is left out counts as written. For the name of a folder that the blueprint itself
    writes, it is FOLDER alone.
    """
    if isinstance(template, str):
        if OPENING in template:
            return []
        return list(FIELDS) if is_address(template) else [FOLDER]
    if not isinstance(template, Mapping) or "git" not in template:
        return []
    return [name for name in FIELDS if OPENING not in str(template.get(name, ""))]
