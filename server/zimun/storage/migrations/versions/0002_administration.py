"""Revisions, hold lengths, daily limits and what else the catalogue's administration brought."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TEN_MINUTES = "600000000"


def _number(name: str, default: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=default, nullable=False)


def _json(name: str, default: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(), server_default=default, nullable=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def upgrade() -> None:
    for table in ("organizations", "services", "locations", "staff", "resources", "overrides"):
        op.add_column(table, _number("revision", "1"))
    op.add_column("organizations", _number("hold_length", _TEN_MINUTES))
    op.add_column("organizations", _json("service_defaults", "{}"))
    op.add_column("services", _json("duration_options", "[]"))
    op.add_column("staff", _number("daily_limit", "0"))
    op.add_column("staff", _json("location_ids", "[]"))
    op.add_column("resources", _text("location_id"))
    op.add_column("overrides", _text("id"))
    op.add_column("overrides", _number("create_time", "0"))
    _name_overrides()
    op.create_index(
        "overrides_by_id",
        "overrides",
        ["org_id", "id"],
        unique=True,
        sqlite_where=sa.text("id != ''"),
        postgresql_where=sa.text("id != ''"),
    )


def _name_overrides() -> None:
    """Those that exist get ids, by which they can be deleted."""
    overrides = sa.table(
        "overrides", sa.column("org_id"), sa.column("owner_id"), sa.column("date"), sa.column("id")
    )
    key = (overrides.c.org_id, overrides.c.owner_id, overrides.c.date)
    connection = op.get_bind()
    for row in connection.execute(sa.select(*key)).all():
        same = [column == value for column, value in zip(key, row, strict=True)]
        named = sa.update(overrides).where(*same).values(id=f"v_{secrets.token_hex(16)}")
        connection.execute(named)
