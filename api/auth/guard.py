"""Checks every request before its body is read: sign-in, the route's rule, the project's owner."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from stepway.api.auth.policy import LOCAL, ROUTES, Person, Rule
from stepway.api.auth.refusals import Forbidden, Refusal, SignInUnavailable
from stepway.api.input_invalid import InputInvalid
from stepway.runtime.scopes import Scope
from stepway.vault.sealing import hide_seals
from stepway_tracking.postgres import UNREACHABLE
from stepway_tracking.record.errors import ProjectUnknown

RECHECK = 20.0
"""Seconds between two checks of an open stream's permission."""

MAX_UNCONFIRMED = 45.0
"""Seconds that a stream stays open while its permission cannot be checked."""

# Bodies and events are JSON text that all clients share, and parsing it again for each client would
# be expensive. The match is exact: quotes in JSON strings are escaped, so this text occurs only as
# a key and its value.
_STACK = re.compile(rb'"error_stack":\s*"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True)
class Admission:
    """The permission of one request: `hides_stacks` if the person may not see error stacks.

    `recheck` evaluates the permission again; it raises as `admit`.
    """

    person: Person
    hides_stacks: bool
    recheck: Callable[[], Awaitable[Admission]]

    def visible(self, body: bytes) -> bytes:
        """Return the JSON text as this person may see it: without error stacks, if those are
        hidden, and without sealed secrets.
        """
        body = hide_seals(body)
        return _STACK.sub(b'"error_stack": null', body) if self.hides_stacks else body

    async def until_revoked(self) -> None:
        """Return when the permission was revoked or changed, or could not be checked for
        MAX_UNCONFIRMED seconds.
        """
        confirmed_at = time.monotonic()
        while time.monotonic() - confirmed_at < MAX_UNCONFIRMED:
            await asyncio.sleep(RECHECK * random.uniform(0.8, 1))
            try:
                now = await self.recheck()
            except (*UNREACHABLE, SignInUnavailable):
                continue
            except (Refusal, ProjectUnknown):
                return
            if now.hides_stacks != self.hides_stacks:
                return
            confirmed_at = time.monotonic()


class Guarded(APIRoute):
    """A route that checks its rule in `policy.ROUTES` before it handles a request."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the route's handler in the check."""
        handle = super().get_route_handler()

        known = _query_parameters(self.dependant)

        async def guarded(request: Request) -> Response:
            admission = request.state.admission = await admit(request)
            refuse_unknown(request.query_params, known)
            response = await handle(request)
            response.headers.setdefault("Cache-Control", "no-store")
            body = bytes(getattr(response, "body", b""))
            if (visible := admission.visible(body)) != body:
                response.body = visible
                response.headers["Content-Length"] = str(len(visible))
            return response

        return guarded


def refuse_unknown(given: Iterable[str], known: Sequence[str]) -> None:
    """Raise InputInvalid (422) if `given` names a query parameter that the route does not know."""
    unknown = [name for name in given if name not in known]
    if not unknown:
        return
    available = f"available: {', '.join(known)}" if known else "this path takes none"
    errors = []
    for name in unknown:
        meant = get_close_matches(name, known, n=1)
        hint = f"did you mean {meant[0]}? " if meant else ""
        part = name.replace("~", "~0").replace("/", "~1")
        detail = f"unknown query parameter; {hint}{available}"
        errors.append({"name": name, "pointer": f"/query/{part}", "detail": detail})
    first = errors[0]
    detail = f"{first['name']}: {first['detail']}"
    raise InputInvalid(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors)


def _query_parameters(dependant: Dependant) -> list[str]:
    inner = [name for each in dependant.dependencies for name in _query_parameters(each)]
    return [*(field.alias for field in dependant.query_params), *inner]


def check_rules(routers: Iterable[APIRouter]) -> None:
    """Raise TypeError for a route without a rule or of another class than Guarded."""
    for router in routers:
        for route in router.routes:
            if not isinstance(route, Guarded):
                raise TypeError(f"{route} must belong to a router with route_class=Guarded")
            for method in route.methods or ():
                if (method, route.path) not in ROUTES:
                    raise TypeError(f"api/auth/policy.py has no rule for {method} {route.path}")


async def admit(request: Request) -> Admission:
    """Check the request against its route's rule.

    Raises NotSignedIn, Forbidden, TooMany, SignInUnavailable, and ProjectUnknown if the project
    does not exist or the caller may not read it.
    """
    return await admit_by(request, ROUTES[request.method, request.scope["route"].path])


async def admit_by(request: Request, rule: Rule) -> Admission:
    """Check the request against this rule. Raises as `admit`."""
    person = await _person(request, rule)
    hides = not person.has(Scope.CONTROL)
    if rule.scope is not None and not person.has(rule.scope) and not rule.project:
        raise Forbidden(f"Your sign-in lacks the scope {rule.scope}.")
    if rule.project and rule.scope is not None and not person.admin:
        hides = await _check_project(request, person, rule.scope)
    return Admission(person, hides, lambda: admit_by(request, rule))


async def _person(request: Request, rule: Rule) -> Person:
    sign_in = request.app.state.resources.sign_in
    if rule.scope is not None:
        found: Person = await sign_in.person(request)
        return found
    return Person("") if sign_in.required else LOCAL


async def _check_project(request: Request, person: Person, scope: Scope) -> bool:
    """Return whether error stacks are hidden. Raises ProjectUnknown, Forbidden."""
    given = request.app.state.resources
    if not person.has(Scope.READ):
        raise Forbidden(f"Your sign-in lacks the scope {Scope.READ}.")
    try:
        project_id = UUID(request.path_params["project_id"])
    except ValueError as error:
        text = "must be a UUID"
        wrong = {"name": "project_id", "pointer": "/path/project_id", "detail": text}
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        raise InputInvalid(status, f"project_id: {text}", [wrong]) from error
    owner = await given.pool.fetchval("SELECT owner FROM projects WHERE id = $1", project_id)
    if owner is None or not given.rules.may(person, Scope.READ, owner):
        raise ProjectUnknown(f"Project {project_id} not found.")
    if not given.rules.may(person, scope, owner):
        raise Forbidden("You can view this project but not control it.")
    return not given.rules.may(person, Scope.CONTROL, owner)
