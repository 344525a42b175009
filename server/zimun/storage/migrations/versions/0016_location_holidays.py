"""Which categories of holidays an organization keeps; a region and categories of locations."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def _categories() -> sa.Column[object]:
    return sa.Column("holiday_categories", sa.JSON(), server_default="[]", nullable=False)


def upgrade() -> None:
    op.add_column("organizations", _categories())
    op.add_column(
        "locations", sa.Column("holiday_region", sa.Text(), server_default="", nullable=False)
    )
    op.add_column("locations", _categories())
