"""Version 2 of the record's functions, beside those without a version."""

from alembic import op

from stepway_tracking.migrations.statements import run_statements

revision = "0003_pre"
down_revision = "0002_pre"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_statements(op.get_bind(), "record_v2.sql")
