"""The tables of the record, and its functions without a version."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from stepway_tracking.migrations.statements import run_statements

revision = "0001_pre"
down_revision = None
branch_labels = ("pre",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("blueprint", sa.Text(), nullable=False),
        sa.Column("parameters", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("status", sa.Text(), server_default="initializing", nullable=False),
        sa.Column("progress", sa.Integer(), server_default="0", nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("initialization_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("initialization_completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("initialization_error", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("points", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("points_total", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("fence", sa.DateTime(timezone=True), nullable=True),
        sa.Column("definition", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('initializing', 'active', 'failed', 'cancelled', 'archived')",
            name="projects_status_check",
        ),
        sa.CheckConstraint("progress BETWEEN 0 AND 100", name="projects_progress_check"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("owner", "name"),
    )
    op.create_index(
        "projects_newest",
        "projects",
        [sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "projects_newest_of_blueprint",
        "projects",
        ["blueprint", sa.literal_column("created_at DESC")],
        unique=False,
    )
    op.create_index(
        "projects_newest_of_status",
        "projects",
        ["status", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "projects_not_ended",
        "projects",
        ["updated_at"],
        unique=False,
        postgresql_where=sa.text("initialization_completed_at IS NULL"),
    )
    op.create_table(
        "project_initialization_events",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("payload", JSONB(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("change_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", "version"),
    )
    op.create_index(
        "project_initialization_events_change",
        "project_initialization_events",
        ["project_id", "change_id"],
        unique=True,
        postgresql_where=sa.text("change_id IS NOT NULL"),
    )
    op.create_table(
        "project_initialization_steps",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("progress", sa.Integer(), server_default="0", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("duration", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_stack", sa.Text(), nullable=True),
        sa.Column("metadata", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("parent_step", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("round", sa.Integer(), server_default="0", nullable=False),
        sa.Column("weight", sa.Integer(), server_default="1", nullable=False),
        sa.Column("optional", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("points", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("fence", sa.DateTime(timezone=True), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("activity_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'completed', 'failed', 'skipped')",
            name="project_initialization_steps_status_check",
        ),
        sa.CheckConstraint(
            "progress BETWEEN 0 AND 100", name="project_initialization_steps_progress_check"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project_id", "step"),
    )
    op.create_index(
        "project_initialization_steps_durations",
        "project_initialization_steps",
        ["completed_at"],
        unique=False,
        postgresql_include=["project_id", "step", "status", "duration"],
        postgresql_where=sa.text("parent_step IS NULL AND completed_at IS NOT NULL"),
    )
    op.create_table(
        "project_initialization_attempts",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("activity_id", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_stack", sa.Text(), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("result", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id", "step"],
            ["project_initialization_steps.project_id", "project_initialization_steps.step"],
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "step", "round", "attempt"),
    )
    op.create_index(
        "project_initialization_attempts_kept",
        "project_initialization_attempts",
        ["project_id", "step", "run_id", "activity_id"],
        unique=True,
        postgresql_where=sa.text("result IS NOT NULL"),
    )
    run_statements(op.get_bind(), "record_v1.sql")
