"""Checks the arguments of steps when a worker decodes them; errors name the argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel
from temporalio.converter import (
    CompositePayloadConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
    JSONTypeConverter,
    PayloadConverter,
)

from stepway.blueprints.argument_types import converted, is_converted
from stepway.blueprints.arguments import input_types, resolved_problem
from stepway.vault.unresolved import UnresolvedPayloads


def step_payload_converter(steps: Mapping[str, Callable[..., Any]]) -> type[PayloadConverter]:
    """Return Temporal's payload converter, with a check of the inputs of these steps.

    Temporal's own conversion takes a text for a list, and its errors do not name the argument.
    """
    inputs = _StepInputs(frozenset(filter(None, input_types(steps).values())))

    class StepPayloadConverter(CompositePayloadConverter):
        def __init__(self) -> None:
            *others, _ = DefaultPayloadConverter.default_encoding_payload_converters
            json = JSONPlainPayloadConverter(custom_type_converters=[inputs])
            super().__init__(*others, json, UnresolvedPayloads())

    return StepPayloadConverter


class _StepInputs(JSONTypeConverter):
    def __init__(self, types: frozenset[type[Any]]) -> None:
        self._types = types

    def to_typed_value(self, hint: type[Any], value: Any) -> Any:
        """Convert a Pydantic model, and a date, a path and the like; leave the rest to Temporal.

        Raises TypeError.
        """
        if is_converted(hint, value):
            return converted(hint, value)
        if not isinstance(hint, type) or hint not in self._types or not isinstance(value, dict):
            return JSONTypeConverter.Unhandled
        if problem := resolved_problem(value, hint):
            raise TypeError(problem)
        return hint.model_validate(value) if issubclass(hint, BaseModel) else self.Unhandled
