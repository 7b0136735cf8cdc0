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
        "project_initialization_attempts_troubled",
        "project_initialization_attempts",
        ["ended_at"],
        postgresql_where=sa.text("outcome NOT IN ('completed', 'skipped')"),
    )
    run_statements(op.get_bind(), "record_v3.sql")
