"""Each way a blueprint can be wrong is one line: file, line, reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stepway.blueprints.arguments import input_types
from stepway.blueprints.errors import BlueprintError
from stepway.blueprints.loader import load
from stepway.blueprints.models import Blueprint

HEAD = "name: service\n"
STEP = "steps:\n  - {step: a, uses: make}\n"


@dataclass
class MakeInput:
    project: dict[str, str]
    path: str
    mode: int = 0
    tags: list[str] = field(default_factory=list)


@dataclass
class UnmakeInput:
    project: dict[str, str]
    result: dict[str, Any]
    path: str


KNOWN = {"make": MakeInput, "unmake": UnmakeInput, "anything": None}


def loaded(folder: Path, text: str | bytes, known: Any = None) -> Blueprint:
    file = folder / "b.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(file, known)


def refusal(folder: Path, text: str | bytes, known: Any = None) -> str:
    with pytest.raises(BlueprintError) as caught:
        loaded(folder, text, known)
    error = str(caught.value)
    assert "\n" not in error
    return error.removeprefix(f"{folder / 'b.yaml'}:")


def test_whole_blueprint_is_read(tmp_path: Path) -> None:
    text = """\
name: web-service
title: {en: Web service, zh: 网络服务}
description: One text
time_limit: 3600
editable: [size]
parameters:
  type: object
  properties:
    size: {type: integer, default: 1}
steps:
  - step: make_it
    display_name: {en: Make it, zh: 制作}
    uses: make
    with:
      path: /x/${{ project.name }}
      mode: ${{ parameters.size }}
    weight: 3
    timeout: 30
    heartbeat: 2.5
    retry: {maximum_attempts: 5, initial_interval: 0.5}
    undo: {uses: unmake, with: {path: "${{ steps.make_it.result.path }}"}}
  - step: use_it
    uses: anything
    with: {made: "${{ steps.make_it.result }}"}
    needs: [make_it]
    optional: true
"""
    blueprint = loaded(tmp_path, text, KNOWN)
    make, use = blueprint.steps
    assert blueprint.title == {"en": "Web service", "zh": "网络服务"}
    assert blueprint.description == {"en": "One text"}
    assert make.retry.longest_interval == 50
    assert make.undo is not None and make.undo.uses == "unmake"
    assert (use.display_name, use.optional, use.weight) == ({"en": "Use it"}, True, 1)
    assert blueprint.parameters["additionalProperties"] is False


def test_without_needs_or_after_each_step_is_after_the_one_before_it(tmp_path: Path) -> None:
    steps = "steps:\n" + "".join(f"  - {{step: {name}, uses: make}}\n" for name in "abc")
    blueprint = loaded(tmp_path, HEAD + steps)
    assert [step.after for step in blueprint.steps] == [[], ["a"], ["b"]]
    assert not any(step.needs for step in blueprint.steps)


def test_one_empty_needs_is_enough_to_let_all_steps_start_at_once(tmp_path: Path) -> None:
    steps = "steps:\n  - {step: a, uses: make, needs: []}\n  - {step: b, uses: make}\n"
    assert [step.after for step in loaded(tmp_path, HEAD + steps).steps] == [[], []]


def test_anchors_may_be_used(tmp_path: Path) -> None:
    steps = """\
steps:
  - {step: a, uses: make, retry: &often {maximum_attempts: 9}}
  - {step: b, uses: make, retry: *often}
"""
    assert [s.retry.maximum_attempts for s in loaded(tmp_path, HEAD + steps).steps] == [9, 9]


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BlueprintError, match=r"none\.yaml:1: cannot be read: No such file"):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "    editable: [x]",
            "5: unknown field editable; editable belongs to the blueprint, not to a step",
        ),
        (
            "optional: true",
            "5: unknown field optional; optional belongs to a step, not to the blueprint",
        ),
        (
            "    retry: {timeout: 5}",
            "5: unknown field timeout; timeout belongs to a step, not to the `retry` of a step",
        ),
        (
            "    maximum_attempts: 5",
            "5: unknown field maximum_attempts; maximum_attempts belongs "
            "to the `retry` of a step, not to a step",
        ),
    ],
)
def test_a_field_in_a_wrong_place_is_told_its_place(
    tmp_path: Path, line: str, expected: str
) -> None:
    text = f"name: service\nsteps:\n  - step: a\n    uses: make\n{line}\n"
    assert refusal(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1: a blueprint must be a mapping with name, parameters and steps"),
        ("- a\n", "1: a blueprint must be a mapping with name, parameters and steps"),
        ("name: [a\nsteps: b\n", "2: is not YAML: while parsing a flow sequence, expected"),
        ("name: a\n---\nname: b\n", "2: is not YAML: expected a single document"),
        ("name: a\ntitle: \x07\n", "2: the character 0x7 is not allowed"),
        (b"name: a\ntitle: \xff\n", "2: is not UTF-8 text"),
        ("name: a\nname: b\n", "2: duplicate key name, first used on line 1"),
        (HEAD + "steps:\n  - step: a\n    uses: x\n    uses: y\n", "5: duplicate key uses"),
        (HEAD + "1: x\n", "2: the key 1 is not text; put it in quotes"),
        (HEAD + "title: 2024-01-01\n", "2: 2024-01-01 is not a JSON value; put it in quotes"),
        (HEAD + "time_limit: .nan\n", "2: .nan is not a JSON value"),
        (HEAD + "title: !!int x\n", "2: x is not a valid tag:yaml.org,2002:int"),
        (HEAD + "title: !thing x\n", "2: x is not a valid !thing"),
        (HEAD + "parameters: &a\n  x: *a\n", "2: is nested too deeply or refers to itself"),
        (HEAD + "parameters: {<<: {}}\n", "2: merge keys (<<) are not supported"),
    ],
)
def test_bad_yaml(tmp_path: Path, text: str | bytes, expected: str) -> None:
    assert refusal(tmp_path, text).startswith(expected)


def in_step(line: str) -> str:
    return f"{HEAD}steps:\n  - step: a\n    uses: make\n    {line}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD + "stepps: []\n" + STEP, "2: unknown field stepps; did you mean steps?"),
        (in_step("wieght: 2"), "5: unknown field wieght; did you mean weight?"),
        (in_step("retry: {attempts: 2}"), "5: unknown field attempts; did you mean maximum_attem"),
        (in_step("undo: {uses: x, whith: {}}"), "5: unknown field whith; did you mean with?"),
        (in_step("undo: {}"), "5: steps.a.undo: field uses is missing"),
        (STEP, "1: field name is missing"),
        (HEAD, "1: field steps is missing"),
        (HEAD + "steps: []\n", "2: steps: must not be empty"),
        (HEAD + "steps:\n  - uses: x\n", "3: steps.0: field step is missing"),
        ("name: Web Service\n" + STEP, "1: name: must match the pattern ^[a-z][a-z0-9-]*$"),
        (HEAD + "title: 5\n" + STEP, "2: title: must be text, or a mapping from language to text"),
        (HEAD + "title: {EN: x}\n" + STEP, "2: title.EN"),
        (HEAD + "steps:\n  - {step: a.b, uses: x}\n", "3: steps.a.b.step: must match the pattern"),
        (HEAD + "steps:\n  - {step: 1a, uses: x}\n", "3: steps.1a.step: must match the pattern"),
        (in_step("weight: -1"), "5: steps.a.weight: must be at least 0"),
        (in_step("weight: 1.5"), "5: steps.a.weight: must be a whole number"),
        (in_step('weight: "2"'), "5: steps.a.weight: must be a whole number"),
        (in_step("timeout: 0"), "5: steps.a.timeout: must be greater than 0"),
        (in_step("heartbeat: -2"), "5: steps.a.heartbeat: must be greater than 0"),
        (in_step("queue: East"), "5: steps.a.queue: must match the pattern"),
        (in_step("queue: waits"), "5: steps.a.queue: 'waits' is reserved; choose another name"),
        (in_step("queue: default"), "5: steps.a.queue: 'default' is reserved; choose another"),
        (in_step("optional: 1"), "5: steps.a.optional: must be true or false"),
        (in_step("needs: b"), "5: steps.a.needs: must be a list"),
        (in_step("retry: {backoff_coefficient: 0.5}"), "5: steps.a.retry.backoff_coefficient: "),
        (
            in_step("retry: {initial_interval: 9, maximum_interval: 3}"),
            "5: steps.a.retry: maximum_interval is shorter than initial_interval",
        ),
        (HEAD + "time_limit: 0\n" + STEP, "2: time_limit: must be greater than 0"),
    ],
)
def test_bad_fields(tmp_path: Path, text: str, expected: str) -> None:
    assert refusal(tmp_path, text).startswith(expected)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("timeout: 1.0e+15", "must be from 0.001 to 31536000 seconds (a year)"),
        ("timeout: 0.0001", "must be from 0.001 to 31536000 seconds (a year)"),
        ("heartbeat: 0.05", "must be from 0.1 to 31536000 seconds (a year)"),
        ("weight: 1000001", "must be at most 1,000,000"),
        ("retry: {initial_interval: 4.0e+7}", "must be from 0.001 to 31536000 seconds (a year)"),
        ("retry: {maximum_interval: 4.0e+7}", "must be from 0.001 to 31536000 seconds (a year)"),
        ("retry: {maximum_attempts: 2147483648}", "must be at most 1,000,000"),
        ("retry: {backoff_coefficient: 1.0e+9}", "must be at most 100"),
    ],
)
def test_number_out_of_bounds_is_refused(tmp_path: Path, line: str, expected: str) -> None:
    text = f"{HEAD}steps:\n  - step: a\n    uses: make\n    {line}\n"
    found = refusal(tmp_path, text)
    assert found.startswith("5:") and expected in found


def test_time_limit_and_number_of_steps_have_bounds(tmp_path: Path) -> None:
    assert refusal(tmp_path, f"{HEAD}time_limit: 1.0e+12\n{STEP}").startswith("2:")
    steps = "".join(f"  - {{step: s{number}, uses: make}}\n" for number in range(1001))
    assert "1001 steps; at most 1000 are allowed" in refusal(tmp_path, f"{HEAD}steps:\n{steps}")


def test_numbers_at_their_bounds_are_allowed(tmp_path: Path) -> None:
    retry = "{maximum_attempts: 1000000, initial_interval: 0.001, backoff_coefficient: 100}"
    text = (
        f"{HEAD}time_limit: 31536000\nsteps:\n  - step: a\n    uses: make\n"
        f"    timeout: 31536000\n    heartbeat: 0.1\n    weight: 1000000\n    retry: {retry}\n"
    )
    assert loaded(tmp_path, text).steps[0].timeout == 31_536_000


def test_first_wrong_line_is_told_when_there_are_several(tmp_path: Path) -> None:
    text = HEAD + "time_limit: 0\nsteps:\n  - {step: a, uses: x, weight: -1}\nodd: 1\n"
    assert refusal(tmp_path, text).startswith("2: ")


def steps(*lines: str) -> str:
    return HEAD + "steps:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (steps("step: a, uses: x", "step: a, uses: x"), "4: the step a is defined twice"),
        (
            steps("step: make, uses: x", "step: b, uses: x, needs: [maek]"),
            "4: unknown step maek; did you mean make?",
        ),
        (steps("step: a, uses: x, after: [zz]"), "3: unknown step zz; available: a"),
        (steps("step: a, uses: x, needs: [a]"), "3: steps depend on each other: a <- a"),
        (
            steps(
                "step: z, uses: x",
                "step: a, uses: x, needs: [c]",
                "step: b, uses: x, after: [a]",
                "step: c, uses: x, needs: [b]",
            ),
            "4: steps depend on each other: a <- b <- c <- a",
        ),
        (steps("step: a, uses: x, weight: 0"), "2: all weights are 0"),
        (HEAD + "editable: [siz]\nparameters: {properties: {size: {}}, type: object}\n" + STEP,
         "2: unknown parameter siz; did you mean size?"),
    ],
)  # fmt: skip
def test_bad_graph(tmp_path: Path, text: str, expected: str) -> None:
    assert refusal(tmp_path, text).startswith(expected)


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ("    needs: [b]\n    after: []\n", "5:"),
        ("    needs: []\n    after: [b]\n", "6:"),
    ],
)
def test_cycle_is_told_at_the_list_that_closes_it(
    tmp_path: Path, lists: str, expected: str
) -> None:
    text = f"{HEAD}steps:\n  - step: a\n    uses: x\n{lists}  - {{step: b, uses: x, needs: [a]}}\n"
    assert refusal(tmp_path, text) == f"{expected} steps depend on each other: a <- b <- a"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ("{type: objekt}", "3: is not valid JSON Schema: 'objekt' is not valid under any"),
        ("{type: array}", "3: parameters must be of type object"),
        ("{properties: {a: {type: text}}}", "3: is not valid JSON Schema: 'text' is not"),
        ("{properties: {a: {title: {zh: 5}}}}", "3: is not valid JSON Schema: 5 is not of type"),
        ("{properties: {a: {title: {}}}}", "3: is not valid JSON Schema: {} "),
        ("{properties: {a: {pattern: '('}}}", "3: is not valid JSON Schema: '(' is not a 'regex'"),
        ("{properties: {a: {$ref: 'http://x/y'}}}", "3: http://x/y is not in this schema"),
        ("{properties: {a: {$ref: '#/$defs/b'}}}", "3: #/$defs/b is not in this schema"),
        (
            "{properties: {a: {type: integer, default: x}}}",
            "3: the default of a is invalid: 'x' is not of type 'integer'",
        ),
    ],
)
def test_bad_schema(tmp_path: Path, schema: str, expected: str) -> None:
    text = f"{HEAD}parameters:\n  {schema}\n{STEP}"
    assert refusal(tmp_path, text).startswith(expected)


def test_titles_and_descriptions_may_be_by_language(tmp_path: Path) -> None:
    texts = "title: {en: Port, zh: 端口}, description: {en: To listen on, zh: 监听端口}"
    schema = f"{{properties: {{title: {{{texts}, items: {{title: {{zh: 项}}}}}}}}, type: object}}"
    parameters = loaded(tmp_path, f"{HEAD}parameters:\n  {schema}\n{STEP}").parameters
    assert parameters["properties"]["title"]["title"] == {"en": "Port", "zh": "端口"}


def test_reference_inside_the_schema_is_found(tmp_path: Path) -> None:
    schema = "{$defs: {b: {type: integer}}, properties: {a: {$ref: '#/$defs/b', default: 1}}}"
    assert loaded(tmp_path, f"{HEAD}parameters:\n  {schema}\n{STEP}").parameter_names == ["a"]


def with_value(value: str) -> str:
    return f"""{HEAD}parameters: {{type: object, properties: {{size: {{}}}}}}
steps:
  - {{step: early, uses: x}}
  - step: late
    uses: x
    needs: [early]
    with:
      list:
        - fine
        - {value}
  - {{step: beside, uses: x}}
"""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("${{ parameters.siz }}", "unknown parameter siz; did you mean size?"),
        ("${{ steps.erly.result.y }}", "unknown step erly; did you mean early?"),
        ("${{ steps.beside.result.y }}", "beside may still be running; add it to needs or"),
        ("${{ steps.late.result.y }}", "late may still be running"),
        ("${{ steps.early.status }}", "use parameters.NAME, project.NAME or steps.STEP.result"),
        ("${{ project.nam }}", "unknown project field nam; did you mean name?"),
        ("${{ environment.HOME }}", "use parameters.NAME, project.NAME or"),
    ],
)
def test_bad_reference(tmp_path: Path, value: str, expected: str) -> None:
    assert refusal(tmp_path, with_value(value)).startswith(f"11: {value}: {expected}")


def test_text_that_is_no_reference(tmp_path: Path) -> None:
    told = refusal(tmp_path, with_value("${{ a | upper }}"))
    assert told == "11: ${{ a | upper }} is not a reference"


def test_undo_runs_last_and_may_refer_to_any_step(tmp_path: Path) -> None:
    undo = "step: a, uses: x, undo: {{uses: u, with: {{x: '${{{{ steps.{0}.result.y }}}}'}}}}"
    for name in "ab":
        loaded(tmp_path, steps(undo.format(name), "step: b, uses: x"))
    told = refusal(tmp_path, steps(undo.format("c"), "step: b, uses: x"))
    assert told == "3: ${{ steps.c.result.y }}: unknown step c; available: a, b"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("uses: mak", "3: unknown step type mak; did you mean make?"),
        ("uses: make", "3: make: argument path is missing"),
        (
            "uses: make, with: {path: p, tag: t}",
            "3: make: unknown argument tag; did you mean tags?",
        ),
        ("uses: make, with: {path: p, project: x}", "3: make: project is set by Stepway"),
        ("uses: anything, undo: {uses: unmake}", "3: unmake: argument path is missing"),
        ("uses: anything, undo: {uses: mak}", "3: unknown step type mak; did you mean make?"),
        (
            "uses: anything, undo: {uses: unmake, with: {path: p, result: {}}}",
            "3: unmake: result is set by Stepway; remove it",
        ),
    ],
)
def test_bad_arguments(tmp_path: Path, line: str, expected: str) -> None:
    assert refusal(tmp_path, steps(f"step: a, {line}"), KNOWN).startswith(expected)


def test_undo_without_arguments_takes_those_of_its_step_that_it_knows(tmp_path: Path) -> None:
    line = "step: a, uses: make, with: {path: p, mode: 1}, undo: {uses: unmake}"
    assert loaded(tmp_path, steps(line), KNOWN).steps[0].undo is not None


class Steps:
    def make(self, given: MakeInput) -> None:
        raise NotImplementedError

    async def plain(self, given: dict[str, str]) -> None:
        raise NotImplementedError


def test_input_types_come_from_the_activities_signatures() -> None:
    activities: dict[str, Any] = {"make": Steps().make, "plain": Steps().plain}
    assert input_types(activities) == {"make": MakeInput, "plain": None}


@pytest.mark.parametrize("credential", ["", "  credential: local\n"])
def test_a_feature_that_the_local_host_lacks_is_refused(tmp_path: Path, credential: str) -> None:
    text = f"{HEAD}steps:\n- step: a\n  uses: protect_branch\n  with:\n    approvals: 1\n"
    text += f"  {credential}" if credential else ""
    assert refusal(tmp_path, text) == (
        "5: protect_branch: the local host has no protected branches; "
        "name the credential of another host"
    )


def test_a_deploy_key_on_the_local_host_is_refused(tmp_path: Path) -> None:
    text = f"""{HEAD}steps:
- step: a
  uses: setup_gitops
  with:
    url: /srv/a.git
    cluster: {{credential: cluster, deploy_key: {{credential: local}}}}
"""
    assert refusal(tmp_path, text).endswith(
        "setup_gitops: the local host has no deploy keys; name the credential of another host"
    )


@pytest.mark.parametrize("given", ["protected: pull_request", "mode: import"])
def test_a_pull_request_on_the_local_host_is_refused(tmp_path: Path, given: str) -> None:
    text = f"{HEAD}steps:\n- step: a\n  uses: push_template\n  with:\n    {given}\n"
    assert refusal(tmp_path, text) == (
        "6: push_template: the local host has no pull or merge requests; "
        "name the credential of another host"
    )


def test_a_protection_that_may_be_skipped_is_taken_for_the_local_host(tmp_path: Path) -> None:
    assert loaded(
        tmp_path, f"{HEAD}steps: [{{step: a, uses: protect_branch, with: {{unsupported: skip}}}}]\n"
    )


@pytest.mark.parametrize("credential", ["work", "${{ parameters.credential }}"])
def test_a_feature_of_another_host_is_taken_at_load(tmp_path: Path, credential: str) -> None:
    parameters = "parameters: {type: object, properties: {credential: {type: string}}}\n"
    step = f"- step: a\n  uses: protect_branch\n  with: {{credential: '{credential}'}}\n"
    assert loaded(tmp_path, f"{HEAD}{parameters}steps:\n{step}")
