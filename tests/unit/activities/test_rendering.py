"""Templates are rendered in separate processes; errors name the file and the line."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from temporalio.exceptions import ApplicationError

from stepway.activities.templates import rendering
from stepway.activities.templates.rendered_size import Bounds
from stepway.activities.templates.rendering import Origin, find_template, render
from stepway.blueprints.template_rules import TemplateRules

SLOW = "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}"


def rendered(folder: Path, answers: dict[str, Any] | None = None, **files: str) -> Path:
    template, target = folder / "mine", folder / "target"
    template.mkdir()
    for name, text in files.items():
        file = template / name.replace("__", ".")
        file.write_text(text)
    render(template, target, answers or {}, lambda: None)
    return target


def refused(folder: Path, **files: str) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        rendered(folder, **files)
    assert caught.value.non_retryable
    assert caught.value.details[0]["remedy"]
    return caught.value


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({"a__txt__jinja": "ok\n{{ open\n"}, "a.txt.jinja:2"),
        ({"a__txt__jinja": "ok\n\n{{ x.y }}\n"}, "a.txt.jinja:3"),
        ({"a__txt__jinja": "{% include 'b.inc' %}", "b__inc": "\n{{ x.y }}\n"}, "b.inc:2"),
        ({"{{ x.y }}": "text"}, "{{ x.y }}"),
        ({"copier__yml": "a:\n  type: int\n  default: many\n"}, "question 'a'"),
    ],
)
def test_an_error_names_file_and_line(tmp_path, files, place):
    text = refused(tmp_path, **files).message
    assert text.startswith("Cannot render the template 'mine'")
    assert place in text


QUESTION = "first:\n  type: str\n  default: x\nb:\n  type: int\n  default: "


@pytest.mark.parametrize(
    ("files", "place", "reason"),
    [
        (
            {"a__txt__jinja": "ok\n{{ project_name + 1 }}\n"},
            "a.txt.jinja:2",
            'TypeError: can only concatenate str (not "int") to str',
        ),
        ({"a__jinja": "\n\n{{ 1/0 }}"}, "a.jinja:3", "ZeroDivisionError: division by zero"),
        ({"a__jinja": "\n{% for x in 5 %}{% endfor %}"}, "a.jinja:2", "TypeError: 'int'"),
        ({"a__jinja": "\n{{ [].pop() }}"}, "a.jinja:2", "IndexError: pop from empty list"),
        (
            {"a__jinja": "{{ '\xe9'.encode('ascii') }}"},
            "a.jinja:1",
            "UnicodeEncodeError: 'ascii' codec",
        ),
        (
            {
                "a__jinja": "{% from 'm.inc' import f %}\n\n{{ f() }}",
                "m__inc": "{% macro f() %}\n{{ 1/0 }}{% endmacro %}",
            },
            "m.inc:2",
            "ZeroDivisionError: division by zero",
        ),
        ({"{{ 1 % 0 }}": "text"}, "{{ 1 % 0 }}", "ZeroDivisionError: integer modulo by zero"),
        (
            {"copier__yml": QUESTION + '"{{ 1/0 }}"'},
            "copier.yml:4: question 'b'",
            "ZeroDivisionError: division by zero",
        ),
        (
            {"copier__yml": '_subdirectory: "{{ 1/0 }}"'},
            "copier.yml",
            "ZeroDivisionError: division by zero",
        ),
    ],
)
def test_an_expression_that_fails_is_named_and_not_retried(tmp_path, files, place, reason):
    template = tmp_path / "mine"
    template.mkdir()
    for name, text in files.items():
        (template / name.replace("__", ".")).write_text(text)
    with pytest.raises(ApplicationError) as caught:
        render(template, tmp_path / "target", {"project_name": "p"}, lambda: None)
    assert caught.value.message.startswith(f"Cannot render the template 'mine': {place}: {reason}")
    assert caught.value.non_retryable
    assert "Correct the expression in the template" in caught.value.details[0]["remedy"]


def test_a_copier_yml_that_is_not_yaml_is_named_with_its_line(tmp_path):
    error = refused(tmp_path, copier__yml="a: 1\nb: [\n")
    assert "copier.yml:3: is not YAML" in error.message


def test_a_template_that_is_included_and_does_not_exist_is_named(tmp_path):
    error = refused(tmp_path, a__jinja="\n{% include 'no' %}")
    assert "a.jinja:2: the template 'no' does not exist" in error.message


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "link").symlink_to("nowhere")
    with pytest.raises(ApplicationError) as caught:
        render(tmp_path / "mine", tmp_path / "target", {}, lambda: None)
    assert "link is a link to nowhere, which does not exist" in caught.value.message
    assert caught.value.non_retryable
    assert "_preserve_symlinks" in caught.value.details[0]["remedy"]


def test_a_file_that_is_not_text_is_named(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt.jinja").write_bytes(b"\xff{{ x }}")
    with pytest.raises(ApplicationError) as caught:
        render(tmp_path / "mine", tmp_path / "target", {}, lambda: None)
    assert "a.txt.jinja: the file is not UTF-8 text" in caught.value.message
    assert caught.value.non_retryable


def test_an_answer_that_is_absent_gets_the_templates_own_default(tmp_path):
    files = {"copier__yml": "python: {type: str, default: '3.12'}\n", "v__jinja": "{{ python }}"}
    assert (rendered(tmp_path, **files) / "v").read_text() == "3.12"


def test_an_answer_to_a_question_for_text_is_text_as_everywhere(tmp_path):
    questions = "".join(f"{name}: {{type: str}}\n" for name in "abcd")
    target = rendered(
        tmp_path,
        {"a": False, "b": ["x"], "c": 8080, "d": "é"},
        copier__yml=questions,
        v__jinja="{{ a }} {{ b }} {{ c }} {{ d }}",
    )
    assert (target / "v").read_text() == 'false ["x"] 8080 é'


def test_memory_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "MEMORY", 512 << 20)
    text = refused(tmp_path, a__txt__jinja="{{ 'x' * 2000000000 }}").message
    assert "512 MB of memory" in text


@pytest.mark.parametrize(
    ("files", "bounds"),
    [
        ({"a__jinja": "{{ 'x' * 3000000 }}"}, Bounds(file=1 << 20)),
        ({f"{n}__jinja": "{{ 'x' * 700000 }}" for n in range(4)}, Bounds(bytes=2 << 20)),
        ({f"f{n}": "" for n in range(9)}, Bounds(files=8)),
        (
            {"{% yield n from range(99) %}{{ n }}{% endyield %}__txt__jinja": "x"},
            Bounds(files=50),
        ),
    ],
    ids=["file", "bytes", "files", "yield"],
)
def test_what_is_rendered_is_bounded(tmp_path, monkeypatch, files, bounds):
    monkeypatch.setattr(rendering, "BOUNDS", bounds)
    assert f"renders more than {bounds}" in refused(tmp_path, **files).message
    written = [path.stat().st_size for path in (tmp_path / "target").rglob("*")]
    assert max(written, default=0) <= bounds.file
    assert len(written) <= bounds.files + 1


def test_the_worker_reads_no_more_than_the_bounds_whatever_the_process_says(tmp_path, monkeypatch):
    """As of the tasks of a trusted template."""
    monkeypatch.setattr(rendering, "BOUNDS", Bounds(files=3))
    template = tmp_path / "mine"
    template.mkdir()
    (template / "copier.yml").write_text("_tasks: ['touch 1 2 3 4']\n")
    (template / "a").write_text("")
    rules = TemplateRules(trusted=["mine"])
    origin = Origin("mine", "mine", rules, "mine")
    with pytest.raises(ApplicationError, match="renders more than") as caught:
        render(template, tmp_path / "target", {}, nothing, origin)
    assert caught.value.non_retryable


FILTERS = ["fileglob", "expanduser", "expandvars", "realpath", "relpath"]


@pytest.mark.parametrize("name", FILTERS)
def test_filters_that_read_the_machine_are_for_trusted_blueprints(tmp_path, name):
    template = tmp_path / "mine"
    template.mkdir()
    (template / "a.jinja").write_text(f"{{{{ '/etc/*' | {name} }}}}")
    with pytest.raises(ApplicationError, match=f"the filter '{name}' reads") as caught:
        render(template, tmp_path / "target", {}, nothing)
    assert caught.value.non_retryable
    assert "STEPWAY_TRUSTED_BLUEPRINTS" in caught.value.details[0]["remedy"]
    origin = Origin("mine", "mine", TemplateRules(trusted=["mine"]), "mine")
    render(template, tmp_path / "trusted", {}, nothing, origin)
    assert (tmp_path / "trusted" / "a").exists()


def test_other_filters_of_copier_are_for_all_templates(tmp_path):
    text = "{{ 'a/b' | basename }} {{ 'x' | to_uuid }} {{ {'a': 1} | to_nice_yaml }}"
    assert (rendered(tmp_path, a__jinja=text) / "a").read_text().startswith("b ")


def nothing() -> None:
    """Take no notice of heartbeats."""


def test_time_is_bounded_and_the_process_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "SECONDS", 3)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt.jinja").write_text(SLOW)
    limits: list[tuple[int, int]] = []

    def beat() -> None:
        limits.extend(process.rlimit(psutil.RLIMIT_CPU) for process in renderers())

    with pytest.raises(ApplicationError, match="was not rendered within 3 s"):
        render(tmp_path / "mine", tmp_path / "target", {}, beat)
    assert not renderers()
    # The system's limit must never be the first: it gives no reason.
    assert 3 < limits[-1][0] < 60


def renderers() -> list[psutil.Process]:
    mine = psutil.Process().children(recursive=True)
    return [process for process in mine if rendering._MODULE in " ".join(process.cmdline())]


def test_a_slow_template_holds_up_no_other_and_heartbeats(tmp_path):
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "a.jinja").write_text(SLOW)
    (tmp_path / "other").mkdir()
    stop = threading.Event()
    beats: list[float] = []

    def beat() -> None:
        beats.append(time.monotonic())
        if stop.is_set():
            raise InterruptedError

    def slow() -> None:
        with pytest.raises(InterruptedError):
            render(tmp_path / "slow", tmp_path / "one", {}, beat)

    thread = threading.Thread(target=slow)
    thread.start()
    render(tmp_path / "other", tmp_path / "two", {}, lambda: None)
    assert thread.is_alive()
    while len(beats) < 2:
        time.sleep(0.1)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize("name", ["Upper", "two words", "größe", "a/b", "inner"])
def test_a_template_is_any_folder_beside_the_blueprints(tmp_path, name):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "inner").symlink_to("a")
    (tmp_path / name).mkdir(exist_ok=True)
    assert find_template([tmp_path], name) == (tmp_path / name).resolve()
