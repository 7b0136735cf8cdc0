"""Invalid arguments are final. All other errors stay as retryable as they were raised."""

from __future__ import annotations

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

from stepway.runtime.data_converter import data_converter
from stepway.vault.errors import KeyMissing
from stepway.vault.keyring import Keyring

NOT_DECODED = "Failed decoding arguments"
CONVERTERS = [data_converter(None), data_converter(Keyring({"k": b"1" * 32}))]


async def converted(converter: DataConverter, error: Exception) -> Failure:
    failure = Failure()
    await converter.encode_failure(error, failure)
    return failure


def caused(message: str, cause: Exception | None) -> ApplicationError:
    error = ApplicationError(message)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("converter", CONVERTERS, ids=["plain", "encrypted"])
async def test_arguments_that_do_not_fit_are_final(converter: DataConverter) -> None:
    failure = await converted(converter, caused(NOT_DECODED, TypeError("missing 'template'")))
    assert failure.application_failure_info.non_retryable
    decoded = await converter.decode_failure(failure)
    assert isinstance(decoded, ApplicationError) and decoded.message == NOT_DECODED


@pytest.mark.parametrize("converter", CONVERTERS, ids=["plain", "encrypted"])
@pytest.mark.parametrize(
    "error",
    [
        caused(NOT_DECODED, KeyMissing("the key 'k' is missing")),
        caused(NOT_DECODED, None),
        caused("Another error", TypeError("x")),
        ValueError(NOT_DECODED),
    ],
    ids=["key", "no cause", "other text", "other kind"],
)
async def test_other_errors_are_retryable(converter: DataConverter, error: Exception) -> None:
    failure = await converted(converter, error)
    assert not failure.application_failure_info.non_retryable
