"""Templates are found beside the blueprints and rendered in processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from temporalio.exceptions import ApplicationError

from stepway.activities.git.child import waited
from stepway.activities.scratch import scratch
from stepway.activities.templates.fetch import Version
from stepway.activities.templates.rendered_size import Bounds, TooMuch, check_size
from stepway.blueprints.template_rules import TemplateRules
from stepway.blueprints.templates import TemplateInvalid, template_folder
from stepway_tracking.record.errors import step_error

MEMORY = 2 << 30
"""Bytes of address space that one template may take while it is rendered."""
BOUNDS = Bounds()
"""What it may render."""
SECONDS = 600
"""Seconds that it may take; the step's own timeout holds as well."""
_CPU_MORE = 10
"""Seconds of CPU beyond SECONDS after which the system ends the process of a worker that died.
While the worker lives its own limit must come first, because only that one gives a reason."""
_MODULE = "stepway.activities.templates.render_process"
_OF_TASKS = ("PATH", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables that the programs of a trusted template get."""
_REQUEST, _ERROR = "request.json", "error.json"
_SHOWN = 1_000


@dataclass(frozen=True)
class Origin:
    """Where a template comes from, for messages and for `.copier-answers.yml`.

    `name` is for people; `source` is the `_src_path` that Copier writes. `version` is that of a
    Git template, and `ref` the one that was asked for. `rules` hold for templates of `blueprint`.
    """

    name: str
    source: str
    rules: TemplateRules = field(default_factory=TemplateRules)
    blueprint: str = ""
    version: Version | None = None
    ref: str = ""


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


def render(
    template: Path,
    target: Path,
    answers: dict[str, Any],
    beat: Callable[[], None],
    origin: Origin | None = None,
) -> None:
    """Render `template` into `target`, calling `beat` about once a second meanwhile.

    Without an `origin`, it is a folder that may run nothing. However this ends, cancelled included,
    nothing of the process is left. Raises step_error, not to be retried for a bad template.
    """
    origin = origin or Origin(template.name, template.name)
    trusted = origin.rules.trusts(origin.blueprint)
    with scratch() as folder:
        request = {
            "source": origin.source,
            "blueprint": origin.blueprint,
            "trusted": list(origin.rules.trusted),
            "extensions": list(origin.rules.extensions),
            "commit": origin.version.commit if origin.version else None,
            "version": origin.version.version if origin.version else None,
            "ref": origin.ref,
            "template": str(template),
            "target": str(target),
            "answers": answers,
            "memory": MEMORY,
            "seconds": SECONDS + _CPU_MORE,
            "bounds": asdict(BOUNDS),
        }
        (folder / _REQUEST).write_text(json.dumps(request))
        with (folder / "output").open("w+b") as output:
            status = _wait(_started(folder, output, trusted), origin.name, beat)
            if status != 0:
                output.seek(0)
                raise _failed(folder, origin, status, output.read()[-_SHOWN:])
        if trusted:
            # Of a task that runs `git init`: the repository is made by other steps.
            shutil.rmtree(target / ".git", ignore_errors=True)
        # Also of tasks, and of whatever the process has counted wrong.
        _check_size(target, origin)


def _check_size(target: Path, origin: Origin) -> None:
    try:
        check_size(target, BOUNDS)
    except TooMuch as error:
        raise step_error(
            f"Cannot render the template {origin.name!r}: {error}",
            remedy=_remedy("Make the template smaller, then retry.", origin),
            retry=False,
        ) from None


def _started(folder: Path, output: IO[bytes], trusted: bool) -> subprocess.Popen[bytes]:
    # -P: the current folder must not bring modules of its own.
    return subprocess.Popen(
        [sys.executable, "-P", "-m", _MODULE, str(folder / _REQUEST), str(folder / _ERROR)],
        cwd=folder,
        env=_environment(folder, trusted),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def _environment(folder: Path, trusted: bool) -> dict[str, str]:
    names = ("PYTHONPATH", *(_OF_TASKS if trusted else ()))
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {"PATH": "", "HOME": str(folder), "LANG": "C.UTF-8", "PYTHONUTF8": "1", **kept}


def _wait(process: subprocess.Popen[bytes], name: str, beat: Callable[[], None]) -> int:
    try:
        return waited(process, SECONDS, beat)
    except TimeoutError as error:
        raise step_error(
            f"The template {name!r} was not rendered within {SECONDS} s",
            remedy="Make the template smaller, then retry.",
        ) from error


def _failed(folder: Path, origin: Origin, status: int, output: bytes) -> ApplicationError:
    last = output.decode(errors="replace").strip().rpartition("\n")[2]
    try:
        found = json.loads((folder / _ERROR).read_text())
    except (OSError, ValueError):
        ended = f"signal {-status}" if status < 0 else f"status {status}"
        text = f"Cannot render the template {origin.name!r}: its process ended with {ended}. {last}"
        return step_error(
            text.strip(), remedy="Retry. If it fails again, make the template smaller."
        )
    said = f" {last}" if found["with_output"] else ""
    return step_error(
        f"Cannot render the template {origin.name!r}: {found['reason']}{said}",
        remedy=_remedy(found["remedy"], origin),
        retry=False,
    )


def _remedy(remedy: str, origin: Origin) -> str:
    if origin.version is None:
        return remedy
    return (
        f"{remedy} This project keeps the template's commit {origin.version.commit[:10]}: to use a "
        "corrected one, start a new project, or retry with another `ref`."
    )
