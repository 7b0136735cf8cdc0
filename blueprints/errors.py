"""What can be wrong with blueprints and with what people give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


class BlueprintError(Exception):
    """A blueprint that cannot be used; its text is one line, `FILE:LINE: reason`."""


class BlueprintUnknown(Exception):
    """No blueprint has that name; the text says which exist."""


@dataclass(frozen=True)
class ParameterError:
    """One thing wrong with the parameters.

    `name` is the parameter ("" when all of them together are wrong), `pointer` the JSON pointer
    (RFC 6901) of the place inside the parameters. For clients with texts of their own, `code` is
    the keyword of the JSON Schema that refused it, or `fixed`, and `expected` that keyword's value.
    """

    name: str
    pointer: str
    detail: str
    code: str = field(default="", compare=False)
    expected: str = field(default="", compare=False)


class ParametersInvalid(Exception):
    """Parameters that a blueprint refuses, with everything that is wrong with them."""

    def __init__(self, errors: Sequence[ParameterError]) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(f"{e.name or 'parameters'}: {e.detail}" for e in self.errors))
