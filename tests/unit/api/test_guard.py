"""The guard refuses a request that it cannot check; it does not leave that to the route."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from starlette.requests import Request

from stepway.api.auth.guard import admit_by
from stepway.api.auth.policy import Person, Rule, Rules
from stepway.api.input_invalid import InputInvalid
from stepway.runtime.scopes import Scope


class SignedIn:
    """A sign-in that knows everybody."""

    required = True

    async def person(self, request: Request) -> Person:
        return Person("alice", scopes=frozenset({Scope.READ, Scope.CONTROL}))


@pytest.mark.parametrize("scope", [Scope.READ, Scope.CONTROL])
@pytest.mark.parametrize("project_id", ["nonsense", "", "0" * 33, "\N{FULLWIDTH DIGIT ONE}" * 31])
async def test_an_id_that_is_no_uuid_is_refused(project_id: str, scope: Scope) -> None:
    resources = SimpleNamespace(sign_in=SignedIn(), rules=Rules())
    app = SimpleNamespace(state=SimpleNamespace(resources=resources))
    path = {"project_id": project_id}
    request = Request({"type": "http", "headers": [], "app": app, "path_params": path})
    with pytest.raises(InputInvalid, match="project_id: must be a UUID") as caught:
        await admit_by(request, Rule(scope, project=True))
    assert caught.value.status == 422
    assert caught.value.errors[0]["pointer"] == "/path/project_id"
