"""What agents may do in an organization: nothing until it says so."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column(
        "organizations",
        sa.Column("mcp_access", sa.Text(), server_default="DISABLED", nullable=False),
    )
