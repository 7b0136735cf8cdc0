"""Temporal's search attributes by which operators find initializations."""

from __future__ import annotations

from typing import Any

from temporalio.common import SearchAttributeKey

STATUS = SearchAttributeKey.for_keyword("StepwayStatus")
BLUEPRINT = SearchAttributeKey.for_keyword("StepwayBlueprint")
PROJECT = SearchAttributeKey.for_keyword("StepwayProject")
STEPS = SearchAttributeKey.for_keyword_list("StepwaySteps")
"""The steps that run or have failed."""

SEARCH_ATTRIBUTES: tuple[SearchAttributeKey[Any], ...] = (STATUS, BLUEPRINT, PROJECT, STEPS)
"""All that a namespace needs before an initialization can start in it."""
