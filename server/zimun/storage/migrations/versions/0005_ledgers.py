"""One numbered history for each organization.

Events get their numbers in the order of their instants, and in a reservation's
own order where these are the same.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    op.create_table(
        "ledgers",
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("catalog_version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("org_id"),
    )
    op.drop_index("events_by_time", "events")
    op.rename_table("events", "events_0004")
    if not sqlite:
        # The name of a primary key stays with the table that had it first.
        op.execute("ALTER TABLE events_0004 RENAME CONSTRAINT events_pkey TO events_0004_pkey")
    op.create_table(
        "events",
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("hold_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "seq"),
        sqlite_with_rowid=False,
    )
    # A server whose clock was behind may have written a later revision with an earlier instant.
    op.execute(
        "INSERT INTO events (org_id, seq, time, type, client_id, hold_id, revision, data) "
        "SELECT org_id, row_number() OVER (PARTITION BY org_id ORDER BY time, hold_id, revision), "
        "time, type, client_id, hold_id, revision, '{\"reservation\": ' || reservation || '}' "
        "FROM (SELECT e.*, max(at) OVER (PARTITION BY org_id, hold_id ORDER BY revision) AS time "
        "FROM events_0004 AS e) AS numbered"
    )
    op.drop_table("events_0004")
    op.execute(
        "CREATE UNIQUE INDEX events_by_revision ON events (org_id, hold_id, revision) "
        "WHERE hold_id != ''"
    )
    op.execute(
        "INSERT INTO ledgers (org_id, seq, time, catalog_version) "
        "SELECT org_id, coalesce((SELECT max(seq) FROM events WHERE org_id = o.org_id), 0), "
        "coalesce((SELECT max(time) FROM events WHERE org_id = o.org_id), "
        "CASE WHEN o.update_time > 0 THEN o.update_time ELSE 1 END), 0 "
        "FROM organizations AS o"
    )
    op.drop_column("organizations", "catalog_version")
    op.drop_index("reservations_by_expiry", "reservations")
    op.execute(
        "CREATE INDEX reservations_by_expiry ON reservations (expires_at) WHERE state = 'HELD'"
    )
    op.drop_index("idempotency_by_expiry", "idempotency")
    op.create_index("idempotency_by_expiry", "idempotency", ["expires_at"])
