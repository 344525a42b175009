"""The tables. Times are instants in whole microseconds; every one leads with org_id.

Three tables belong to no organization: `clients` is read to learn which one a
caller belongs to, `installation` and `signing_keys` hold what the whole
installation shares. All are in one file of more than 400 lines, as a module that
imports `metadata` must get every table with it.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TextClause,
    text,
)
from sqlalchemy.schema import SchemaItem

from zimun.domain.catalog.entries import HOLD_LENGTH

metadata = MetaData()

CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}
"""Options of a table that is read by ranges of its primary key."""

UNREAD_CONTACT = "?"
"""The contact_key of a response that a server of an earlier version has stored: its contact, if
any, has not been read."""


def only_where(condition: TextClause) -> dict[str, Any]:
    """Options of an index on some rows only."""
    return {"sqlite_where": condition, "postgresql_where": condition}


# Conditions that partial indexes and the queries they serve must word alike:
# a database uses such an index only where it can see that the query says the same.
IS_APPOINTMENT = text("appointment_id != ''")
IS_NAMED = text("id != ''")
IS_HELD = text("state = 'HELD'")
IS_OF_HOLD = text("hold_id != ''")
IS_UPDATE = text("type = 'APPOINTMENT_UPDATED'")
HAS_CONTACT = text("contact_key != ''")
IS_LIVE = text("state IN ('HELD', 'CONFIRMED', 'COMPLETED', 'NO_SHOW')")


def _text(name: str, key: bool = False, default: str | None = None) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=False, server_default=default)


def _instant(name: str, key: bool = False, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, primary_key=key, nullable=nullable, autoincrement=False)


def _json(name: str, default: str | None = None) -> Column[object]:
    return Column(name, JSON, nullable=False, server_default=default)


def _number(name: str, default: int) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=str(default))


def _entry(name: str, *columns: SchemaItem) -> Table:
    """A catalogue table: what every entry has, and what this kind adds."""
    return Table(
        name,
        metadata,
        _text("org_id", key=True),
        _text("id", key=True),
        _text("name"),
        Column("active", Boolean, nullable=False),
        _json("metadata"),
        _instant("create_time"),
        _instant("update_time"),
        _number("revision", 1),
        *columns,
    )


organizations = Table(
    "organizations",
    metadata,
    _text("org_id", key=True),
    _text("name"),
    _text("time_zone"),
    _text("holiday_region"),
    _json("weekly_hours"),
    _json("metadata"),
    _instant("create_time"),
    _instant("update_time"),
    # The longest span that any service of the organization has ever had.
    _number("longest_span", 0),
    _number("revision", 1),
    _number("hold_length", HOLD_LENGTH),
    _json("service_defaults", "{}"),
    _json("booking_limits", "[]"),
    _number("contact_retention", 0),
    # The contacts of appointments that began until then have been erased.
    _number("contacts_erased_until", 0),
    _text("mcp_access", default="DISABLED"),
    _json("weekly_hours_periods", "[]"),
    _json("holiday_categories", "[]"),
)

services = _entry(
    "services",
    _text("description"),
    Column("duration", BigInteger, nullable=False),
    Column("buffer_before", BigInteger, nullable=False),
    Column("buffer_after", BigInteger, nullable=False),
    Column("slot_step", BigInteger, nullable=False),
    _text("slot_alignment"),
    Column("lead_time", BigInteger, nullable=False),
    Column("horizon", BigInteger, nullable=False),
    Column("capacity", Integer, nullable=False),
    Column("cancellation_cutoff", BigInteger, nullable=False),
    Column("reschedule_cutoff", BigInteger, nullable=False),
    Column("price", JSON(none_as_null=True), nullable=True),
    _json("staff_ids"),
    _json("resource_requirements"),
    _json("location_ids"),
    _json("duration_options", "[]"),
    _json("booking_limits", "[]"),
    _json("weekly_hours", "{}"),
    _json("weekly_hours_periods", "[]"),
)

locations = _entry(
    "locations",
    _text("time_zone"),
    _text("address"),
    _json("weekly_hours"),
    _json("weekly_hours_periods", "[]"),
    _text("holiday_region", default=""),
    _json("holiday_categories", "[]"),
)

staff = _entry(
    "staff",
    _text("time_zone"),
    _json("weekly_hours"),
    _number("daily_limit", 0),
    _json("location_ids", "[]"),
    _json("weekly_hours_periods", "[]"),
)

resources = _entry("resources", _text("location_id", default=""))

overrides = Table(
    "overrides",
    metadata,
    _text("org_id", key=True),
    _text("owner_id", key=True),
    _text("date", key=True),
    _json("hours"),
    _text("note"),
    _text("id", default=""),
    _number("create_time", 0),
    _number("revision", 1),
    # Of an override of several dates the last; else empty.
    _text("last_date", default=""),
)

Index(
    "overrides_by_id",
    overrides.c.org_id,
    overrides.c.id,
    unique=True,
    **only_where(IS_NAMED),
)

time_off = Table(
    "time_off",
    metadata,
    _text("org_id", key=True),
    _text("id", key=True),
    _text("owner_id"),
    _instant("start_time"),
    _instant("end_time"),
    _text("note"),
    _text("external_reference"),
    _instant("create_time"),
    _instant("update_time"),
    _number("revision", 1),
    _text("recurrence", default=""),
    _text("time_zone", default=""),
    # The times at which it recurs, as worked out when it was written.
    _json("occurrences", "[]"),
)

reservations = Table(
    "reservations",
    metadata,
    _text("org_id", key=True),
    _text("hold_id", key=True),
    # Empty until the hold is confirmed.
    _text("appointment_id"),
    _text("session_id"),
    _text("service_id"),
    _text("location_id"),
    _text("staff_id"),
    # JSON
    _text("resource_ids"),
    Column("seats", Integer, nullable=False),
    _instant("start_time"),
    _instant("end_time"),
    _text("state"),
    _instant("expires_at"),
    _instant("create_time"),
    _instant("update_time"),
    _instant("confirm_time"),
    Column("revision", Integer, nullable=False),
    _text("contact_name"),
    _text("contact_email"),
    _text("contact_phone"),
    _text("notes"),
    # JSON
    _text("metadata"),
    _text("cancel_reason"),
    _number("outcome_time", 0),
    # The address of the contact, case-folded: what appointments are found by.
    _text("contact_key", default=""),
)

Index(
    "reservations_by_appointment",
    reservations.c.org_id,
    reservations.c.appointment_id,
    unique=True,
    **only_where(IS_APPOINTMENT),
)
Index(
    "reservations_by_start",
    reservations.c.org_id,
    reservations.c.start_time,
    reservations.c.appointment_id,
    **only_where(IS_APPOINTMENT),
)
Index(
    "reservations_by_session",
    reservations.c.org_id,
    reservations.c.session_id,
    **only_where(IS_LIVE),
)
Index(
    "reservations_by_service",
    reservations.c.org_id,
    reservations.c.service_id,
    reservations.c.start_time,
    **only_where(IS_LIVE),
)
Index(
    "reservations_by_contact",
    reservations.c.org_id,
    reservations.c.contact_key,
    reservations.c.start_time,
    reservations.c.appointment_id,
    **only_where(IS_APPOINTMENT),
)
Index(
    "reservations_held",
    reservations.c.org_id,
    reservations.c.hold_id,
    **only_where(IS_HELD),
)
# Leads with the instant: what has expired is looked for in all organizations at once.
Index("reservations_by_expiry", reservations.c.expires_at, **only_where(IS_HELD))

# Migration 0003 has what makes the database refuse overlapping allocations of a subject: an
# exclusion constraint on PostgreSQL, a trigger on SQLite.
allocations = Table(
    "allocations",
    metadata,
    _text("org_id", key=True),
    # A staff member, a resource, or a service that needs neither, at its location.
    _text("subject", key=True),
    # Buffers included.
    _instant("busy_start", key=True),
    _instant("busy_end"),
    # When the appointment begins, after its buffer.
    _instant("start_time"),
    _text("session_id"),
    # When the last of the session's holds runs out; FOREVER once one is confirmed.
    _instant("expires_at"),
    # When the session was made or moved here.
    _instant("booked_at"),
    **CLUSTERED,
)

Index(
    "allocations_by_booking",
    allocations.c.org_id,
    allocations.c.subject,
    allocations.c.booked_at,
)
Index("allocations_by_session", allocations.c.org_id, allocations.c.session_id)

sessions = Table(
    "sessions",
    metadata,
    _text("org_id", key=True),
    _text("session_id", key=True),
    # Of live reservations, recorded as having run out or not; and of how many at the most.
    Column("seats_taken", Integer, nullable=False),
    Column("capacity", Integer, nullable=False),
    CheckConstraint("seats_taken <= capacity", name="sessions_are_not_oversold"),
)

ledgers = Table(
    "ledgers",
    metadata,
    _text("org_id", key=True),
    # The number of the last event, and of the last one that changed the catalogue.
    _instant("seq"),
    # The latest instant at which anything was decided.
    _instant("time"),
    _instant("catalog_version"),
)
"""The heads: who writes for an organization moves its head on first."""

events = Table(
    "events",
    metadata,
    _text("org_id", key=True),
    # 1, 2, 3 and so on, without a gap but where old bookings have been pruned.
    _instant("seq", key=True),
    # Ledger time.
    _instant("time"),
    _text("type"),
    # The client that asked for it; empty for what time alone brought about.
    _text("client_id"),
    # Of an event about a reservation; else empty and 0.
    _text("hold_id"),
    Column("revision", Integer, nullable=False),
    # JSON: the values as the change left them.
    _text("data"),
    **CLUSTERED,
)

Index(
    "events_by_revision",
    events.c.org_id,
    events.c.hold_id,
    events.c.revision,
    unique=True,
    **only_where(IS_OF_HOLD),
)

# Few: appointments whose contact may have been another one before.
Index("events_of_updates", events.c.org_id, events.c.hold_id, **only_where(IS_UPDATE))

idempotency = Table(
    "idempotency",
    metadata,
    _text("org_id", key=True),
    _text("client_id", key=True),
    _text("method", key=True),
    _text("key", key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("response", LargeBinary, nullable=False),
    _instant("expires_at"),
    # That of the contact that the response shows; empty without one.
    _text("contact_key", default=UNREAD_CONTACT),
    **CLUSTERED,
)

Index("idempotency_by_expiry", idempotency.c.expires_at)
# With the rest of the key, so that responses of a contact are read in its order.
Index(
    "idempotency_by_contact",
    idempotency.c.org_id,
    idempotency.c.contact_key,
    idempotency.c.client_id,
    idempotency.c.method,
    idempotency.c.key,
    **only_where(HAS_CONTACT),
)

clients = Table(
    "clients",
    metadata,
    _text("client_id", key=True),
    _text("org_id"),
    _text("name"),
    _json("scopes"),
    _text("secret_hash"),
    _instant("create_time"),
    Column("old_secret_hash", Text, nullable=True),
    _instant("old_secret_until", nullable=True),
    _instant("revoke_time", nullable=True),
)

Index("clients_by_organization", clients.c.org_id, clients.c.create_time)

signing_keys = Table(
    "signing_keys",
    metadata,
    _text("kid", key=True),
    _instant("create_time"),
    Column("pem", LargeBinary, nullable=False),
)

installation = Table(
    "installation",
    metadata,
    _text("name", key=True),
    Column("value", LargeBinary, nullable=False),
)

COLUMNS = frozenset(
    (table.name, column.name) for table in metadata.tables.values() for column in table.columns
)
"""Every column, as the names of its table and of itself."""
