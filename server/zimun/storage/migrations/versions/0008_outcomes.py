"""When the outcome of an appointment was recorded; completed ones and no-shows keep their time.

Appointments are found by their contact's address, case-folded, and the holds that are not over
by organization.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_LIVE = "WHERE state IN ('HELD', 'CONFIRMED', 'COMPLETED', 'NO_SHOW')"

_FOLD = sa.text(
    "UPDATE reservations SET contact_key = :folded WHERE org_id = :org_id AND hold_id = :hold_id"
)


def upgrade() -> None:
    for column in (
        sa.Column("outcome_time", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("contact_key", sa.Text(), server_default="", nullable=False),
    ):
        op.add_column("reservations", column)
    op.execute(
        "UPDATE reservations SET contact_key = lower(contact_email) WHERE contact_email != ''"
    )
    _fold_other_letters()
    op.drop_index("reservations_by_session", "reservations")
    op.drop_index("reservations_by_service", "reservations")
    for index in (
        f"reservations_by_session ON reservations (org_id, session_id) {_LIVE}",
        f"reservations_by_service ON reservations (org_id, service_id, start_time) {_LIVE}",
        "reservations_by_contact ON reservations "
        "(org_id, contact_key, start_time, appointment_id) WHERE appointment_id != ''",
        "reservations_held ON reservations (org_id, hold_id) WHERE state = 'HELD'",
    ):
        op.execute(f"CREATE INDEX {index}")


def _fold_other_letters() -> None:
    """SQLite lowers A to Z alone, and PostgreSQL as its locale says."""
    connection = op.get_bind()
    size = "octet_length(contact_email)"
    if connection.dialect.name == "sqlite":
        size = "length(CAST(contact_email AS BLOB))"
    found = connection.execute(
        sa.text(
            "SELECT org_id, hold_id, contact_email FROM reservations "  # noqa: S608
            f"WHERE length(contact_email) != {size}"
        )
    )
    rows = [
        {"org_id": org_id, "hold_id": hold_id, "folded": email.casefold()}
        for org_id, hold_id, email in found
    ]
    if rows:
        connection.execute(_FOLD, rows)
