"""How long an organization keeps contacts, and where those are that an appointment had before."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    for name in ("contact_retention", "contacts_erased_until"):
        column = sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)
        op.add_column("organizations", column)
    op.execute(
        "CREATE INDEX events_of_updates ON events (org_id, hold_id) "
        "WHERE type = 'APPOINTMENT_UPDATED'"
    )
