"""Runs operators' commands on the database: the configured one or a running embedded one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from asyncpg.exceptions import PostgresError, UndefinedTableError

from stepway.cli.client.errors import ClientError
from stepway.embedded.running import running_database
from stepway.runtime.settings import Settings, load_settings
from stepway_tracking.postgres import UNREACHABLE
from stepway_tracking.record.errors import StepwayError

T = TypeVar("T")


def on_database(work: Callable[[Settings], Awaitable[T]]) -> T:
    """Call `work` with settings that have the database's URL; return its result.

    Raises ClientError if there is no database or `work` raises a StepwayError or ValueError.
    """
    settings = load_settings()
    url = settings.database_url or running_database(settings.data_dir)
    if not url:
        raise ClientError(
            "no database: set STEPWAY_DATABASE_URL, or set STEPWAY_DATA_DIR to the data folder of "
            f"a running `stepway up` ({settings.data_dir} is not one)"
        )
    try:
        return asyncio.run(_run(work, settings.model_copy(update={"database_url": url})))
    except UndefinedTableError as error:
        raise ClientError("the database is not up to date: run `stepway migrate`") from error
    except (*UNREACHABLE, PostgresError) as error:
        raise ClientError(f"cannot use the database: {type(error).__name__}") from error
    except (StepwayError, ValueError) as error:
        raise ClientError(str(error)) from error


async def _run(work: Callable[[Settings], Awaitable[T]], settings: Settings) -> T:
    return await work(settings)
