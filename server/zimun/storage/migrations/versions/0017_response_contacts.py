"""Whose contact a stored response shows, so that an erasure finds it.

`?` is that of a response stored before, or by a server of an earlier version that still runs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    column = sa.Column("contact_key", sa.Text(), server_default="?", nullable=False)
    op.add_column("idempotency", column)
    op.execute(
        "CREATE INDEX idempotency_by_contact ON idempotency "
        "(org_id, contact_key, client_id, method, \"key\") WHERE contact_key != ''"
    )
