"""Temporal's failure converter, with final errors for arguments that an activity cannot take."""

from __future__ import annotations

from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import ApplicationError

from stepway_tracking.record.errors import StepwayError
from stepway_tracking.record.facts import ARGUMENTS_NOT_DECODED


class FinalArgumentErrors(DefaultFailureConverter):
    """Marks invalid arguments as not retryable: every attempt would get the same arguments.

    A StepwayError, such as a missing encryption key, can be repaired, so it stays retryable.
    """

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """Convert the exception."""
        super().to_failure(exception, payload_converter, failure)
        if _are_invalid_arguments(exception):
            failure.application_failure_info.non_retryable = True


class EncodedFinalArgumentErrors(FinalArgumentErrors):
    """The same, with messages and stacks as payloads, which a codec can encrypt."""

    def __init__(self) -> None:
        super().__init__(encode_common_attributes=True)


def _are_invalid_arguments(exception: BaseException) -> bool:
    if not isinstance(exception, ApplicationError) or exception.message != ARGUMENTS_NOT_DECODED:
        return False
    return not isinstance(exception.__cause__, StepwayError | None)
