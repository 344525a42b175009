"""Time off that recurs: its rule, its time zone, and the times that come of it."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    for column in (
        sa.Column("recurrence", sa.Text(), server_default="", nullable=False),
        sa.Column("time_zone", sa.Text(), server_default="", nullable=False),
        sa.Column("occurrences", sa.JSON(), server_default="[]", nullable=False),
    ):
        op.add_column("time_off", column)
