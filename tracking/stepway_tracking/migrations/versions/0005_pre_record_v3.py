"""Version 3 of the record's functions, with the columns it writes, and an index of failures."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from stepway_tracking.migrations.statements import run_statements

revision = "0005_pre"
down_revision = "0003_pre"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("projects", "project_initialization_steps"):
        waited = sa.Column("waited", sa.BigInteger, nullable=False, server_default="0")
        op.add_column(table, waited)
    op.add_column("projects", sa.Column("waiting_since", sa.DateTime(timezone=True)))
    op.add_column("projects", sa.Column("rollback", JSONB))
    op.add_column("projects", sa.Column("cancel_requested_at", sa.DateTime(timezone=True)))
    op.add_column("project_initialization_attempts", sa.Column("error_details", JSONB))
    op.create_index(
        "project_initialization_attempts_not_completed",
        "project_initialization_attempts",
        ["ended_at"],
        postgresql_where=sa.text("outcome <> 'completed'"),
    )
    op.add_column("projects", sa.Column("task_queue", sa.Text))
    op.add_column("project_initialization_steps", sa.Column("queue", sa.Text))
    op.create_index(
        "project_initialization_steps_queued",
        "project_initialization_steps",
        ["queue"],
        postgresql_where=sa.text("queue IS NOT NULL AND status IN ('pending', 'running')"),
    )
    op.create_index(
        "project_initialization_steps_awaiting",
        "project_initialization_steps",
        ["project_id"],
        postgresql_where=sa.text("metadata ? 'waiting_for_worker'"),
    )
    run_statements(op.get_bind(), "record_v3.sql")
