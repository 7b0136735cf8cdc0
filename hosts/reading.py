"""What a host answers may be JSON of another form than its API has: that is an error, too."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

from stepway.hosts.client import HostClient
from stepway.hosts.errors import HostError, Reason

log = logging.getLogger(__name__)

_OF_ANOTHER_FORM = (LookupError, TypeError, AttributeError, ValueError)

C = TypeVar("C", bound=type[HostClient])


@contextmanager
def reading(url: str) -> Iterator[None]:
    """Turn what Python raises for data of another form into a HostError of the host at `url`."""
    try:
        yield
    except _OF_ANOTHER_FORM as error:
        host = urlsplit(url).netloc
        log.warning("%s answered in an unknown form", host, exc_info=True)
        raise HostError(
            Reason.NOT_JSON,
            f"{host} answered in another form than its API has",
            remedy="Check the credential's URL and kind, and the proxy of the worker.",
        ) from error


def reads_answers(client: C) -> C:
    """Let all methods of a client, inherited ones too, raise only HostError for such answers."""
    for name in dir(client):
        method = getattr(client, name)
        if inspect.iscoroutinefunction(method) and not name.startswith("__"):
            setattr(client, name, _checked(method))
    return client


def _checked(method: Any) -> Any:
    @functools.wraps(method)
    async def checked(self: HostClient, *arguments: Any, **named: Any) -> Any:
        with reading(self.access.url):
            return await method(self, *arguments, **named)

    return checked
