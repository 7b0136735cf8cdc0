"""Each test has a tier, by its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiers import PLACES, TESTS, TIERS, files_in, named, places_of, tier_for, tier_of


def test_every_test_file_has_a_tier() -> None:
    found = {tier_of(file) for file in files_in(TESTS)}
    assert found == set(TIERS)


def test_every_place_is_there() -> None:
    assert all((TESTS / place).exists() for place in PLACES)


def test_a_folder_without_a_tier_is_refused_by_name() -> None:
    with pytest.raises(LookupError, match=r"tests/new/test_x\.py has no tier"):
        tier_of(TESTS / "new" / "test_x.py")


@pytest.mark.parametrize(
    ("arguments", "tier"),
    [
        (["tests/unit/test_imports.py"], "unit"),
        (["tests/unit", "-q"], "unit"),
        (["tests/replay", "tests/unit/cli"], "unit"),
        (["tests/unit/test_imports.py", "tests/security/test_codec.py::test_x"], "servers"),
        (["tests/acceptance"], "servers"),
        (["tests/faults/test_ablations.py"], "servers"),
        (["tests/faults"], "browser"),
        (["-k", "retry"], "browser"),
        ([], "browser"),
    ],
)
def test_arguments_need_the_highest_tier_among_their_files(
    arguments: list[str], tier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(TESTS.parent)
    assert tier_for(arguments) == tier


def test_unit_is_found_without_looking_into_the_other_folders() -> None:
    assert places_of("unit") == [
        "tests/docs/test_layout.py",
        "tests/docs/test_navigation.py",
        "tests/fold/test_fold.py",
        "tests/mutants",
        "tests/replay",
        "tests/unit",
    ]
    assert named(["-x", "--durations=3", "nowhere/test_x.py"]) == list[Path]()


def test_unit_tests_ask_for_no_server(request: pytest.FixtureRequest) -> None:
    """The fixtures that start servers; a test that uses one belongs to another tier."""
    servers = {"servers", "pool", "temporal"}
    wrong = [
        item.nodeid
        for item in request.session.items
        if item.get_closest_marker("unit") and servers & set(getattr(item, "fixturenames", ()))
    ]
    assert not wrong, "\n".join(wrong)
