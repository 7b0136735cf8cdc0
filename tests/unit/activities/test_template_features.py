"""Templates with Copier's features render byte for byte as Copier itself renders them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from copier import run_copy
from temporalio.exceptions import ApplicationError

from stepway.activities.templates.fetch import Version
from stepway.activities.templates.rendering import Origin, render
from stepway.blueprints.template_rules import TemplateRules
from tests.support.gitserver import git_server

Content = str | bytes | tuple[str, str]
ANSWERS_FILE = "{{ _copier_conf.answers_file }}.jinja"
REMEMBERED = (
    "# Changes here will be overwritten by Copier; NEVER EDIT MANUALLY\n"
    "{{ _copier_answers|to_nice_yaml -}}\n"
)

TEMPLATES: dict[str, tuple[dict[str, Content], dict[str, Any]]] = {
    "a computed subdirectory": (
        {
            "copier.yml": '_subdirectory: "{{ kind }}"\nkind: {type: str, default: lib}\n',
            "lib/a.txt.jinja": "{{ kind }}\n",
            "app/b.txt": "no",
        },
        {},
    ),
    "exclude with patterns, negation and conditions": (
        {
            "copier.yml": (
                "_exclude: [copier.yml, '*.bak', '!keep.bak', "
                '"{% if not docs %}docs{% endif %}"]\ndocs: false\n'
            ),
            "a.bak": "1",
            "keep.bak": "2",
            "docs/index.md": "3",
            "src/x.bak": "4",
        },
        {},
    ),
    "skip_if_exists": (
        {"copier.yml": "_skip_if_exists: [a.txt]\n", "a.txt": "1", "{{ 'a' }}.txt.jinja": "2"},
        {},
    ),
    "envops": (
        {
            "copier.yml": (
                "_envops: {variable_start_string: '[[', variable_end_string: ']]', "
                "block_start_string: '[%', block_end_string: '%]', trim_blocks: true, "
                "keep_trailing_newline: false}\nname: {type: str, default: '[[ 1 + 1 ]]'}\n"
            ),
            "[[ name ]].txt.jinja": "[% if name %]\n[[ name ]] {{ kept }}\n[% endif %]\n",
        },
        {},
    ),
    "an empty suffix": (
        {
            "copier.yml": "_templates_suffix: ''\nname: x\n",
            "a.txt": "{{ name }}",
            "binary": b"\xff\x00{{ name }}",
        },
        {},
    ),
    "a suffix of its own": (
        {"copier.yml": "_templates_suffix: .tmpl\n", "a.txt.tmpl": "{{ 1 }}", "b.jinja": "{{ 1 }}"},
        {},
    ),
    "extensions of Jinja": (
        {
            "copier.yml": "_jinja_extensions: [jinja2.ext.do, jinja2.ext.loopcontrols]\n",
            "a.jinja": "{% set l = [] %}{% do l.append(1) %}{% for x in [1, 2] %}{% break %}"
            "{% endfor %}{{ l }}",
        },
        {},
    ),
    "conditional, computed and repeated names": (
        {
            "copier.yml": "package: {type: str, default: shop_api}\nci: true\nmods: {type: yaml}\n",
            "src/{{ package }}/__init__.py.jinja": "'''{{ package | upper }}'''\n",
            "{% if ci %}.ci{% endif %}/run.sh": ("x", "#!/bin/sh\n"),
            "{% if not ci %}none{% endif %}/a": "no",
            "{% yield m from mods %}{{ m.name }}{% endyield %}/{{ m.name }}.txt.jinja": "{{ m }}",
        },
        {"mods": [{"name": "one"}, {"name": "größe"}]},
    ),
    "choices, several answers, conditions and computed answers": (
        {
            "copier.yml": (
                "extras: {type: str, multiselect: true, choices: {Docs: docs, CI: ci}, "
                "default: [docs]}\n"
                "license: {type: str, choices: [MIT, BSD], default: MIT}\n"
                "port: {type: int, default: 80, when: \"{{ 'ci' in extras }}\", "
                "validator: '{% if port > 99 %}too high{% endif %}'}\n"
                "slug: {type: str, default: '{{ name | lower }}-{{ license }}', when: false}\n"
                "ratio: {type: float, default: 0.5}\nnothing: null\n"
            ),
            "a.jinja": "{{ extras }} {{ license }} {{ port }} {{ slug }} {{ ratio }} {{ nothing }}",
            ANSWERS_FILE: REMEMBERED,
        },
        {"name": "Shop", "extras": ["docs", "ci"], "license": "BSD"},
    ),
    "secrets, which no file remembers": (
        {
            "copier.yml": "_secret_questions: [token]\ntoken: {type: str, default: ''}\n"
            "other: {type: str, secret: true, default: y}\nplain: z\n",
            "used.jinja": "{{ token }} {{ other }}",
            ANSWERS_FILE: REMEMBERED,
        },
        {"token": "t0ken"},
    ),
    "an answers file of its own, and data of others": (
        {
            "copier.yml": "_answers_file: .answers.mine.yml\n_external_data: {mine: data.yml}\n",
            "data.yml": "a: 1\n",
            ANSWERS_FILE: REMEMBERED,
        },
        {},
    ),
    "links that are kept": (
        {
            "copier.yml": "_preserve_symlinks: true\nto: {type: str, default: a.txt}\n",
            "a.txt": "1",
            "same": ("link", "a.txt"),
            "computed.jinja": ("link", "{{ to }}"),
            "folder": ("link", "sub"),
            "sub/b": "2",
        },
        {},
    ),
    "links that are followed": ({"a.txt": "1", "same": ("link", "a.txt")}, {}),
    "parts that are included, questions in several files": (
        {
            "copier.yml": "!include shared/*.yml\n---\n_exclude: [shared, '*.inc']\nb: 2\n",
            "shared/one.yml": "a: 1\n_exclude: [copier.yml]\n",
            "macros.inc": "{% macro f(x) %}<{{ x }}>{% endmacro %}",
            "c.txt.jinja": "{% from 'macros.inc' import f %}{{ f(a) }}{{ f(b) }}",
        },
        {},
    ),
    "the name of the folder, and filters": (
        {
            "copier.yml": "name: {type: str, default: '{{ _folder_name }}'}\n",
            "a.jinja": "{{ name }} {{ [1] | to_json }} {{ 'x' | b64encode }} "
            "{{ pathjoin('a', 'b') }} {{ _copier_conf.sep }} {{ 'abc' | regex_search('b') }}",
        },
        {},
    ),
    "no copier.yml": ({"a.txt.jinja": "{{ x }}\r\n", "run": ("x", "#!/bin/sh\n")}, {"x": "é"}),
}


def write(folder: Path, files: dict[str, Content]) -> Path:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        match content:
            case ("link", target):
                file.symlink_to(target)
            case ("x", text):
                file.write_text(text)
                file.chmod(0o755)
            case bytes():
                file.write_bytes(content)
            case _:
                file.write_text(str(content))
    return folder


def tree(folder: Path) -> dict[str, Any]:
    """Every file and link: its content, and whether it can be run."""
    return {
        str(path.relative_to(folder)): (
            str(path.readlink())
            if path.is_symlink()
            else (path.read_bytes(), path.stat().st_mode & 0o111)
        )
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_renders_as_copier_does(tmp_path, name):
    files, answers = TEMPLATES[name]
    template = write(tmp_path / "template", files)
    (tmp_path / "ours").mkdir()
    ours, theirs = tmp_path / "ours" / "shop", tmp_path / "theirs" / "shop"
    ours.mkdir()
    render(template, ours, answers, lambda: None, Origin("mine", "mine"))
    run_copy(str(template), theirs, data=answers, defaults=True, quiet=True, unsafe=True)
    expected = tree(theirs)
    assert expected
    # The one difference: a project must not tell the server's folders.
    for file, found in expected.items():
        if "answers" in file:
            text = found[0].decode().replace(f"_src_path: {template}\n", "_src_path: mine\n")
            expected[file] = (text.encode(), found[1])
    assert tree(ours) == expected


def test_no_file_tells_the_servers_folders(tmp_path):
    files = {"copier.yml": "a: 1\n", ANSWERS_FILE: REMEMBERED}
    template = write(tmp_path / "secret-place" / "mine", files)
    (tmp_path / "made").mkdir()
    render(template, tmp_path / "made", {}, lambda: None)
    text = (tmp_path / "made" / ".copier-answers.yml").read_text()
    assert yaml.safe_load(text) == {"_src_path": "mine", "a": 1}
    assert "secret-place" not in text


# Templates from Git


COMMIT = "1" * 40
GIT = Origin("tpl@v1", "https://h/tpl.git", version=Version(COMMIT, "v1"), ref="v1")


def from_git(
    folder: Path, files: dict[str, Content], answers: dict[str, Any] | None = None
) -> Path:
    template = write(folder / "template", files)
    (folder / "made").mkdir()
    render(template, folder / "made", answers or {}, lambda: None, GIT)
    return folder / "made"


def refusal(folder: Path, files: dict[str, Content], answers: dict[str, Any] | None = None) -> str:
    with pytest.raises(ApplicationError) as caught:
        from_git(folder, files, answers)
    assert caught.value.non_retryable
    return f"{caught.value.message} {caught.value.details[0]['remedy']}"


@pytest.mark.parametrize("own", [True, False], ids=["by the template", "by us"])
def test_the_answers_file_has_source_version_and_answers(tmp_path, own):
    files: dict[str, Content] = {
        "copier.yml": "license: MIT\nport: {type: int, default: 1}\n"
        "token: {type: str, secret: true, default: ''}\nx: {type: str, when: false, default: y}\n"
    }
    if own:
        files[ANSWERS_FILE] = REMEMBERED
    made = from_git(tmp_path, files, {"license": "BSD", "token": "t0ken", "owner": "me"})
    assert (made / ".copier-answers.yml").read_text() == (
        "# Changes here will be overwritten by Copier; NEVER EDIT MANUALLY\n"
        "_commit: v1\n_src_path: https://h/tpl.git\nlicense: BSD\nport: 1\n"
    )


def test_templates_see_the_ref_and_the_commit(tmp_path):
    text = "{{ _copier_conf.vcs_ref }} {{ _copier_conf.vcs_ref_hash }}"
    made = from_git(tmp_path, {"copier.yml": "a: 1\n", "a.txt.jinja": text})
    assert (made / "a.txt").read_text() == f"v1 {COMMIT}"


def test_copier_updates_the_project_later(tmp_path, monkeypatch):
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "ada@example.org")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COPIER_CACHE_DIR", str(tmp_path / "copier"))
    with git_server() as server:
        made = server.add("tpl.git", tmp_path / "git")
        files = {
            "copier.yml": "license: MIT\n",
            "a.txt.jinja": "one {{ license }}\n",
            "b.txt": "b\n",
        }
        commit = made.write(files, tag="v1")
        template = write(tmp_path / "template", files)
        project = tmp_path / "project"
        project.mkdir()
        origin = Origin("tpl", made.url, version=Version(commit, "v1"), ref="v1")
        render(template, project, {"license": "BSD"}, lambda: None, origin)
        (project / "b.txt").write_text("b, changed by a person\n")

        def git(*arguments: str) -> None:
            subprocess.run(["git", *arguments], cwd=project, check=True, capture_output=True)

        git("init", "-b", "main")
        git("add", ".")
        git("commit", "-m", "Start")
        made.write({"a.txt.jinja": "two {{ license }}\n"}, tag="v2")
        code = (
            "from copier import run_update; run_update(defaults=True, overwrite=True, quiet=True)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=project, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert (project / "a.txt").read_text() == "two BSD\n"
    assert (project / "b.txt").read_text() == "b, changed by a person\n"


def test_answers_that_do_not_fit_are_said_as_when_a_blueprint_is_loaded(tmp_path):
    text = refusal(tmp_path, {"copier.yml": "license: MIT\n"}, {"licence": "BSD"})
    assert "'tpl@v1': the template asks no question licence; did you mean license?" in text
    assert f"keeps the template's commit {COMMIT[:10]}" in text


def test_a_repository_without_a_template_is_said(tmp_path):
    files: dict[str, Content] = {"README.md": "x", "templates/api/copier.yml": "a: 1\n"}
    text = refusal(tmp_path, files)
    assert "there is no copier.yml; name one of its folders as `subfolder`: templates/api" in text


def test_a_template_for_cookiecutter_is_said(tmp_path):
    text = refusal(tmp_path, {"cookiecutter.json": "{}", "{{cookiecutter.name}}/a": ""})
    assert "it is a template for Cookiecutter" in text


def test_a_submodule_that_would_be_rendered_is_refused(tmp_path):
    (tmp_path / "template" / "vendor" / "lib").mkdir(parents=True)
    text = refusal(tmp_path, {"copier.yml": "_exclude: [copier.yml]\n"})
    assert "vendor/lib is a Git submodule, which is not fetched" in text


def test_a_submodule_that_is_not_rendered_is_no_problem(tmp_path):
    (tmp_path / "template" / "vendor" / "lib").mkdir(parents=True)
    made = from_git(tmp_path, {"copier.yml": "_exclude: [vendor, copier.yml]\n", "a": "1"})
    assert (made / "a").read_text() == "1"


@pytest.mark.parametrize(
    ("files", "part"),
    [
        ({"copier.yml": "_subdirectory: ../..\n"}, ".."),
        ({"copier.yml": "_preserve_symlinks: false\n", "a": ("link", "/etc/passwd")}, "a"),
        ({"copier.yml": "a: 1\n", "a.jinja": "{% include '../../../etc/passwd' %}"}, "passwd"),
        (
            {"copier.yml": "a: 1\n", "b": ("link", "/etc"), "a.jinja": "{% include 'b/passwd' %}"},
            "b",
        ),
        (
            {
                "copier.yml": "_external_data: {x: /etc/passwd}\n",
                "a.jinja": "{{ _external_data.x }}",
            },
            "",
        ),
        ({"copier.yml": "a: 1\n", "a.jinja": "{{ ''.__class__.__mro__ }}"}, "unsafe"),
        ({"copier.yml": "a: 1\n", "{{ '../x' }}.jinja": "1"}, "x"),
    ],
)
def test_a_template_reaches_nothing_outside_of_itself(tmp_path, files, part):
    text = refusal(tmp_path, files)
    assert part in text
    assert "root:" not in text
    made = [path for path in (tmp_path / "made").rglob("*") if path.is_file()]
    assert not [path for path in made if b"root:" in path.read_bytes()]


@pytest.mark.parametrize(
    "named",
    ["../outside/new.yml", "{outside}/new.yml", "{{{{ '/'.join(['..', 'outside', 'new.yml']) }}}}"],
    ids=["dots", "absolute", "computed"],
)
def test_the_answers_file_is_not_written_outside_of_the_project(tmp_path, named):
    outside = tmp_path / "outside"
    outside.mkdir()
    named = named.format(outside=outside)
    text = refusal(tmp_path, {"copier.yml": f'_answers_file: "{named}"\na: 1\n'})
    assert "_answers_file in copier.yml leads out of the project" in text
    assert not list(outside.iterdir())


@pytest.mark.parametrize("link", ["folder", "file"])
def test_the_answers_file_is_not_written_through_a_link(tmp_path, link):
    outside = tmp_path / "outside"
    outside.mkdir()
    place = outside if link == "folder" else outside / "new.yml"
    named = "d/new.yml" if link == "folder" else "d"
    # The link is computed, so that it leads nowhere before it is rendered.
    files: dict[str, Content] = {
        "copier.yml": f"_preserve_symlinks: true\n_answers_file: {named}\nto: {place}\n",
        "d.jinja": ("link", "{{ to }}"),
    }
    text = refusal(tmp_path, files)
    assert f"_answers_file in copier.yml leads out of the project: {named}" in text
    assert not list(outside.iterdir())


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "followed"])
def test_a_link_out_of_the_template_is_refused_also_where_nothing_is_copied(tmp_path, keep):
    secret = tmp_path / "secret.txt"
    secret.write_text("root: of the worker")
    files: dict[str, Content] = {
        "copier.yml": f"_subdirectory: sub\n_preserve_symlinks: {keep}\na: 1\n",
        "parts/link.inc": ("link", "../../secret.txt"),
        "sub/a.txt.jinja": "{% include 'parts/link.inc' %}",
    }
    text = refusal(tmp_path, files)
    assert "parts/link.inc is a link that leads out of the template" in text
    assert not list((tmp_path / "made").iterdir())


def test_a_copier_yml_that_is_a_link_to_another_file_is_not_read(tmp_path):
    (tmp_path / "secret.yml").write_text("[root: x")
    text = refusal(tmp_path, {"copier.yml": ("link", "../secret.yml"), "a": "1"})
    assert "copier.yml is a link that leads out of the template" in text
    assert "root" not in text


def test_a_trusted_template_keeps_links_that_lead_out_of_it(tmp_path):
    files: dict[str, Content] = {
        "copier.yml": "_preserve_symlinks: true\na: 1\n",
        "zone": ("link", "/usr/share/zoneinfo"),
    }
    template = write(tmp_path / "template", files)
    made = tmp_path / "made"
    made.mkdir()
    trusted = Origin("mine", "mine", TemplateRules(trusted=["service"]), "service")
    render(template, made, {}, lambda: None, trusted)
    assert (made / "zone").readlink() == Path("/usr/share/zoneinfo")


def test_copier_itself_includes_no_file_from_outside_of_the_template(tmp_path):
    """Versions before 9.18 do; of a trusted template, Stepway does not check the links."""
    (tmp_path / "secret.txt").write_text("root: of the worker")
    files: dict[str, Content] = {
        "copier.yml": "_subdirectory: sub\na: 1\n",
        "parts/link.inc": ("link", "../../secret.txt"),
        "sub/a.txt.jinja": "{% include 'parts/link.inc' %}",
    }
    template = write(tmp_path / "template", files)
    made = tmp_path / "made"
    made.mkdir()
    trusted = Origin("mine", "mine", TemplateRules(trusted=["service"]), "service")
    with pytest.raises(ApplicationError, match="outside the template"):
        render(template, made, {}, lambda: None, trusted)
    assert not (made / "a.txt").exists()


def test_a_bomb_of_references_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("stepway.activities.templates.rendering.MEMORY", 512 << 20)
    monkeypatch.setattr("stepway.activities.templates.rendering.SECONDS", 20)
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    lines.append("z: {type: yaml, default: '{{ i | to_json }}'}")
    with pytest.raises(ApplicationError):
        from_git(tmp_path, {"copier.yml": "\n".join(lines)})


# Programs and code of templates

TASKS = (
    "name: x\n_tasks:\n  - 'echo {{ name }} > made-by-task'\n"
    "  - command: [git, init, --quiet]\n  - {command: 'false', when: '{{ name == 1 }}'}\n"
    "_jinja_extensions: [copier_code:Mine]\n_migrations: [make]\n"
)


def test_programs_run_only_for_a_trusted_blueprint(tmp_path):
    files: dict[str, Content] = {"copier.yml": TASKS.replace("[copier_code:Mine]", "[]")}
    template = write(tmp_path / "template", files)
    made = tmp_path / "made"
    made.mkdir()
    origin = Origin("mine", "mine", TemplateRules(trusted=["other"]), "service")
    with pytest.raises(ApplicationError) as caught:
        render(template, made, {}, lambda: None, origin)
    assert "add service to STEPWAY_TRUSTED_BLUEPRINTS" in caught.value.message
    assert "STEPWAY_TRUSTED_BLUEPRINTS" in caught.value.details[0]["remedy"]
    assert not list(made.iterdir())
    trusted = Origin("mine", "mine", TemplateRules(trusted=["service"]), "service")
    render(template, made, {"name": "shop"}, lambda: None, trusted)
    assert (made / "made-by-task").read_text() == "shop\n"
    assert not (made / ".git").exists()


def test_a_program_that_fails_is_said_with_its_output(tmp_path):
    template = write(
        tmp_path / "template", {"copier.yml": "_tasks: ['echo no such thing >&2; exit 3']\n"}
    )
    (tmp_path / "made").mkdir()
    origin = Origin("mine", "mine", TemplateRules(trusted=["service"]), "service")
    with pytest.raises(ApplicationError, match=r"exit 3.*status 3.*no such thing"):
        render(template, tmp_path / "made", {}, lambda: None, origin)


def test_an_extension_that_is_not_listed_is_refused_when_it_is_used(tmp_path):
    template = write(tmp_path / "template", {"copier.yml": "_jinja_extensions: [yaml.Loader]\n"})
    with pytest.raises(ApplicationError) as caught:
        render(template, tmp_path / "made", {}, lambda: None)
    assert "yaml.Loader is not allowed: add it to STEPWAY_TEMPLATE_EXTENSIONS" in (
        caught.value.message
    )
