"""Indexes for the lists of one owner's projects."""

import sqlalchemy as sa
from alembic import op

revision = "0002_pre"
down_revision = "0001_pre"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "projects_newest_of_owner",
        "projects",
        ["owner", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
    )
    op.create_index(
        "projects_unfinished_of_owner",
        "projects",
        ["owner"],
        postgresql_where=sa.text("initialization_completed_at IS NULL"),
    )
