"""Bring a database to the newest schema; safe to repeat and when several start at once."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

LOCK = 0x5745_5057
"""Any fixed number."""


def alembic_config() -> Config:
    """Alembic's configuration, without a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


async def upgrade_database(sqlalchemy_url: str) -> None:
    """Run every migration that the database has not seen."""
    engine = create_async_engine(sqlalchemy_url)
    try:
        async with engine.begin() as connection:
            # Those who start at the same moment wait here for the first, not inside Alembic, whose
            # context is one for the whole process.
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
