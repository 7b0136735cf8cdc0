"""Alembic's entry: runs on the connection that `migrations.upgrade` hands over."""

from alembic import context

import activities.models  # noqa: F401 - registers its tables
import tracking.access_models  # noqa: F401 - registers its tables
from tracking.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
