"""The logs of attempts, in one partition a day, and the functions that add and drop partitions."""

import sqlalchemy as sa
from alembic import op

from stepway_tracking.migrations.statements import run_statements

revision = "0007_pre"
down_revision = "0005_pre"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "project_initialization_logs",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("activity_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("rollback", sa.Boolean(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lines", sa.Text(), nullable=False),
        sa.Column("ends", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project_id", "step", "run_id", "activity_id", "attempt", "first_seq", "at"
        ),
        postgresql_partition_by="RANGE (at)",
    )
    # Rows of days without a partition go to this one, so that no write fails.
    op.execute(
        "CREATE TABLE project_initialization_logs_default"
        " PARTITION OF project_initialization_logs DEFAULT"
    )
    # What is in a store of objects. `frames` are the parts of an object: first and last number of
    # their lines, start and length. `state` is `uploading`, `stored`, or `removed`: the project was
    # deleted, and the object will be.
    op.create_table(
        "project_initialization_logs_archived",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("activity_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("rollback", sa.Boolean(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("ends", sa.Boolean(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("frames", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project_id", "step", "run_id", "activity_id", "attempt", "first_seq"
        ),
    )
    op.create_index(
        "project_initialization_logs_archived_removed",
        "project_initialization_logs_archived",
        ["project_id"],
        postgresql_where=sa.text("state = 'removed'"),
    )
    run_statements(op.get_bind(), "logs_v1.sql")
    # No foreign key: adding and dropping partitions would lock the table of projects.
    op.execute(
        "CREATE TRIGGER projects_delete_logs AFTER DELETE ON projects"
        " FOR EACH ROW EXECUTE FUNCTION stepway_delete_logs_v1()"
    )
    op.execute("SELECT stepway_add_logs_partitions_v1()")
