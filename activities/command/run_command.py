"""run_command: runs a program in the project's working tree."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shlex
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from stepway.activities.beats import Beats
from stepway.activities.command.process import OutputTail, run_in_group
from stepway.activities.credentials.credentials import Credentials
from stepway.activities.git.working_tree import fresh_clone, working_tree
from stepway.activities.hosts import LOCAL, OpenHost, host_errors
from stepway.activities.repository.target import (
    OnRepository,
    opened_host,
    own_repository,
    owner_on,
    remote_of,
)
from stepway.vault.redaction import redact
from stepway.workflows.model.references import text_of
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Progress
from stepway_tracking.record.shortening import shortened

HEARTBEAT_INTERVAL = 1.0
WAITING = "Waiting for another command to leave the working tree"
COMMAND_LENGTH = 4_000
"""Maximum characters of the command in the details of an error."""

_SHOWN = "Fix the problem shown in the output, then retry the step."
_SILENT = (
    "The command wrote no output. Run it by hand in a clone of the project's repository to find "
    "the cause, then retry the step."
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Commands inherit no other variables: the worker's environment contains its secrets.
_INHERITED = {"PATH": os.defpath, "HOME": "/", "LANG": "C.UTF-8"}
# Without it, programs take the terminal for one without colours.
_OF_TERMINAL = {"TERM": "xterm-256color"}
_PROGRAM_IS_WRONG = {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENOEXEC}


@dataclass(frozen=True)
class RunCommandInput(OnRepository):
    """`command` is [program, argument, …]; `directory` is relative to the working tree.

    The working tree is a checkout of `branch`, by default the repository's default branch. On
    other hosts than `local` it is a new clone for each command, and it is removed afterwards.

    Values become text as references inside text do; a variable that is None is not set. A variable
    with the value `{"credential": NAME}` gets that credential's secret. Stepway sets
    `absent_references`, which names the arguments without a value.

    With `terminal`, the command writes to a pseudo-terminal: most programs then show colours and
    progress, and standard error is not separate.
    """

    command: list[Any]
    directory: str = "."
    environment: dict[str, Any] = field(default_factory=dict)
    absent_references: dict[str, str] = field(default_factory=dict)
    branch: str | None = field(default=None, kw_only=True)
    terminal: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class CommandRun:
    """`output` is the end of the command's output."""

    exit_code: int
    output: str


class CommandSteps:
    """Runs commands in working trees: of the local host under `data_dir`, else in clones."""

    def __init__(self, data_dir: Path, credentials: Credentials, hosts: OpenHost) -> None:
        self._data_dir = data_dir
        self._hosts = hosts
        self._credentials = credentials

    @activity.defn
    async def run_command(self, given: RunCommandInput) -> CommandRun:
        """Run the command. Raises step_error for an exit status that is not 0: the message is the
        last line of standard error, the details are the command and the end of its output.
        """
        _refuse_absent(given.absent_references)
        command = _words(given.command)
        output, waiting = OutputTail(), asyncio.Event()
        beating = asyncio.create_task(_beat(output, waiting))
        try:
            usual = _INHERITED | (_OF_TERMINAL if given.terminal else {})
            environment = usual | _environment(await self._with_secrets(given))
            async with self._working_tree(given, waiting) as tree:
                directory = _inside(tree, given.directory)
                status = await _run(
                    command, directory, environment, output, terminal=given.terminal
                )
        finally:
            beating.cancel()
        if status != 0:
            raise _failed(command, status, output)
        return CommandRun(status, output.text)

    @asynccontextmanager
    async def _working_tree(
        self, given: RunCommandInput, waiting: asyncio.Event
    ) -> AsyncIterator[Path]:
        if given.credential == LOCAL:
            await self._refuse_elsewhere(given)
            async with working_tree(self._data_dir, given.project, waiting) as tree:
                yield tree
            return
        beats = Beats()
        async with opened_host(self._hosts, given) as host:
            found = await own_repository(host, given)
            remote = await remote_of(host, found, given)
        branch = given.branch or found.default_branch or "main"
        async with AsyncExitStack() as stack:
            with host_errors():
                tree = await stack.enter_async_context(fresh_clone(remote, branch, beats))
            yield tree

    async def _refuse_elsewhere(self, given: RunCommandInput) -> None:
        """Raise step_error if the local repository is on another machine."""
        async with opened_host(self._hosts, given) as host:
            await host.find_repository(await owner_on(host, given), given.repository_name)

    async def _with_secrets(self, given: RunCommandInput) -> dict[str, Any]:
        environment = dict(given.environment)
        for name, value in given.environment.items():
            if isinstance(value, dict) and set(value) == {"credential"}:
                secret = await self._credentials.open(str(value["credential"]), given.project)
                environment[name] = secret.value
        return environment


async def _run(
    command: list[str],
    directory: Path,
    environment: Mapping[str, str],
    output: OutputTail,
    *,
    terminal: bool,
) -> int:
    try:
        return await run_in_group(
            command,
            directory=directory,
            environment=environment,
            output=output,
            terminal=terminal,
        )
    except OSError as error:
        raise _not_started(command[0], error) from error


async def _beat(output: OutputTail, waiting: asyncio.Event) -> None:
    # Temporal reports a cancel only in response to a heartbeat.
    while True:
        activity.heartbeat(Progress(0, WAITING if waiting.is_set() else output.last_line))
        await asyncio.sleep(HEARTBEAT_INTERVAL)


def _refuse_absent(references: Mapping[str, str]) -> None:
    # Without the argument, the arguments after it would move to its place.
    missing = [name for place, name in references.items() if place.startswith("command.")]
    if missing:
        raise step_error(
            f"`command` refers to {', '.join(missing)}, which has no value",
            remedy="Give it a value or, in the blueprint, a default; then retry.",
            retry=False,
        )


def _words(command: list[Any]) -> list[str]:
    words = [text_of(word) for word in command]
    is_program = bool(command) and isinstance(command[0], str) and bool(words[0])
    if not is_program or None in command or "\x00" in "".join(words):
        raise step_error(
            "`command` must be a list of a program and its arguments",
            remedy="Correct it in the blueprint: the program is text; no item is null or has NUL.",
            retry=False,
        )
    return words


def _environment(given: Mapping[str, Any]) -> dict[str, str]:
    texts = {name: text_of(value) for name, value in given.items() if value is not None}
    for name, value in texts.items():
        if not _VARIABLE.fullmatch(name) or "\x00" in value:
            raise step_error(
                f"{name!r} in `environment` is not a valid environment variable",
                remedy="Use letters, digits and underscores in the name, and no NUL in the value.",
                retry=False,
            )
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | texts


def _inside(tree: Path, directory: str) -> Path:
    tree = tree.resolve()
    path = (tree / directory).resolve()
    if ".." in PurePath(directory).parts or not path.is_relative_to(tree) or not path.is_dir():
        raise step_error(
            f"`directory` {directory!r} is not a folder in the project's working tree",
            remedy="Use an existing folder, relative to the working tree and without `..`.",
            retry=False,
        )
    return path


def _not_started(program: str, error: OSError) -> ApplicationError:
    return step_error(
        f"Cannot start the program {program!r}: {error.strerror}",
        remedy="Install it on the workers, or correct `command` in the blueprint.",
        retry=error.errno not in _PROGRAM_IS_WRONG,
    )


def _failed(command: list[str], status: int, output: OutputTail) -> ApplicationError:
    ended, how = _ended(status)
    cause = f"{output.cause} ({ended})" if output.cause else f"The command ended with {ended}"
    return step_error(
        cause,
        remedy=_SHOWN if output.text.strip() else _SILENT,
        details={
            "command": shortened(redact(shlex.join(command)), COMMAND_LENGTH),
            **how,
            "output": output.text,
        },
    )


def _ended(status: int) -> tuple[str, dict[str, Any]]:
    """How a command ended, as text and as details."""
    if status < 0:
        name = signal.Signals(-status).name
        return f"signal {name}", {"signal": name}
    return f"exit status {status}", {"exit_status": status}
