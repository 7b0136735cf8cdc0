"""Renders one template in a process of its own: `python -m … REQUEST ERROR`.

REQUEST is a file of JSON: the template's folder, the target folder, the answers, and the bytes of
memory and seconds of CPU that it may take. ERROR is written if the template cannot be rendered.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from copier import run_copy
from copier._template import Template
from copier.errors import CopierError
from jinja2 import TemplateError, TemplateSyntaxError
from plumbum import local

from stepway.workflows.model.references import text_of

_CORRECT = "Correct the template or its values in the blueprint, then retry."


def main(request_file: Path, error_file: Path) -> int:
    """Render what is requested; 0 if that went well, 1 with the reason in `error_file`."""
    request = json.loads(request_file.read_text())
    template = Path(request["template"])
    _limit(resource.RLIMIT_AS, request["memory"])
    _limit(resource.RLIMIT_CPU, request["seconds"])
    try:
        _render(template, Path(request["target"]), request["answers"])
    except (CopierError, TemplateError, ValueError, OSError, MemoryError, RecursionError) as error:
        reason, remedy = _explained(error, template, request["memory"])
        error_file.write_text(json.dumps({"reason": reason, "remedy": remedy}))
        return 1
    return 0


def _limit(what: int, limit: int) -> None:
    with suppress(ValueError, OSError):  # some systems know no such limit
        resource.setrlimit(what, (limit, limit))


def _render(template: Path, target: Path, answers: dict[str, Any]) -> None:
    # Copier calls git where it finds one. A template is a plain folder here.
    with local.env(PATH=""):
        answers = _as_texts(answers, Template(url=str(template)).questions_data)
        run_copy(str(template), target, data=answers, defaults=True, overwrite=True, quiet=True)


def _as_texts(answers: dict[str, Any], questions: dict[str, Any]) -> dict[str, Any]:
    """The answers, as text where the template asks for text: Copier would write Python's."""
    texts = {name for name, question in questions.items() if question.get("type") == "str"}
    return {
        name: text_of(value) if name in texts and value is not None else value
        for name, value in answers.items()
    }


def _explained(error: BaseException, template: Path, memory: int) -> tuple[str, str]:
    """What is wrong, with the file and line where there is one, and what to do about it."""
    if isinstance(error, MemoryError):
        return (
            _located(f"it needs more than {memory >> 20} MB of memory", error, template),
            "Make the template smaller, then retry.",
        )
    if isinstance(error, UnicodeError):
        return _unicode(error, template)
    if isinstance(error, OSError):
        return _file_error(error, template)
    return _located(str(error) or type(error).__name__, error, template), _CORRECT


def _unicode(error: UnicodeError, template: Path) -> tuple[str, str]:
    if isinstance(error, UnicodeEncodeError):
        name = os.fsencode(error.object).decode(errors="backslashreplace")
        return f"the name {name} is not valid UTF-8", "Rename the file, then retry."
    reason = _located("the file is not UTF-8 text", error, template)
    return reason, "Save it as UTF-8, or take the suffix of templates from its name, then retry."


def _file_error(error: OSError, template: Path) -> tuple[str, str]:
    name = error.filename.decode(errors="replace") if isinstance(error.filename, bytes) else ""
    path = Path(error.filename if isinstance(error.filename, str) else name)
    if path.is_symlink() and not path.exists():
        return (
            f"{_inside(path, template)} is a link to {path.readlink()}, which does not exist",
            "Correct or remove the link, or set `_preserve_symlinks: true` in the template's "
            "copier.yml, then retry.",
        )
    return f"{_inside(path, template)}: {error.strerror}", "Correct the template, then retry."


def _located(reason: str, error: BaseException, template: Path) -> str:
    place = _place(error, template)
    return f"{place}: {reason}" if place else reason


def _place(error: BaseException, template: Path) -> str:
    """`FILE:LINE`, or the file or question where no line is known; empty if none is."""
    lines = {}
    current = ""
    trace = error.__traceback__
    while trace is not None:
        code, variables = trace.tb_frame.f_code, trace.tb_frame.f_locals
        if Path(code.co_filename).is_relative_to(template):
            lines[_inside(Path(code.co_filename), template)] = trace.tb_lineno
        # The file or question that Copier is at, in its own functions.
        for variable in ("src_relpath", "relpath"):
            if isinstance(found := variables.get(variable), Path):
                current = str(found)
        if code.co_name == "_ask" and "var_name" in variables:
            current = f"question {variables['var_name']!r}"
        trace = trace.tb_next
    if isinstance(error, TemplateSyntaxError):
        file = error.name if error.name and (template / error.name).exists() else current
        return f"{file}:{error.lineno}" if file else ""
    if lines:
        file, line = list(lines.items())[-1]
        return f"{file}:{line}"
    return current


def _inside(path: Path, template: Path) -> str:
    shown = path.relative_to(template) if path.is_relative_to(template) else Path(path.name)
    return os.fsencode(shown).decode(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
