"""The authorization policy: names of owners, scopes, and the rules of a deployment."""

from __future__ import annotations

import pytest

from stepway.api.auth.policy import EVERYONE, LOCAL, OWNER, Person, Rule, Rules, owner_name
from stepway.runtime.api_settings import ApiSettings
from stepway.runtime.scopes import Scope

READ, CREATE, CONTROL, ADMIN = Scope


def person(name: str, *scopes: Scope, groups: tuple[str, ...] = ()) -> Person:
    return Person(name, frozenset(groups), frozenset(scopes))


def rules(readers: str = OWNER, controllers: str = OWNER) -> Rules:
    """Rules with readers and controllers that white space separates."""
    return Rules(frozenset(readers.split()), frozenset(controllers.split()))


ALICE = person("alice", READ, CREATE, CONTROL, groups=("shop",))
BOB = person("bob", READ, CREATE, CONTROL)
ROOT = person("root", ADMIN)


@pytest.mark.parametrize("name", ["a", "7", "alice.b+c@example-1.org", "a" * 100])
def test_name_of_an_owner_is_returned(name: str) -> None:
    assert owner_name(name) == name


@pytest.mark.parametrize("name", ["", ".a", "-a", "a..b", "a/b", "a b", "ä", "a\n", "a" * 101])
def test_name_that_is_no_name_of_an_owner_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a valid owner name"):
        owner_name(name)


def test_person_has_the_scopes_of_the_sign_in_and_an_admin_has_all() -> None:
    alice = person("alice", READ)
    assert [alice.has(scope) for scope in Scope] == [True, False, False, False]
    assert [ROOT.has(scope) for scope in Scope] == [True] * 4
    assert [LOCAL.has(scope) for scope in Scope] == [True] * 4
    assert (ROOT.admin, LOCAL.admin, alice.admin) == (True, True, False)
    assert ALICE.names == {"alice", "shop"}


@pytest.mark.parametrize(
    ("given", "who", "owner", "may"),
    [
        (rules(), ALICE, "alice", {READ, CREATE, CONTROL}),
        (rules(), ALICE, "shop", {READ, CREATE, CONTROL}),
        (rules(), ALICE, "bob", set()),
        (rules(), BOB, "shop", set()),
        (rules(), person("alice", CONTROL), "alice", {CONTROL}),
        (rules(), person("alice"), "alice", set()),
        (rules(), ROOT, "alice", {READ, CREATE, CONTROL, ADMIN}),
        (rules(readers=EVERYONE), BOB, "alice", {READ}),
        (rules(controllers=EVERYONE), BOB, "alice", {READ, CONTROL}),
        (rules(readers="bob"), BOB, "alice", {READ}),
        (rules(controllers="bob"), BOB, "alice", {READ, CONTROL}),
        (rules(readers="shop"), ALICE, "bob", {READ}),
        (rules(readers="carol", controllers="carol"), ALICE, "alice", {CREATE}),
        (rules(readers="carol"), ALICE, "alice", {READ, CREATE, CONTROL}),
        (rules(), person("owner", READ), "alice", set()),
        (rules(readers=EVERYONE), person("bob", CONTROL), "alice", set()),
        (rules(readers="carol"), person("everyone", READ), "alice", set()),
    ],
)
def test_what_a_person_may_do_with_a_project(
    given: Rules, who: Person, owner: str, may: set[Scope]
) -> None:
    assert {scope for scope in Scope if given.may(who, scope, owner)} == may


@pytest.mark.parametrize(
    ("given", "who", "owners"),
    [
        (rules(), ALICE, ["alice", "shop"]),
        (rules(), ROOT, None),
        (rules(readers=EVERYONE), BOB, None),
        (rules(controllers=EVERYONE), BOB, None),
        (rules(readers="bob"), BOB, None),
        (rules(readers="bob", controllers="bob"), ALICE, []),
        (rules(readers="bob"), ALICE, ["alice", "shop"]),
        (rules(controllers="bob"), ALICE, ["alice", "shop"]),
    ],
)
def test_projects_that_a_person_may_read_are_those_of_these_owners(
    given: Rules, who: Person, owners: list[str] | None
) -> None:
    assert given.visible(who) == owners


def test_rules_are_those_of_the_settings() -> None:
    settings = ApiSettings(readers=["owner", "bob"], controllers=["carol"])
    assert Rules.of(settings) == rules("owner bob", "carol")


def test_rule_is_about_no_project_unless_it_says_so() -> None:
    assert not Rule(READ).project
