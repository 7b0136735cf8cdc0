"""Runs a command in its own process group, with bounded memory for its output."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import termios
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import psutil

from stepway.vault.redaction import redact
from stepway_tracking.logs.capture import current_log
from stepway_tracking.record.shortening import shortened

OUTPUT_BYTES = 8_000
OUTPUT_LINES = 50
LINE_LENGTH = 200
TERM_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""

DRAIN = 1.0
"""Seconds to read the rest of the output after the process has ended."""

TERMINAL_SIZE = (50, 120)
"""Lines and columns of a pseudo-terminal."""

STANDARD_ERROR = 2
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class OutputTail:
    """Keeps the last OUTPUT_BYTES of an output; returns at most OUTPUT_LINES lines of it.

    Standard output and standard error are fed as they arrive, and kept in this order. All of it
    goes to the log of the attempt too.
    """

    def __init__(self) -> None:
        self._log = current_log()
        self._kept = b""
        self._total = 0
        self._errors = b""
        self._was_error = False

    def feed(self, chunk: bytes, *, error: bool = False) -> None:
        """Take the next part of standard output, or of standard error."""
        if self._log is not None:
            self._log.output("stderr" if error else "stdout", chunk)
        if error:
            self._errors = (self._errors + chunk)[-OUTPUT_BYTES:]
        if error is not self._was_error and self._kept and not self._kept.endswith((b"\n", b"\r")):
            chunk = b"\n" + chunk
        self._was_error = error
        self._total += len(chunk)
        self._kept = (self._kept + chunk)[-OUTPUT_BYTES:]

    @property
    def text(self) -> str:
        """The last lines, without terminal escapes; starts with "…" if earlier ones are cut."""
        lines = _lines(self._kept)
        is_cut = self._total > len(self._kept) or len(lines) > OUTPUT_LINES
        if self._total > len(self._kept) and len(lines) > 1:
            del lines[0]  # incomplete
        return "\n".join([*(["…"] if is_cut else []), *lines[-OUTPUT_LINES:]])

    @property
    def last_line(self) -> str:
        """The last line that is not blank, redacted and shortened to LINE_LENGTH characters."""
        return _last(self._kept)

    @property
    def cause(self) -> str:
        """The last line of standard error that is not blank; without one, of standard output."""
        return _last(self._errors) or _last(self._kept)


def _last(written: bytes) -> str:
    lines = [line.strip() for line in _lines(written) if line.strip()]
    # Redact before shortening: a part of a secret would not be recognized.
    return shortened(redact(lines[-1]), LINE_LENGTH) if lines else ""


def _lines(written: bytes) -> list[str]:
    # Postgres cannot store NUL in text.
    text = written.decode(errors="replace").replace("\x00", "\ufffd")
    return _ESCAPES.sub("", text).splitlines()


async def run_in_group(
    command: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    output: OutputTail,
    terminal: bool = False,
) -> int:
    """Run the command and return its exit status: negative if a signal ended it.

    With `terminal`, both outputs are one pseudo-terminal, so that programs print as for a person.

    Ends the whole process group in any case, also when cancelled. Raises OSError if the program
    cannot be started.
    """
    open_pipe = _terminal if terminal else _output_pipe
    async with open_pipe() as (reader, write_end), _output_pipe() as (errors, errors_end):
        keep_descriptors()
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=directory,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end if terminal else errors_end,
                start_new_session=True,
            )
        finally:
            os.close(write_end)
            os.close(errors_end)
        reading = [
            asyncio.create_task(_read(reader, output.feed)),
            asyncio.create_task(_read(errors, partial(output.feed, error=True))),
        ]
        try:
            status = await _wait_and_end_group(process)
            # A child that left the group may keep the output open forever.
            await asyncio.wait(reading, timeout=DRAIN)
        finally:
            for task in reading:
                task.cancel()
    return status


def keep_descriptors() -> None:
    """Keep child processes from inheriting file descriptors other than the standard ones.

    Descriptors that were open when this process started can be inherited, and uvloop does not
    close them in a child.
    """
    for path in Path("/dev/fd").iterdir():
        with suppress(OSError):  # the listing's own is closed by now
            if int(path.name) > STANDARD_ERROR:
                os.set_inheritable(int(path.name), False)


async def _wait_and_end_group(process: asyncio.subprocess.Process) -> int:
    try:
        return await process.wait()
    finally:
        await _end_group(process)


@asynccontextmanager
async def _terminal() -> AsyncIterator[tuple[asyncio.StreamReader, int]]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *TERMINAL_SIZE, 0, 0))
    async with _reading(ours) as reader:
        yield reader, theirs


@asynccontextmanager
async def _output_pipe() -> AsyncIterator[tuple[asyncio.StreamReader, int]]:
    # With asyncio's own pipe, process.wait() waits for the end of the output in some versions.
    read_end, write_end = os.pipe()
    async with _reading(read_end) as reader:
        yield reader, write_end


@asynccontextmanager
async def _reading(read_end: int) -> AsyncIterator[asyncio.StreamReader]:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", buffering=0)
    )
    try:
        yield reader
    finally:
        transport.close()


async def _read(reader: asyncio.StreamReader, feed: Callable[[bytes], None]) -> None:
    # Linux answers EIO once nobody has the other end of a terminal open.
    with suppress(OSError):
        while chunk := await reader.read(65_536):
            feed(chunk)


async def _end_group(process: asyncio.subprocess.Process) -> None:
    try:
        if _signal_group(process.pid, signal.SIGTERM):
            with suppress(TimeoutError):
                await asyncio.wait_for(_until_gone(process), TERM_GRACE)
    finally:
        _signal_group(process.pid, signal.SIGKILL)


async def _until_gone(process: asyncio.subprocess.Process) -> None:
    await process.wait()
    while _signal_group(process.pid, 0) and _has_living(process.pid):  # noqa: ASYNC110 - there is no event for the end of a group
        await asyncio.sleep(0.05)


def _has_living(group: int) -> bool:
    # Zombies stay in the group until init reaps them; in a container it may never do so.
    for process in psutil.process_iter(["status"]):
        with suppress(ProcessLookupError, PermissionError):
            if process.info["status"] != psutil.STATUS_ZOMBIE and os.getpgid(process.pid) == group:
                return True
    return False


def _signal_group(group: int, number: int) -> bool:
    """Send the signal; return False if the group no longer exists."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
