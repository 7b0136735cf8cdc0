"""Drop the version table of the first history, which versions up to 0.1 read.

Only a table that `stepway migrate` has adopted is dropped: `alembic_version` may also belong to an
application that shares the database.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003_post"
down_revision = None
branch_labels = ("post",)
depends_on = None

ADOPTED = "Adopted by Stepway: `stepway migrate --post` drops it."


def upgrade() -> None:
    comment = "SELECT obj_description(to_regclass('alembic_version'), 'pg_class')"
    if op.get_bind().execute(sa.text(comment)).scalar() == ADOPTED:
        op.drop_table("alembic_version")
