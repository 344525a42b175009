"""The database itself refuses to sell anybody or anything twice."""

import sqlalchemy as sa
from alembic import op

from zimun.storage.dialect import walls

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("seats_taken", sa.Integer(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.CheckConstraint("seats_taken <= capacity", name="sessions_are_not_oversold"),
        sa.PrimaryKeyConstraint("org_id", "session_id"),
    )
    for statement in walls(op.get_bind().dialect.name):
        op.execute(statement)
