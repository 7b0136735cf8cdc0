"""Templates are found beside the blueprints and rendered in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from temporalio.exceptions import ApplicationError

from stepway.activities.git.child import waited
from stepway.blueprints.templates import TemplateInvalid, template_folder
from stepway_tracking.record.errors import step_error

MEMORY = 2 << 30
"""Bytes of address space that one template may take while it is rendered."""
SECONDS = 600
"""Seconds that it may take; the step's own timeout holds as well."""
_CPU_MORE = 10
"""Seconds of CPU beyond SECONDS after which the system ends the process of a worker that died.
While the worker lives its own limit must come first, because only that one gives a reason."""
_MODULE = "stepway.activities.git.render_process"
_REQUEST, _ERROR = "request.json", "error.json"
_SHOWN = 1_000


def find_template(blueprints: Sequence[Path], name: str) -> Path:
    """The template's folder in the first of the folders that has one of that name.

    Raises step_error when none has it, or when the name leads out of them.
    """
    try:
        return template_folder(blueprints, name)
    except TemplateInvalid as error:
        raise step_error(
            str(error),
            remedy="Correct `template` in the blueprint: use the name of a folder beside its file.",
            retry=False,
        ) from None


def render(template: Path, target: Path, answers: dict[str, Any], beat: Callable[[], None]) -> None:
    """Render `template` into `target`, calling `beat` about once a second meanwhile.

    However this ends, cancelled included, nothing of the process is left. Raises step_error,
    not to be retried for a bad template.
    """
    with tempfile.TemporaryDirectory(prefix="stepway-") as name:
        folder = Path(name)
        request = {
            "template": str(template),
            "target": str(target),
            "answers": answers,
            "memory": MEMORY,
            "seconds": SECONDS + _CPU_MORE,
        }
        (folder / _REQUEST).write_text(json.dumps(request))
        with (folder / "output").open("w+b") as output:
            status = _wait(_started(folder, output), template.name, beat)
            if status != 0:
                output.seek(0)
                raise _failed(folder, template.name, status, output.read()[-_SHOWN:])


def _started(folder: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
    # -P: the current folder must not bring modules of its own.
    return subprocess.Popen(
        [sys.executable, "-P", "-m", _MODULE, str(folder / _REQUEST), str(folder / _ERROR)],
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    return {"PATH": "", "HOME": str(folder), "LANG": "C.UTF-8", "PYTHONUTF8": "1", **kept}


def _wait(process: subprocess.Popen[bytes], name: str, beat: Callable[[], None]) -> int:
    try:
        return waited(process, SECONDS, beat)
    except TimeoutError as error:
        raise step_error(
            f"The template {name!r} was not rendered within {SECONDS} s",
            remedy="Make the template smaller, then retry.",
        ) from error


def _failed(folder: Path, name: str, status: int, output: bytes) -> ApplicationError:
    try:
        found = json.loads((folder / _ERROR).read_text())
    except (OSError, ValueError):
        last = output.decode(errors="replace").strip().rpartition("\n")[2]
        ended = f"signal {-status}" if status < 0 else f"status {status}"
        return step_error(
            f"Cannot render the template {name!r}: its process ended with {ended}. {last}".strip(),
            remedy="Retry. If it fails again, make the template smaller.",
        )
    return step_error(
        f"Cannot render the template {name!r}: {found['reason']}",
        remedy=found["remedy"],
        retry=False,
    )
