"""What every route goes through before its body is read: sign-in, its rule, the project's owner."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from stepway.api.auth.policy import LOCAL, ROUTES, Person, Rule
from stepway.api.auth.refusals import Forbidden, Refusal, SignInAway
from stepway.runtime.scopes import Scope
from stepway_tracking.postgres import UNREACHABLE
from stepway_tracking.record.errors import ProjectUnknown

RECHECK = 20.0
"""Seconds between two looks at whether an open stream's right still stands."""

LONGEST_UNSURE = 45.0
"""Seconds that a stream goes on while nobody can say whether its right still stands."""

_STACK = re.compile(rb'"error_stack":\s*"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True)
class Admission:
    """Who was let in, whether internals of errors are kept from them, and how to ask again."""

    person: Person
    hides_internals: bool
    again: Callable[[], Awaitable[Admission]]

    def shown(self, body: bytes) -> bytes:
        """JSON as this person may see it."""
        return _STACK.sub(b'"error_stack": null', body) if self.hides_internals else body

    async def revoked(self) -> None:
        """Return when the right is gone, or was for too long not to be confirmed."""
        confirmed_at = time.monotonic()
        while time.monotonic() - confirmed_at < LONGEST_UNSURE:
            await asyncio.sleep(RECHECK * random.uniform(0.8, 1))
            try:
                now = await self.again()
            except (*UNREACHABLE, SignInAway):
                continue
            except (Refusal, ProjectUnknown):
                return
            if now.hides_internals != self.hides_internals:
                return
            confirmed_at = time.monotonic()


class Guarded(APIRoute):
    """A route that nobody passes without its rule in api/access.py."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's own handler behind the guard."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            admission = request.state.admission = await admit(request)
            response = await handle(request)
            response.headers.setdefault("Cache-Control", "no-store")
            if admission.hides_internals and _STACK.search(getattr(response, "body", b"")):
                response.body = admission.shown(bytes(response.body))
                response.headers["Content-Length"] = str(len(response.body))
            return response

        return guarded


def check_rules(routers: Iterable[APIRouter]) -> None:
    """Raise TypeError for a route that has no rule, or that is not guarded."""
    for router in routers:
        for route in router.routes:
            if not isinstance(route, Guarded):
                raise TypeError(f"{route} must belong to a router with route_class=Guarded")
            for method in route.methods or ():
                if (method, route.path) not in ROUTES:
                    raise TypeError(f"api/auth/policy.py has no rule for {method} {route.path}")


async def admit(request: Request) -> Admission:
    """Let the sender of a request in.

    Raises NotSignedIn, Forbidden, TooMany, SignInAway, and ProjectUnknown for a project that does
    not exist or that they may not see.
    """
    return await admit_by(request, ROUTES[request.method, request.scope["route"].path])


async def admit_by(request: Request, rule: Rule) -> Admission:
    """Let the sender in by this rule. Raises as `admit`."""
    person = await _person(request, rule)
    hides = not person.has(Scope.CONTROL)
    if rule.scope is not None and not person.has(rule.scope) and not rule.project:
        raise Forbidden(f"Your sign-in lacks the scope {rule.scope}.")
    if rule.project and rule.scope is not None and not person.admin:
        hides = await _look_at_project(request, person, rule.scope)
    return Admission(person, hides, lambda: admit_by(request, rule))


async def _person(request: Request, rule: Rule) -> Person:
    sign_in = request.app.state.resources.sign_in
    if rule.scope is not None:
        found: Person = await sign_in.person(request)
        return found
    return Person("") if sign_in.required else LOCAL


async def _look_at_project(request: Request, person: Person, scope: Scope) -> bool:
    """Whether internals are hidden. Raises ProjectUnknown, Forbidden."""
    given = request.app.state.resources
    if not person.has(Scope.READ):
        raise Forbidden(f"Your sign-in lacks the scope {Scope.READ}.")
    try:
        project_id = UUID(request.path_params["project_id"])
    except ValueError:
        return True  # The route itself says what is wrong with it.
    owner = await given.pool.fetchval("SELECT owner FROM projects WHERE id = $1", project_id)
    if owner is None or not given.rules.may(person, Scope.READ, owner):
        raise ProjectUnknown(f"Project {project_id} not found.")
    if not given.rules.may(person, scope, owner):
        raise Forbidden("You can view this project but not control it.")
    return not given.rules.may(person, Scope.CONTROL, owner)
