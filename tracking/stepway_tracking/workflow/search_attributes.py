"""Search attributes that operators use to find initializations in Temporal."""

from __future__ import annotations

from typing import Any

from temporalio.common import SearchAttributeKey

STATUS = SearchAttributeKey.for_keyword("StepwayStatus")
BLUEPRINT = SearchAttributeKey.for_keyword("StepwayBlueprint")
PROJECT = SearchAttributeKey.for_keyword("StepwayProject")
STEPS = SearchAttributeKey.for_keyword_list("StepwaySteps")
"""Names of the running and failed steps."""

SEARCH_ATTRIBUTES: tuple[SearchAttributeKey[Any], ...] = (STATUS, BLUEPRINT, PROJECT, STEPS)
"""All search attributes; a namespace must have them before an initialization can start."""
