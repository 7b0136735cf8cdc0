"""The host for tests finds what does not fit the official document."""

from __future__ import annotations

import pytest

from tests.support.githost.answers import Answer, Request, matched
from tests.support.githost.faults import Faults
from tests.support.githost.shapes import Shapes, load_shapes

JSON = {"content-type": "application/json"}


@pytest.fixture
def shapes() -> Shapes:
    """The checks of GitHub's document."""
    found = load_shapes("github.json", r"GET /unchecked")
    if found is None:
        pytest.skip("no shared test data (STEPWAY_TESTDATA)")
    return found


def asked(method: str, path: str, body: bytes = b"") -> Request:
    return Request(method, path, {}, JSON, body)


@pytest.mark.parametrize(
    ("request_", "answer", "found"),
    [
        (asked("PUT", "/repos/a/b/topics", b'{"names": ["x"]}'), Answer(200, {"names": []}), ""),
        (asked("PUT", "/repos/a/b/topics", b'{"names": "x"}'), Answer(200, {"names": []}), "names"),
        (asked("PUT", "/repos/a/b/topics", b"{}"), Answer(200, {"names": []}), "names"),
        (asked("PUT", "/repos/a/b/topics", b'{"names": []}'), Answer(200, {}), "names"),
        (asked("GET", "/repos/a/b/topics"), Answer(203, {"names": []}), "203"),
        (asked("GET", "/repos/a/b/topics"), Answer(404, {"message": "Not Found"}), ""),
        (asked("GET", "/nothing"), Answer(200, {}), "Path not found"),
        (asked("GET", "/unchecked"), Answer(200, {}), ""),
        (asked("GET", "/repos/a/b/git/ref/heads/a/b"), Answer(404, {}), ""),
    ],
)
def test_what_does_not_fit_is_noted(
    shapes: Shapes, request_: Request, answer: Answer, found: str
) -> None:
    shapes.check(request_, answer)
    assert (found in "".join(shapes.violations)) if found else not shapes.violations


def test_an_object_is_filled_with_samples(shapes: Shapes) -> None:
    filled = shapes.filled("full-repository", {"name": "shop", "owner": {"login": "acme"}})
    assert (filled["name"], filled["owner"]["login"]) == ("shop", "acme")
    assert filled["owner"]["type"] == ""
    assert "network_count" in filled


def test_a_route_decodes_its_segments() -> None:
    assert matched("GET /p/{id}/x", "GET", "/p/a%2Fb/x") == {"id": "a/b"}
    assert matched("GET /p/{rest*}", "GET", "/p/a/b%20c") == {"rest": "a/b c"}
    assert matched("* /p", "PUT", "/p") == {}
    assert matched("GET /p/{id}", "PUT", "/p/1") is None
    assert matched("GET /p/{id}", "GET", "/p/1/2") is None


def test_a_fault_happens_as_often_as_asked() -> None:
    faults = Faults()
    fault = faults.add("GET /a", times=2, skip=1)
    met = [faults.meet("GET /a") is fault for _ in range(4)]
    assert met == [False, True, True, False]
    assert faults.meet("PUT /a") is None
