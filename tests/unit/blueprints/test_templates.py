"""What is wrong with a template is found when the blueprint is loaded, with file and line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from textwrap import indent

import pytest

from stepway.blueprints.errors import BlueprintError
from stepway.blueprints.git_template import (
    AddressInvalid,
    is_address,
    normalized_address,
    source_path,
    written_fields,
)
from stepway.blueprints.loader import load
from stepway.blueprints.models import Blueprint
from stepway.blueprints.planning import make_plan
from stepway.blueprints.template_rules import TemplateRules

HEAD = """\
name: service
parameters:
  type: object
  properties: {kind: {type: string}, url: {type: string}, version: {type: string}}
steps:
  - step: push
    uses: push_template
    with:
"""


def loaded(
    folder: Path, written: str, rules: TemplateRules | None = None, **files: str
) -> Blueprint:
    """Load a blueprint whose step has the arguments `written`, beside a template `mine`."""
    (folder / "mine").mkdir()
    for name, text in files.items():
        (folder / "mine" / name.replace("__", ".")).write_text(text)
    file = folder / "b.yaml"
    file.write_text(HEAD + indent(written, " " * 6))
    return load(file, None, [folder], rules)


def problem(folder: Path, written: str, rules: TemplateRules | None = None, **files: str) -> str:
    with pytest.raises(BlueprintError) as caught:
        loaded(folder, written, rules, **files)
    return str(caught.value).removeprefix(f"{folder}/")


QUESTIONS = """\
project_name: {type: str}
language: {type: str, choices: [python, go]}
license: MIT
extras: {type: str, multiselect: true, choices: {Docs: docs, Tests: tests}, default: []}
port: {type: int, when: "{{ language == 'go' }}"}
hidden: {type: str, when: false}
"""


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ("{language: go, licence: MIT}", "asks no question licence; did you mean license?"),
        ("{license: MIT}", "needs an answer to language, which has no default"),
        ("{language: rust}", "rust is no choice of language"),
        ("{language: go, extras: [docs, lint]}", "lint is no choice of extras"),
    ],
)
def test_answers_that_do_not_fit_are_named(tmp_path, variables, said):
    text = problem(tmp_path, f"template: mine\nvariables: {variables}\n", copier__yml=QUESTIONS)
    assert text.startswith("b.yaml:10: template 'mine': ")
    assert said in text


@pytest.mark.parametrize(
    "variables",
    [
        "{language: go, extras: [docs]}",
        "{language: '${{ parameters.kind }}', owner: me, port: 1}",
        "'${{ parameters.kind }}'",
    ],
)
def test_answers_that_may_fit_are_left_to_the_run(tmp_path, variables):
    assert loaded(tmp_path, f"template: mine\nvariables: {variables}\n", copier__yml=QUESTIONS)


def test_a_template_without_questions_takes_any_answers(tmp_path):
    written = "template: mine\nvariables: {anything: 1}\n"
    assert loaded(tmp_path, written, copier__yml="_exclude: [x]\n")


def test_answers_that_are_missing_altogether_are_named(tmp_path):
    text = problem(tmp_path, "template: mine\n", copier__yml=QUESTIONS)
    assert "needs an answer to language" in text


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            "_tasks: [make]\n",
            "_tasks in copier.yml runs programs: if you trust it, add service to ",
        ),
        (
            "_migrations: [{version: v1, command: make}]\n",
            "_migrations in copier.yml runs programs",
        ),
        ("_jinja_extensions: [jinja2_time.TimeExtension]\n", "jinja2_time.TimeExtension is not"),
        (
            "_jinja_extensions: [copier_templates_extensions.TemplateExtensionLoader]\n",
            "runs code of the template: if you trust it, add service to STEPWAY_TRUSTED_BLUEPRINTS",
        ),
        ("_jinja_extensions: [extensions/a.py:A]\n", "extensions/a.py:A runs code of the template"),
        ("_min_copier_version: '99'\n", "needs Copier 99; installed is"),
        ("_min_copier_version: many\n", "is no version: many"),
        ("a: [\n", "copier.yml:2: is not YAML"),
        ("a: !include /etc/passwd\n", "must be a relative path"),
        ("a: !include ../*.yaml\n", "copier.yml: "),
    ],
)
def test_what_a_template_may_not_do_is_said(tmp_path, config, said):
    text = problem(tmp_path, "template: mine\n", copier__yml=config)
    assert text.startswith("b.yaml:9: template 'mine': ")
    assert said in text


def test_an_operator_trusts_a_blueprint_or_lists_an_extension(tmp_path):
    everything = (
        "_tasks: [make]\n_migrations: [make]\n"
        "_jinja_extensions: [jinja2.ext.do, extensions/a.py:A, yaml.Loader]\n"
    )
    rules = TemplateRules(trusted=["service"])
    assert loaded(tmp_path, "template: mine\n", rules, copier__yml=everything)


def test_only_listed_extensions_that_are_installed_are_allowed(tmp_path):
    config = "_jinja_extensions: [jinja2.ext.do, yaml.Loader, not_there.Extension]\n"
    rules = TemplateRules(extensions=["yaml.Loader", "not_there.Extension"])
    text = problem(tmp_path, "template: mine\n", rules, copier__yml=config)
    assert "not_there.Extension is not installed" in text


GIT = "https://git.example.org/acme/tpl.git"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "template: {git: 'git.example.org/tpl'}\n",
            "b.yaml:9: 'git.example.org/tpl' is not a Git",
        ),
        ("template: {ref: v1}\n", "b.yaml:9: a template in Git needs `git`, its URL"),
        (
            f"template:\n  git: {GIT}\n  reff: v1\n",
            "b.yaml:11: unknown field reff; did you mean ref?",
        ),
        (
            f"template:\n  git: {GIT}\n  ref: --upload-pack=x\n",
            "b.yaml:11: '--upload-pack=x' is not",
        ),
        (f"template:\n  git: {GIT}\n  subfolder: ../x\n", "b.yaml:11: '../x' is not the name"),
        (f"template:\n  git: {GIT}?a=b\n", "b.yaml:10: "),
        ("template:\n  git: https://me:secret@h/x\n", "b.yaml:10: the URL holds a secret"),
        ("template: file:///srv/tpl\n", "STEPWAY_TEMPLATE_SOURCES must list file URLs"),
        ("template: http://h/tpl.git\n", "STEPWAY_TEMPLATE_SOURCES must list http URLs"),
        (
            "template:\n  git: https://h/${{ parameters.kind }}\n",
            "b.yaml:10: holds a reference, so STEPWAY_TEMPLATE_SOURCES must list",
        ),
    ],
)
def test_a_git_template_that_cannot_be_is_named(tmp_path, written, said):
    assert said in problem(tmp_path, written)


def test_a_source_that_is_not_listed_is_refused(tmp_path):
    rules = TemplateRules(sources=["https://git.example.org/acme", "ssh://git@h/"])
    assert loaded(tmp_path, f"template: {GIT}\n", rules)
    text = rules.source_problem("https://git.example.org/acme2/x", is_written=True)
    assert "does not list https://git.example.org/acme2/x" in text
    assert rules.source_problem("https://git.example.org.evil/acme", is_written=True)
    assert not rules.source_problem("ssh://git@h/x", is_written=False)


@pytest.mark.parametrize("named", ["../answers.yml", "/srv/answers.yml", "a/../../b"])
def test_an_answers_file_outside_of_the_project_is_refused(tmp_path, named):
    text = problem(tmp_path, "template: mine\n", copier__yml=f"_answers_file: {named}\n")
    assert f"_answers_file in copier.yml leads out of the project: {named}" in text


def test_a_trusted_blueprint_writes_out_what_it_trusts(tmp_path):
    rules = TemplateRules(sources=["https://git.example.org/"], trusted=["service"])
    written = f"template:\n  git: {GIT}\n  ref: ${{{{ parameters.version }}}}\n"
    text = problem(tmp_path, written, rules)
    assert text.startswith("b.yaml:11: must be written out in a blueprint of STEPWAY_TRUSTED")


@pytest.mark.parametrize(
    ("written", "line"),
    [
        (f"template:\n  git: {GIT}\n  subfolder: ${{{{ parameters.kind }}}}\n", 11),
        ("template: ${{ parameters.kind }}\n", 9),
        ("template: mine-${{ parameters.kind }}\n", 9),
    ],
    ids=["subfolder", "folder", "part of a folder's name"],
)
def test_a_trusted_blueprint_writes_out_its_folders(tmp_path, written, line):
    rules = TemplateRules(sources=["https://git.example.org/"], trusted=["service"])
    (tmp_path / "trusted").mkdir()
    (tmp_path / "other").mkdir()
    text = problem(tmp_path / "trusted", written, rules)
    assert text.startswith(f"b.yaml:{line}: must be written out in a blueprint of STEPWAY_TRUSTED")
    assert loaded(tmp_path / "other", written, replace(rules, trusted=["another"]))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (GIT, GIT),
        ("git@h.org:acme/tpl.git", "ssh://git@h.org/acme/tpl.git"),
        ("git+ssh://git@h.org/acme/tpl", "ssh://git@h.org/acme/tpl"),
        ("ssh://git@h.org:2222/~me/tpl", "ssh://git@h.org:2222/~me/tpl"),
        ("file:///srv/tpl", "file:///srv/tpl"),
    ],
)
def test_addresses_of_all_forms_are_taken(url, address):
    assert normalized_address(url) == address


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://h",
            "https:///x",
            "ftp://h/x",
            "ext::sh -c x",
            "https://h/a/../b",
            "https://h/%2e%2e/b",
        ),
        *("https://h/x#y", "https://h:port/x", "https://h/x y", "file://h/x", "https://h\\@g/x"),
    ],
)
def test_other_texts_are_no_address(url):
    with pytest.raises(AddressInvalid):
        normalized_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "ssh://-V@h/a",
        "ssh://-oProxyCommand=touch%20x@h/a",
        "ssh://%2doProxyCommand=x@h/a",
        "SSH://git@-V/a",
        "git+ssh://-V@h/a",
        "-V@h:a",
        "git@-oProxyCommand:a",
        "ssh://git@h/-a",
        "ssh://git@h/%2da",
        "ssh://git@h/a%0ab",
        "ssh://g%00it@h/a",
    ],
)
def test_addresses_that_ssh_could_take_for_options_are_refused(url):
    with pytest.raises(AddressInvalid):
        normalized_address(url)


def test_names_of_folders_are_no_addresses():
    assert not any(map(is_address, ["web-service", "a/b", "größe", "v1.0", "C:x"]))
    assert all(map(is_address, [GIT, "git@h:x", "ssh://h/x", "file:///x", "HTTPS://h/x"]))


def test_copier_finds_the_repository_by_its_source_path():
    assert source_path(GIT) == GIT
    assert source_path("https://git.example.org/acme/tpl") == "git+https://git.example.org/acme/tpl"
    assert source_path("git@h:acme/tpl") == "git@h:acme/tpl"


def test_the_plan_says_what_the_blueprint_itself_writes(tmp_path):
    rules = TemplateRules(sources=["https://git.example.org/"])
    written = f"template:\n  git: {GIT}\n  ref: ${{{{ parameters.version }}}}\n"
    blueprint = loaded(tmp_path, written, rules)
    project = {"id": "1", "name": "shop", "owner": "me"}
    (step,) = make_plan(blueprint, project, {"version": "v1"}).steps
    assert step.arguments["template"] == {"git": GIT, "ref": "v1"}
    assert step.arguments["template_written"] == ["git", "subfolder", "credential"]
    assert written_fields("mine") == ["folder"]
    assert written_fields("${{ parameters.kind }}") == []
    assert written_fields({"git": "${{ parameters.url }}"}) == ["ref", "subfolder", "credential"]
