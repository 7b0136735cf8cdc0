"""Keeps the details of a step's heartbeats small and encodable, so that Temporal accepts them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from temporalio.converter import PayloadConverter

from stepway_tracking.worker.encodable import encoded_size

log = logging.getLogger(__name__)

LARGEST_DETAILS = 1_000_000
"""Bytes of the encoded details of a heartbeat. With more than 2 MB, Temporal ends the attempt."""


class HeartbeatDetails:
    """Checks the heartbeats of one attempt; warns once."""

    def __init__(self, step: str, converter: PayloadConverter) -> None:
        self._step = step
        self._converter = converter
        self._warned = False

    def accepted(self, details: Sequence[Any]) -> Sequence[Any]:
        """The same details, or none if they are too large or cannot be encoded."""
        size = encoded_size(details, self._converter) if details else 0
        if size is not None and size <= LARGEST_DETAILS:
            return details
        if not self._warned:
            self._warned = True
            problem = (
                "cannot be encoded"
                if size is None
                else f"have {size:,} bytes; at most {LARGEST_DETAILS:,} fit"
            )
            log.warning(
                "Step %s sent a heartbeat whose details %s. It is sent without details.",
                self._step,
                problem,
            )
        return ()
