"""Errors of hosts as errors of steps."""

from __future__ import annotations

import pytest
from temporalio.exceptions import ApplicationError

from stepway.activities.hosts import host_errors
from stepway.hosts.errors import HostError, Reason
from stepway_tracking.record.errors import RATE_LIMITED, STEP_FAILED


def step_error_of(reason: Reason, retry_after: float | None) -> ApplicationError:
    """Return the error of a step whose host asks to wait."""
    with pytest.raises(ApplicationError) as caught, host_errors():
        raise HostError(reason, "busy", retry_after=retry_after)
    return caught.value


def test_an_outage_whose_wait_has_passed_costs_an_attempt() -> None:
    error = step_error_of(Reason.SERVER_ERROR, 0.0)
    assert (error.type, error.next_retry_delay) == (STEP_FAILED, None)


@pytest.mark.parametrize("asked", [None, 0.0])
def test_a_limit_without_an_end_is_waited_for_a_minute(asked: float | None) -> None:
    error = step_error_of(Reason.RATE_LIMITED, asked)
    assert error.type == RATE_LIMITED
    assert error.next_retry_delay is not None
    assert error.next_retry_delay.total_seconds() == 60.0
