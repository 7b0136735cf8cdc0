"""Names from users: none leads out of its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from temporalio.exceptions import ApplicationError

from stepway.activities.project import ProjectRef, manifests_path, repository_path
from stepway.api.auth.policy import NAME
from stepway.api.commands.parameters import plain
from stepway.api.routes.projects import CreateProject
from stepway.blueprints.parameters import MAX_DEPTH
from stepway.vault.keys import new_key, parse_keys

DATA = Path("/data")
ID = str(UUID(int=7))
TRICKY = [
    "..", "../x", "a/../b", "a//b", "/etc", "a\\b", "a b", ".git", "-rf", "x.git/../y", "a\0b",
    "ａlice", "аlice", "al\u200bice", "al\u0456ce", "a\nb", "x" * 300, "", "a%2e%2e", "~root",
    "$(id)", "`id`", "a;b", "CON\n", "\u202eevil", "name\n",
]  # fmt: skip


@given(st.one_of(st.sampled_from(TRICKY), st.text(), st.from_regex(r"[a-z0-9./_-]{1,60}")))
def test_project_name_is_refused_or_stays_in_its_folder(name: str) -> None:
    try:
        accepted = CreateProject(name=name).name
    except ValidationError:
        return
    assert accepted.isascii()
    assert 3 <= len(accepted) <= 40
    path = repository_path(DATA, ProjectRef(ID, accepted, "local"))
    assert path.resolve().parent == DATA / "repositories" / "local"


@given(st.one_of(st.sampled_from(TRICKY), st.text(), st.from_regex(r"[A-Za-z0-9./_@+-]{1,99}")))
def test_owner_is_refused_or_names_one_folder(owner: str) -> None:
    if not NAME.fullmatch(owner):
        with pytest.raises(ValidationError):
            CreateProject(name="shop", owner=owner)
        return
    project = ProjectRef(ID, "shop", owner)
    assert owner.isascii()
    assert repository_path(DATA, project).resolve().parent.parent == DATA / "repositories"
    assert len(Path(manifests_path(project)).parts) == 3


@pytest.mark.parametrize("name", TRICKY)
def test_tricky_name_is_refused_at_the_api_and_again_by_the_step(name: str) -> None:
    with pytest.raises(ValidationError):
        CreateProject(name=name)
    with pytest.raises(ApplicationError):
        repository_path(DATA, ProjectRef(ID, "shop", name))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters())),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(st.characters()), inner)),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters()), JSON))
def test_parameters_are_refused_or_fit_into_postgres(parameters: dict[str, Any]) -> None:
    try:
        plain(parameters)
    except ValueError:
        return
    text = repr(parameters)
    assert "\\x00" not in text
    assert "inf" not in text.replace("'", "") or not any(
        isinstance(value, float) and value in (float("inf"), float("-inf"))
        for value in parameters.values()
    )
    str(parameters).encode()


def test_parameters_may_be_deep_but_not_too_deep() -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH - 1):
        value = {"x": value}
    assert plain({"x": value})
    with pytest.raises(ValueError, match="deeper"):
        plain({"x": {"x": value}})


@given(st.text(max_size=80))
def test_keys_are_refused_with_a_text_that_holds_none(text: str) -> None:
    try:
        parse_keys(text)
    except ValueError as error:
        if len(secret := text.partition(":")[2]) > 12:
            assert secret not in str(error)


def test_keys_are_read_in_their_order() -> None:
    keys = parse_keys(f"{new_key('b')},{new_key('a')}\n{new_key('c')}")
    assert list(keys) == ["b", "a", "c"]
    assert {len(key) for key in keys.values()} == {32}
