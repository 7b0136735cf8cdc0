"""The SQLAlchemy engine for all tables except the record, which has its own pool."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from stepway_tracking.postgres import STATEMENT_TIMEOUT


def open_engine(sqlalchemy_url: str) -> AsyncEngine:
    """An engine for a `postgresql+asyncpg://` URL; it connects when it is first used."""
    return create_async_engine(
        sqlalchemy_url,
        pool_pre_ping=True,
        connect_args={
            "timeout": 10,
            "command_timeout": STATEMENT_TIMEOUT,
            "server_settings": {"timezone": "UTC", "application_name": "stepway"},
        },
    )
