"""Weekly hours of services, and weekly hours that are valid from a date on."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column(
        "services", sa.Column("weekly_hours", sa.JSON(), server_default="{}", nullable=False)
    )
    for table in ("organizations", "locations", "staff", "services"):
        periods = sa.Column("weekly_hours_periods", sa.JSON(), server_default="[]", nullable=False)
        op.add_column(table, periods)
