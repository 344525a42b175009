"""The database itself refuses to sell anybody or anything twice."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_POSTGRESQL = (
    "CREATE EXTENSION IF NOT EXISTS btree_gist",
    "ALTER TABLE allocations ADD CONSTRAINT allocations_do_not_overlap EXCLUDE USING gist "
    "(org_id WITH =, subject WITH =, int8range(busy_start, busy_end) WITH &&)",
)

# Allocations of one subject are disjoint, so the last that begins before the new one ends is
# the only one that can overlap it.
_SQLITE = (
    "CREATE TRIGGER allocations_do_not_overlap BEFORE INSERT ON allocations "
    "WHEN NEW.busy_start < ("
    "SELECT busy_end FROM allocations WHERE org_id = NEW.org_id AND subject = NEW.subject "
    "AND busy_start < NEW.busy_end ORDER BY busy_start DESC LIMIT 1) "
    "BEGIN SELECT RAISE(ABORT, 'allocations of one subject overlap'); END",
    "CREATE TRIGGER allocations_do_not_move "
    "BEFORE UPDATE OF org_id, subject, busy_start, busy_end ON allocations "
    "BEGIN SELECT RAISE(ABORT, 'an allocation moves by being made anew'); END",
)

_CONSTRAINTS = {"postgresql": _POSTGRESQL, "sqlite": _SQLITE}
"""Statements that make a database refuse two overlapping allocations of one subject."""


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
    for statement in _CONSTRAINTS[op.get_bind().dialect.name]:
        op.execute(statement)
