"""The error of a request whose input is invalid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus


class InputInvalid(Exception):
    """Invalid input. `errors` holds a dict with name, pointer and detail for each invalid part."""

    def __init__(
        self, status: HTTPStatus, detail: str, errors: Sequence[Mapping[str, str]] = ()
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.errors = [dict(error) for error in errors]
