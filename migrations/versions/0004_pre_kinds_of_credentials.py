"""Kinds of credentials, and where they are used.

A row without a kind is a plain secret, as versions before write it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004_pre"
down_revision = "0002_pre"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("credentials", sa.Column("kind", sa.Text(), nullable=True))
    op.add_column("credentials", sa.Column("url", sa.Text(), nullable=True))
    op.add_column("credentials", sa.Column("ca", sa.Text(), nullable=True))
    op.add_column("credentials", sa.Column("options", JSONB(), nullable=True))
