"""Renders one template in a process of its own: `python -m … REQUEST ERROR`.

REQUEST is a file of JSON: the template's folder, the target folder, the answers, where the template
comes from, what it may do, and the bytes of memory and seconds of CPU that it may take. ERROR is
written if the template cannot be rendered.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from itertools import chain
from pathlib import Path
from traceback import walk_tb
from typing import Any, ClassVar

import yaml
from copier._main import Worker
from copier._template import Template
from copier.errors import CopierError, TaskError
from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError
from plumbum import local

from stepway.activities.git.child import end_with_parent
from stepway.activities.templates.rendered_size import Bounds, Rendered, TooMuch
from stepway.blueprints.copier_checks import (
    NotATemplate,
    answer_problems,
    config_file,
    config_of,
    feature_problems,
)
from stepway.blueprints.template_rules import EXTENSIONS, TRUSTED, TemplateRules, allow
from stepway.workflows.model.references import text_of

_CORRECT = "Correct the template or its values in the blueprint, then retry."
_EXPRESSION = "Correct the expression in the template, or the values that it gets, then retry."

_READING = ("expanduser", "expandvars", "fileglob", "realpath", "relpath")
"""Filters of jinja2-ansible-filters that tell of the machine's files, folders or variables."""

# How Jinja names what is no file: an expression in copier.yml or in the name of a file.
_NO_FILE = "<template>"


def main(request_file: Path, error_file: Path) -> int:
    """Render what is requested; 0 if that went well, 1 with the reason in `error_file`."""
    end_with_parent()
    request = json.loads(request_file.read_text())
    template = Path(request["template"])
    _limit(resource.RLIMIT_AS, request["memory"])
    _limit(resource.RLIMIT_CPU, request["seconds"])
    _Worker.bounds, _Worker.blueprint = Bounds(**request["bounds"]), request["blueprint"]
    if request["blueprint"] not in request["trusted"]:  # programs may need larger files meanwhile
        _limit(resource.RLIMIT_FSIZE, _Worker.bounds.file)
    try:
        _check(template, request)
        _render(template, request)
    except Exception as error:  # noqa: BLE001 (a template may raise anything)
        reason, remedy = _explained(error, template, request["memory"])
        said = {"reason": reason, "remedy": remedy, "with_output": isinstance(error, TaskError)}
        error_file.write_text(json.dumps(said))
        return 1
    return 0


def _limit(what: int, limit: int) -> None:
    with suppress(ValueError, OSError):  # some systems know no such limit
        resource.setrlimit(what, (limit, limit))


class _Refused(Exception):
    """What the operator's settings do not allow, or what does not fit the blueprint."""


class _Worker(Worker):  # type: ignore[misc]
    """Copier's, with bounds for what it renders and without filters that read the machine."""

    bounds: ClassVar[Bounds] = Bounds()
    blueprint: ClassVar[str] = ""

    @cached_property
    def jinja_env(self) -> Any:
        environment = super().jinja_env
        if not self.unsafe:
            environment.filters.update({name: _refusing(name, self.blueprint) for name in _READING})
        return environment

    @cached_property
    def _rendered(self) -> Rendered:
        return Rendered(self.bounds)

    def _render_file(self, source: Path, target: Path, *more: Any, **named: Any) -> None:
        super()._render_file(source, target, *more, **named)
        self._count(target)

    def _render_symlink(self, source: Path, target: Path) -> None:
        super()._render_symlink(source, target)
        self._count(target)

    def _render_folder(self, target: Path) -> None:
        super()._render_folder(target)
        self._rendered.add(0)

    def _count(self, target: Path) -> None:
        with suppress(FileNotFoundError):  # it was skipped
            self._rendered.add((self.subproject.local_abspath / target).lstat().st_size)

    def _check_unsafe(self, mode: Any) -> None:
        """Do nothing: `_check` has compared the template with the operator's settings."""


def _refusing(name: str, blueprint: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise _Refused(f"the filter {name!r} reads the worker's machine: {allow(blueprint)}")

    return refuse


def _check(template: Path, request: dict[str, Any]) -> None:
    rules = TemplateRules(trusted=request["trusted"], extensions=request["extensions"])
    if not rules.trusts(request["blueprint"]):
        _refuse_links(template)
    config = config_of(template)
    if request["commit"] and config_file(template) is None:
        raise NotATemplate(f"there is no copier.yml{_elsewhere(template)}")
    for problem in feature_problems(config, rules, request["blueprint"]):
        raise _Refused(problem)
    if request["commit"]:  # of a folder, the answers were checked when the blueprint was loaded
        for problem in answer_problems(config, request["answers"]):
            raise _Refused(problem)


def _refuse_links(template: Path) -> None:
    """Refuse links that lead out of the template: files of the worker could be read by them."""
    root = Path(os.path.realpath(template))
    for folder, *names in os.walk(root):
        for path in (Path(folder, name) for name in chain(*names)):
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
                place = _inside(path, root)
                raise _Refused(f"{place} is a link that leads out of the template")


def _elsewhere(folder: Path) -> str:
    found = sorted(str(file.parent.relative_to(folder)) for file in folder.glob("*/**/copier.y*ml"))
    if found:
        return f"; name one of its folders as `subfolder`: {', '.join(found[:5])}"
    others = [name for name in ("cookiecutter.json",) if (folder / name).exists()]
    return "; it is a template for Cookiecutter, not for Copier" if others else ""


def _render(folder: Path, request: dict[str, Any]) -> None:
    template = Template(url=str(folder))
    # Copier would clone the folder if it found git and a repository there.
    template.__dict__["vcs"] = None
    assert template.local_abspath  # before the URL is another
    template.url = request["source"]
    template.__dict__.update(commit=request["version"], commit_hash=request["commit"])
    trusted = request["blueprint"] in request["trusted"]
    worker = _Worker(
        src_path=str(folder),
        dst_path=Path(request["target"]),
        data=_as_texts(request["answers"], template.questions_data),
        vcs_ref=request["ref"] or None,
        defaults=True,
        overwrite=True,
        quiet=True,
        unsafe=trusted,
    )
    worker.__dict__["template"] = template
    with local.env(PATH=os.environ["PATH"]), worker:
        worker.run_copy()
        if request["commit"]:
            _refuse_submodules(worker)
            _write_answers(worker)


def _refuse_submodules(worker: _Worker) -> None:
    """Refuse a submodule that would have been rendered: its files were not fetched."""
    root = worker.template_copy_root
    for folder in sorted(path for path in root.rglob("*") if path.is_dir()):
        # Git keeps no other empty folders.
        if not folder.is_symlink() and not any(folder.iterdir()):
            place = folder.relative_to(root)
            if not any(map(worker.match_exclude, (place, *list(place.parents)[:-1]))):
                raise _Refused(f"{place} is a Git submodule, which is not fetched")


def _write_answers(worker: Worker) -> None:
    """Write the answers as templates do by custom, unless the template has done so itself."""
    root = Path(os.path.realpath(worker.dst_path))
    named = worker.answers_relpath
    # With links followed: the template may have put one there.
    file = Path(os.path.realpath(root / named))
    if named.is_absolute() or not file.is_relative_to(root):
        raise _Refused(f"_answers_file in copier.yml leads out of the project: {named}")
    if not file.exists():
        text = worker.jinja_env.filters["to_nice_yaml"](worker._answers_to_remember())
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            f"# Changes here will be overwritten by Copier; NEVER EDIT MANUALLY\n{text}"
        )


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
    if isinstance(error, TooMuch) or (isinstance(error, OSError) and error.errno == errno.EFBIG):
        reason = f"it renders more than {_Worker.bounds}"
        return _located(reason, error, template), "Make the template smaller, then retry."
    if isinstance(error, _Refused):
        setting = next((name for name in (TRUSTED, EXTENSIONS) if name in str(error)), "")
        return str(error), (
            f"Ask an operator to add it to {setting} of API and workers, then retry."
            if setting
            else _CORRECT
        )
    if isinstance(error, NotATemplate):
        return str(error), "Correct the template's copier.yml, then retry."
    if isinstance(error.__cause__, yaml.MarkedYAMLError):
        return _not_yaml(error.__cause__), "Correct the template's copier.yml, then retry."
    if isinstance(error, TemplateNotFound):
        reason = f"the template {error.name!r} does not exist"
        if _in_submodule(template / str(error.name), template):
            reason = f"the template {error.name!r} is in a Git submodule, which is not fetched"
        return _located(reason, error, template), _CORRECT
    if isinstance(error, UnicodeDecodeError) and error.encoding == "utf-8":
        reason = _located("the file is not UTF-8 text", error, template)
        return reason, "Save it as UTF-8, or remove the template suffix from its name, then retry."
    if _in_expression(error, template):
        reason = str(error) if isinstance(error, TemplateError) else _raised(error)
        return _located(reason, error, template), _EXPRESSION
    if isinstance(error, UnicodeEncodeError):
        name = os.fsencode(error.object).decode(errors="backslashreplace")
        return f"the name {name} is not valid UTF-8", "Rename the file, then retry."
    if isinstance(error, OSError):
        return _file_error(error, template)
    expected = isinstance(error, CopierError | TemplateError | ValueError)
    reason = str(error) if expected and str(error) else _raised(error)
    return _located(reason, error, template), _CORRECT


def _in_submodule(file: Path, template: Path) -> bool:
    found = next((folder for folder in file.parents if folder.is_dir()), template)
    return found != template and found.is_relative_to(template) and not any(found.iterdir())


def _not_yaml(error: yaml.MarkedYAMLError) -> str:
    line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
    return f"copier.yml{line}: is not YAML: {error.problem}"


def _raised(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _in_expression(error: BaseException, template: Path) -> bool:
    """Whether an expression of the template, or of its copier.yml, raised the error."""
    if isinstance(error, TemplateSyntaxError):
        return False
    files = [frame.f_code.co_filename for frame, _ in walk_tb(error.__traceback__)]
    return any(file == _NO_FILE or Path(file).is_relative_to(template) for file in files)


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
            current = _question(variables["var_name"], template)
        trace = trace.tb_next
    if isinstance(error, TemplateSyntaxError):
        file = error.name if error.name and (template / error.name).exists() else current
        if file.startswith("copier.y"):
            return file
        return f"{file}:{error.lineno}" if file else ""
    if lines:
        file, line = list(lines.items())[-1]
        return f"{file}:{line}"
    return current or ("copier.yml" if _in_expression(error, template) else "")


def _question(name: str, template: Path) -> str:
    """The place of a question of copier.yml: `copier.yml:LINE: question NAME`."""
    place = "copier.yml"
    for file in template.glob("copier.y*ml"):
        for document in yaml.compose_all(file.read_text(), yaml.SafeLoader):
            for key, _ in document.value if isinstance(document, yaml.MappingNode) else ():
                if key.value == name:
                    place = f"{file.name}:{key.start_mark.line + 1}"
    return f"{place}: question {name!r}"


def _inside(path: Path, template: Path) -> str:
    shown = path.relative_to(template) if path.is_relative_to(template) else Path(path.name)
    return os.fsencode(shown).decode(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
