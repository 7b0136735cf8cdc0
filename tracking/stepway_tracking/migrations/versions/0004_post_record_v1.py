"""Drop the record's functions without a version, which versions up to 0.1 call."""

from alembic import op

revision = "0004_post"
down_revision = None
branch_labels = ("post",)
depends_on = None

FUNCTIONS = (
    "stepway_record",
    "stepway_record_project",
    "stepway_record_step",
    "stepway_change",
    "stepway_start",
    "stepway_passing",
    "stepway_progress",
    "stepway_part",
    "stepway_reset_parts",
    "stepway_end_parts",
    "stepway_plan",
    "stepway_emit",
    "stepway_milliseconds",
    "stepway_initialization_json",
    "stepway_steps_json",
    "stepway_step_json",
    "stepway_project_json",
)


def upgrade() -> None:
    for name in FUNCTIONS:
        op.execute(f"DROP FUNCTION {name}")
