"""The last date of an override of several dates."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("overrides", sa.Column("last_date", sa.Text(), server_default="", nullable=False))
