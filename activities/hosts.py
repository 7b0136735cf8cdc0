"""Opens the host of a credential for a step, and turns its errors into those of steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Protocol

from stepway.activities.project import ProjectRef
from stepway.hosts.access import HostKind
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.host import GitHost
from stepway_tracking.record.errors import step_error

LOCAL = HostKind.LOCAL.value
"""The name of the credential that stands for the local host."""

_USUAL_WAIT = 60.0
"""Seconds to wait for a rate limit whose end the host does not tell."""


class OpenHost(Protocol):
    """Opens the host of a named credential that the project may use. Raises step_error."""

    def __call__(
        self, credential: str, project: ProjectRef
    ) -> AbstractAsyncContextManager[GitHost]: ...


@contextmanager
def host_errors() -> Iterator[None]:
    """Turn a HostError into a step_error: one to wait for, to try again, or for a person."""
    try:
        yield
    except HostError as error:
        wait = error.retry_after
        if error.reason is Reason.RATE_LIMITED:
            wait = wait or _USUAL_WAIT
        raise step_error(
            error.message,
            remedy=error.remedy,
            retry=error.may_succeed_later,
            retry_after=wait,
            details=error.details,
        ) from error
