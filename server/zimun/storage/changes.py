"""The rows that a group changes: what its ledgers are afterwards, compared with before."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from zimun.booking.store import Append
from zimun.domain.ledger.events import CatalogEvent, CatalogValue, Event, Session
from zimun.storage import catalog_rows, reservation_rows

Row = tuple[Any, ...]


class Part(NamedTuple):
    """The rows of one kind of change: their columns in order, what they are found by, and the
    table. `verb` is INSERT, UPDATE or DELETE."""

    verb: str
    table: str
    columns: tuple[str, ...]
    keys: tuple[str, ...] = ()


_ALLOCATION = (
    "org_id", "subject", "busy_start", "busy_end", "start_time", "session_id", "expires_at",
    "booked_at",
)  # fmt: skip

_RESPONSE = (
    "org_id", "client_id", "method", "key", "fingerprint", "response", "expires_at", "contact_key",
)  # fmt: skip

PARTS: Mapping[str, Part] = {
    # Allocations that end are deleted before others take their place.
    "ended": Part("DELETE", "allocations", ("org_id", "session_id"), ("org_id", "session_id")),
    "prolonged": Part(
        "UPDATE", "allocations", ("org_id", "session_id", "expires_at"), ("org_id", "session_id")
    ),
    "allocations": Part("INSERT", "allocations", _ALLOCATION),
    "sessions_ended": Part(
        "DELETE", "sessions", ("org_id", "session_id"), ("org_id", "session_id")
    ),
    "sessions_changed": Part(
        "UPDATE",
        "sessions",
        ("org_id", "session_id", "seats_taken", "capacity"),
        ("org_id", "session_id"),
    ),
    "sessions": Part("INSERT", "sessions", ("org_id", "session_id", "seats_taken", "capacity")),
    "reservations": Part("INSERT", "reservations", reservation_rows.RESERVATION_COLUMNS),
    "reservations_changed": Part(
        "UPDATE", "reservations", reservation_rows.RESERVATION_COLUMNS, ("org_id", "hold_id")
    ),
    "events": Part(
        "INSERT",
        "events",
        ("org_id", "seq", "time", "type", "client_id", "hold_id", "revision", "data"),
    ),
    "responses": Part("INSERT", "idempotency", _RESPONSE),
}
"""Every kind of change, in the order in which they are made."""


@dataclass(slots=True)
class Changes:
    """The rows of a group by part; the catalogue's new values; and what heads there are to move.

    `heads` are (org_id, seq before, time before, events, time after, catalog_version after).
    """

    heads: list[tuple[str, int, int, int, int, int]] = field(default_factory=list)
    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in PARTS})
    catalog: list[tuple[str, CatalogValue]] = field(default_factory=list)
    longest_spans: list[tuple[str, int]] = field(default_factory=list)


def is_plain(append: Append) -> bool:
    """Whether the organization is there already, and its catalogue stays as it is."""
    before, after = append.before, append.after
    is_catalog_same = before.catalog_version == after.catalog_version
    return before.seq > 0 and is_catalog_same and not append.longest_span


def changes_of(appends: Iterable[Append]) -> Changes:
    """The rows that a group writes."""
    changes = Changes()
    for append in appends:
        _add(changes, append)
    return changes


def _add(changes: Changes, append: Append) -> None:
    before, after = append.before, append.after
    org_id = before.org_id
    count = after.seq - before.seq
    changes.heads.append(
        (org_id, before.seq, before.time, count, append.time, after.catalog_version)
    )
    if append.longest_span:
        changes.longest_spans.append((org_id, append.longest_span))
    for session_id, session in after.sessions.changes.items():
        _add_session(changes.rows, org_id, before.sessions.get(session_id), session)
    for hold_id, reservation in after.reservations.changes.items():
        existing = before.reservations.get(hold_id)
        part = "reservations_changed" if existing and existing.hold_id else "reservations"
        changes.rows[part].append(reservation_rows.reservation_row(reservation))
    for seq, event in enumerate(append.events, before.seq + 1):
        changes.rows["events"].append((org_id, seq, append.time, *_event(event)))
        if isinstance(event, CatalogEvent) and event.value is not None:
            changes.catalog.append((org_id, event.value))
    for key, response in append.responses.items():
        changes.rows["responses"].append(
            (org_id, *key, response.fingerprint, response.response, response.expires_at,
             response.contact_key)
        )  # fmt: skip


def _add_session(
    changes: Mapping[str, list[Row]], org_id: str, before: Session | None, after: Session
) -> None:
    key = (org_id, after.session_id)
    existed = before if before and before.until else None
    if existed and not after.until:
        changes["ended"].append(key)
    elif existed and existed.until != after.until:
        changes["prolonged"].append((*key, after.until))
    elif after.until and not existed:
        begin, end = after.busy
        changes["allocations"] += [
            (org_id, subject, begin, end, after.start, after.session_id, after.until,
             after.booked_at)
            for subject in after.subjects
        ]  # fmt: skip
    seats = (*key, after.seats_taken, after.capacity)
    had_seats = existed is not None and existed.capacity > 1
    if had_seats and not after.until:
        changes["sessions_ended"].append(key)
    elif had_seats:
        changes["sessions_changed"].append(seats)
    elif after.until and after.capacity > 1:
        changes["sessions"].append(seats)


def _event(event: Event) -> tuple[str, str, str, int, str]:
    """Type, client_id, hold_id, revision and data."""
    if isinstance(event, CatalogEvent):
        return event.type, event.client_id, "", 0, catalog_rows.catalog_json(event.value)
    reservation = event.reservation
    return (
        event.type,
        event.client_id,
        reservation.hold_id,
        reservation.revision,
        reservation_rows.event_json(event),
    )
