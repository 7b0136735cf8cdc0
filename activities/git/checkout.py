"""Whether what is to be committed comes out of a fresh clone as it went in, on any system.

`normalized` gives files as `git add` stores them. `refuse_unusable` refuses paths that git or a
clone's file system could not take; `check_out_clean` then has git itself try, where it is found.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO

from dulwich.attrs import (
    AttributeValue,
    GitAttributes,
    Pattern,
    compile_gitattributes_patterns,
    parse_git_attributes,
)
from dulwich.index import (
    validate_path_element_default,
    validate_path_element_hfs,
    validate_path_element_ntfs,
)
from temporalio.exceptions import ApplicationError

from stepway.activities.git.child import waited
from stepway.activities.scratch import scratch
from stepway_tracking.record.errors import step_error

LINK = 0o120000
MAX_PATH = 1_000
"""Bytes of a path: macOS takes 1,024 for a clone's folder and the path together."""
MAX_NAME = 255
MAX_ATTRIBUTES = 100 * 1024 * 1024
"""Bytes of a .gitattributes that git reads."""
MAX_ATTRIBUTES_LINE = 2_048

_ATTRIBUTES = ".gitattributes"
_NO_LINKS = {".gitmodules", _ATTRIBUTES, ".gitignore", ".mailmap"}
_LOOKED_AT = 8_000
_RENAME = "Rename it in the template, then retry."
_GIT_SECONDS = 300

File = tuple[str, bytes, int]


def refuse_unusable(paths: Mapping[str, int]) -> None:
    """Raise step_error, not to be retried, for a path (with its mode) that no clone could hold."""
    for path, mode in paths.items():
        if reason := _unusable(path, mode):
            raise _refused(path, *reason)
    _refuse_collisions(paths)


def _unusable(path: str, mode: int) -> tuple[str, str] | None:
    """What is wrong with a path, and the remedy."""
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return "its name is not valid UTF-8", _RENAME
    name = PurePosixPath(path).name
    if mode == LINK and name.casefold() in _NO_LINKS:
        return f"{name} must not be a link", "Replace the link by a file, then retry."
    if len(encoded) > MAX_PATH:
        return f"the path is longer than {MAX_PATH:,} bytes", "Shorten it, then retry."
    for part in encoded.split(b"/"):
        if len(part) > MAX_NAME:
            return f"a name in it is longer than {MAX_NAME} bytes", "Shorten it, then retry."
        if not _holds(part):
            shown = part.decode()
            return f"git cannot check out the name {shown!r}", (
                "Remove it from the template (a nested repository or submodule leaves a `.git`), "
                "then retry."
            )
    return None


def _holds(part: bytes) -> bool:
    return (
        validate_path_element_default(part)
        and validate_path_element_ntfs(part)
        and validate_path_element_hfs(part)
    )


def _refuse_collisions(paths: Iterable[str]) -> None:
    """Refuse what is one name where upper and lower case, or forms of Unicode, are the same."""
    seen: dict[str, str] = {}
    for path in paths:
        pure = PurePosixPath(path)
        for one in (pure, *list(pure.parents)[:-1]):
            first = seen.setdefault(_folded(one), str(one))
            if first != str(one):
                raise _refused(
                    path, f"{one} and {first} are the same name on macOS and Windows", _RENAME
                )


def _folded(path: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(path)).casefold())


def _refused(path: str, reason: str, remedy: str) -> ApplicationError:
    shown = os.fsencode(path).decode(errors="backslashreplace")
    if len(shown) > MAX_NAME:
        shown = f"{shown[:100]}…{shown[-100:]}"
    return step_error(f"The template makes {shown}: {reason}", remedy=remedy, retry=False)


def normalized(files: Iterable[File], attributes: Mapping[str, bytes]) -> Iterator[File]:
    """The files as `git add` stores them: line ends by the `.gitattributes`, given by path.

    Raises step_error for what git could not give back.
    """
    for path, content in attributes.items():
        _refuse_attributes(path, content)
    rules = _rules(attributes)
    for path, content, mode in files:
        if mode == LINK:
            yield path, content, mode
            continue
        found = rules.match_path(path.encode())
        if found.get(b"working-tree-encoding") not in (None, False, b"UTF-8", b"utf-8"):
            raise _refused(
                path,
                "its working-tree-encoding is not supported",
                "Remove working-tree-encoding from .gitattributes, then retry.",
            )
        yield path, _with_line_ends(content, found), mode


def _refuse_attributes(path: str, content: bytes) -> None:
    longest = max((len(line) for line in content.splitlines()), default=0)
    if len(content) > MAX_ATTRIBUTES or longest >= MAX_ATTRIBUTES_LINE:
        reason = f"git reads lines of up to {MAX_ATTRIBUTES_LINE:,} bytes and 100 MB of it"
        raise _refused(path, reason, "Shorten it, then retry.")


def _rules(attributes: Mapping[str, bytes]) -> GitAttributes:
    def of(folder: bytes) -> list[tuple[Pattern, Mapping[bytes, AttributeValue]]]:
        name = f"{folder.decode()}/{_ATTRIBUTES}" if folder else _ATTRIBUTES
        parsed = parse_git_attributes(BytesIO(attributes.get(name, b"")))
        return compile_gitattributes_patterns(parsed, name, folder)

    return GitAttributes(of(b""), directory_loader=of)


def _with_line_ends(content: bytes, found: Mapping[bytes, AttributeValue]) -> bytes:
    text = found.get(b"text")
    if text is None and found.get(b"eol") in (b"lf", b"crlf"):
        text = True
    if found.get(b"binary") is True:
        text = False
    is_text = text is True or (text == b"auto" and _looks_like_text(content))
    return content.replace(b"\r\n", b"\n") if is_text else content


def _looks_like_text(content: bytes) -> bool:
    head = content[:_LOOKED_AT]
    return b"\x00" not in head and content.count(b"\r") == content.count(b"\r\n")


def check_out_clean(repository: Path, commit: str, beat: Callable[[], None]) -> None:
    """Have git check out the commit of the bare repository, and look at what it makes of it.

    Does nothing on a machine without git. Raises step_error, not to be retried, with git's words.
    """
    program = shutil.which("git")
    if program is None:
        return
    with scratch() as folder:
        git = _Git(program, folder, beat)
        git.run("init", "--quiet", ".")
        # The commit is on no branch yet, so that a clone would not bring it.
        objects = (repository / "objects").resolve()
        (folder / ".git" / "objects" / "info" / "alternates").write_text(f"{objects}\n")
        if (repository / "shallow").exists():  # the history before these commits was not fetched
            shutil.copy(repository / "shallow", folder / ".git" / "shallow")
        git.run("-c", "core.protectHFS=true", "checkout", "--quiet", "--detach", commit)
        if changed := git.run("status", "--porcelain", "-z").strip("\0"):
            path = changed.split("\0")[0][3:]
            raise _refused(
                path,
                "a fresh clone shows it as changed",
                "Correct .gitattributes or the file, then retry.",
            )
        git.run("fsck", "--strict", "--no-dangling", "--no-progress", commit)


class _Git:
    """Runs git in a folder, out of reach of anybody's configuration."""

    def __init__(self, program: str, folder: Path, beat: Callable[[], None]) -> None:
        self._program = program
        self._folder = folder
        self._beat = beat
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder / ".git"),
            "LANG": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LFS_SKIP_SMUDGE": "1",
        }

    def run(self, *arguments: str) -> str:
        """What git prints. Raises step_error where it fails."""
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                [self._program, *arguments],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
            status = waited(process, _GIT_SECONDS, self._beat)
            texts = [_read(file) for file in (output, errors)]
        if status != 0:
            raise _not_cloned("\n".join(reversed(texts)))
        return texts[0]


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _not_cloned(text: str) -> ApplicationError:
    lines = [line for line in text.splitlines() if line.strip()]
    return step_error(
        f"git cannot use what the template makes: {' '.join(lines)[:MAX_PATH]}",
        remedy="Correct or remove these files in the template, then retry.",
        retry=False,
    )
