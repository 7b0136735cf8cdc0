"""Errors of blueprints and of their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


class BlueprintError(Exception):
    """A blueprint is invalid. The message is one line: `FILE:LINE: reason`."""


class BlueprintUnknown(Exception):
    """No blueprint has that name. The message lists similar or all names."""


@dataclass(frozen=True)
class ParameterError:
    """One error in the parameters.

    `name` is the parameter ("" if the error concerns all of them), `pointer` the JSON pointer (RFC
    6901) into the parameters. Clients can translate `code`, the JSON Schema keyword that failed or
    `fixed`, and `expected`, the keyword's value.
    """

    name: str
    pointer: str
    detail: str
    code: str = field(default="", compare=False)
    expected: str = field(default="", compare=False)


class ParametersInvalid(Exception):
    """The parameters do not match the blueprint; `errors` holds all errors."""

    def __init__(self, errors: Sequence[ParameterError]) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(f"{e.name or 'parameters'}: {e.detail}" for e in self.errors))
