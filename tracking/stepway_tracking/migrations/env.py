"""Alembic's entry point: runs on the connection of `stepway_tracking.migrations.apply`."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
)
with context.begin_transaction():
    context.run_migrations()
