"""Version 3 of the record's functions, beside those of version 2."""

from alembic import op

from stepway_tracking.migrations.statements import run_statements

revision = "0005_pre"
down_revision = "0003_pre"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_statements(op.get_bind(), "record_v3.sql")
