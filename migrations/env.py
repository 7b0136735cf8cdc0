"""Alembic's entry: runs on the connection that `migrations.upgrade` hands over."""

from alembic import context
from sqlalchemy import text

import tracking.access_models  # noqa: F401 - both register their tables
from tracking.models import Base

# Any fixed number: those who start at the same moment wait here for the first.
LOCK = 0x5745_5057

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_type=True,
)
with context.begin_transaction():
    context.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
    context.run_migrations()
