"""Limits of bookings, set on an organization or a service."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    for table in ("organizations", "services"):
        limits = sa.Column("booking_limits", sa.JSON(), server_default="[]", nullable=False)
        op.add_column(table, limits)
