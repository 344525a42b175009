"""All servers on one database sign with the same keys."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("pem", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kid"),
    )
