"""Drop version 2 of the record's functions, which Stepway 0.2 calls."""

from alembic import op

revision = "0006_post"
down_revision = "0004_post"
branch_labels = None
depends_on = None

FUNCTIONS = (
    "stepway_record_v2",
    "stepway_record_project_v2",
    "stepway_record_step_v2",
    "stepway_change_v2",
    "stepway_start_v2",
    "stepway_progress_v2",
    "stepway_part_v2",
    "stepway_reset_parts_v2",
    "stepway_end_parts_v2",
    "stepway_plan_v2",
    "stepway_emit_v2",
    "stepway_milliseconds_v2",
    "stepway_initialization_json_v2",
    "stepway_steps_json_v2",
    "stepway_step_json_v2",
    "stepway_project_json_v2",
    "stepway_passing_v2",
    "stepway_step_actions_v2",
)


def upgrade() -> None:
    for name in FUNCTIONS:
        op.execute(f"DROP FUNCTION {name}")
