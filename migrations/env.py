"""Alembic's entry: runs on the connection that `stepway.migrations.upgrade` hands over."""

from alembic import context

import stepway.activities.models
import stepway.api.auth.models
import stepway.vault.models  # noqa: F401 - registers its tables
from stepway_tracking.record.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
