"""The queries of a transaction: one method of `booking.store.Transaction` each, for every dialect.

Statements are built once, here; SQL never asks the database for the time.
"""

import json
from bisect import insort
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from itertools import groupby
from operator import itemgetter
from secrets import token_bytes, token_hex
from typing import Any

from sqlalchemy import (
    Connection,
    CursorResult,
    Table,
    case,
    delete,
    insert,
    select,
    tuple_,
    update,
)

from zimun.booking.store import Answer, AppointmentFilter, CatalogEntry, Identity
from zimun.domain.availability import Busy, Session
from zimun.domain.booking import LIVE, EventType, Reservation, State
from zimun.domain.catalog import (
    Catalog,
    Location,
    Organization,
    Override,
    Resource,
    Service,
    StaffMember,
)
from zimun.domain.errors import AppointmentNotFound, HoldNotFound, TokenInvalid
from zimun.domain.instant import DAY
from zimun.domain.intervals import Interval
from zimun.domain.timetable import Timetable
from zimun.storage import dialect, rows, statements
from zimun.storage.prepared import Prepared, Rows, Statement, Write, run_together
from zimun.storage.tables import (
    FOREVER,
    IS_APPOINTMENT,
    IS_NAMED,
    allocations,
    events,
    idempotency,
    installation,
    locations,
    organizations,
    overrides,
    reservations,
    resources,
    services,
    sessions,
    staff,
)

_ENTRY_TABLES: Mapping[type, Table] = {
    Service: services,
    StaffMember: staff,
    Resource: resources,
    Location: locations,
}


class CatalogCache:
    """Timetables by organization, each checked against the store's version when it is used.

    Shared by the threads of a store: entries are replaced, never changed.
    """

    def __init__(self, most: int = 1024) -> None:
        self._most = most
        self._timetables: dict[str, Timetable] = {}

    def get(self, org_id: str, version: str) -> Timetable | None:
        """The kept timetable, if it is of this version."""
        kept = self._timetables.get(org_id)
        return kept if kept and kept.catalog.version == version else None

    def put(self, timetable: Timetable) -> None:
        """Keep a timetable, dropping all others when there are too many."""
        if len(self._timetables) >= self._most:
            self._timetables = {}
        self._timetables[timetable.catalog.organization.id] = timetable


class Queries:
    """A `booking.store.Transaction` on a connection; BEGIN and COMMIT are its owner's."""

    def __init__(self, connection: Connection, catalogs: CatalogCache) -> None:
        self._connection = connection
        self._catalogs = catalogs
        self._gathers = dialect.gathers_writes(connection)
        self._gathered: list[Write] = []

    def _run(self, statement: Prepared, parameters: Mapping[str, Any]) -> Rows:
        self.flush()
        return statement.run(self._connection, parameters)

    def _execute(
        self, statement: Statement, *values: Mapping[str, Any]
    ) -> CursorResult[*tuple[Any, ...]]:
        self.flush()
        return self._connection.execute(statement, *values)

    def _write(self, statement: Prepared, parameters: Mapping[str, Any]) -> None:
        """Run a write now, or with those that follow: before whatever could notice."""
        if not self._gathers:
            statement.run(self._connection, parameters)
            return
        if not all(statement.goes_with(other) for other, _ in self._gathered):
            self.flush()
        self._gathered.append((statement, parameters))

    def flush(self) -> None:
        """Run the writes that were put off; to be called at the end of the transaction."""
        if self._gathered:
            writes, self._gathered = self._gathered, []
            run_together(self._connection, writes)

    def _lock(self, *names: str) -> bool:
        self.flush()
        return dialect.lock(self._connection, names)

    def timetable(self, org_id: str) -> Timetable:
        found = self._run(statements.CATALOG_VERSION, {"org": org_id})
        if not found:
            raise TokenInvalid("the token's organization does not exist")
        version = found[0][0]
        kept = self._catalogs.get(org_id, version)
        while kept is None:
            loaded = rows.load_catalog(self._connection, org_id)
            [[after]] = self._run(statements.CATALOG_VERSION, {"org": org_id})
            # Where statements do not share a snapshot, somebody may have changed it meanwhile.
            if loaded.version == after:
                kept = Timetable(loaded)
                self._catalogs.put(kept)
        return kept

    def busy(
        self,
        catalog: Catalog,
        service: Service,
        within: Interval,
        now: int,
        leaving: Reservation | None = None,
    ) -> Busy:
        parameters = {
            "org": catalog.organization.id,
            "start": within[0],
            "end": within[1],
            "now": now,
            "earliest": within[0] - catalog.longest_span,
            "freed": self._freed(leaving, now),
        }
        subjects = _numbered(service.subjects)
        found = self._run(statements.taken(len(subjects)), parameters | subjects)
        run_out = {row[0] for row in found if row[3] <= now}
        if run_out:
            found = [row for row in found if row[3] > now]
        taken = {
            subject: [(start, end) for _, start, end, _ in of_subject]
            for subject, of_subject in groupby(found, itemgetter(0))
        }
        stands_until = min(map(itemgetter(3), found), default=FOREVER)
        starts: dict[str, list[int]] = {}
        if limited := [one for one in service.staff_ids if catalog.daily_limit(one)]:
            for subject, start, expires_at in self._starts(limited, parameters):
                insort(starts.setdefault(subject, []), start)
                stands_until = min(stands_until, expires_at)
        if service.capacity == 1:
            return Busy(taken, {}, starts, stands_until, run_out)
        sessions: dict[int, list[Session]] = {}
        group = {"service": service.id, "leaving": leaving.hold_id if leaving else ""}
        for row in self._run(statements.SESSIONS, parameters | group):
            session = rows.session(row)
            sessions.setdefault(session.start, []).append(session)
        return Busy(taken, sessions, starts, run_out=run_out)

    def _freed(self, leaving: Reservation | None, now: int) -> str:
        """The session that ends when a reservation leaves it, if it does."""
        if leaving is None or self._lasts(leaving.org_id, leaving.session_id, now, leaving.hold_id):
            return ""
        return leaving.session_id

    def _starts(self, staff_ids: Sequence[str], parameters: dict[str, Any]) -> Rows:
        """When bookings start on every date, in whatever zone, that the interval touches."""
        wider = {
            "start": parameters["start"] - 2 * DAY,
            "earliest": parameters["earliest"] - 2 * DAY,
            "end": parameters["end"] + 2 * DAY,
        }
        statement = statements.starts(len(staff_ids))
        return self._run(statement, parameters | wider | _numbered(staff_ids))

    def staff_load(
        self, org_id: str, staff_ids: Sequence[str], day: Interval, longest_span: int, now: int
    ) -> Mapping[str, tuple[int, int]]:
        parameters = {"org": org_id, "start": day[0], "end": day[1], "now": now}
        members = _numbered(staff_ids) | {"earliest": day[0] - longest_span}
        found = self._run(statements.staff_load(len(staff_ids)), parameters | members)
        return {staff_id: (count, last or 0) for staff_id, count, last in found}

    def lock(self, org_id: str, subjects: Iterable[tuple[str, Interval]]) -> bool:
        names = (
            f"{org_id} {dialect.stripe(subject)} {day}"
            for subject, (start, end) in subjects
            for day in range(start // DAY, (end - 1) // DAY + 1)
        )
        return self._lock(*names)

    def lock_catalog(self, org_id: str) -> None:
        self._lock(f"{org_id} catalog")

    def run_out(
        self,
        org_id: str,
        subjects: Sequence[str],
        within: Interval,
        longest_span: int,
        now: int,
    ) -> list[str]:
        parameters = {"org": org_id, "start": within[0], "end": within[1], "now": now}
        reach = {"earliest": within[0] - longest_span}
        statement = statements.run_out(len(subjects))
        found = self._run(statement, parameters | reach | _numbered(subjects))
        return sorted({row[0] for row in found})

    def hold(self, org_id: str, hold_id: str) -> Reservation:
        if found := self._run(statements.BY_HOLD, {"org": org_id, "id": hold_id}):
            return rows.reservation(found[0])
        raise HoldNotFound(hold_id)

    def appointment(self, org_id: str, appointment_id: str) -> Reservation:
        if found := self._run(statements.BY_APPOINTMENT, {"org": org_id, "id": appointment_id}):
            return rows.reservation(found[0])
        raise AppointmentNotFound(appointment_id)

    def appointments(
        self, org_id: str, wanted: AppointmentFilter, after: tuple[int, str] | None, limit: int
    ) -> list[Reservation]:
        c = reservations.c
        query = select(reservations).where(c.org_id == org_id, IS_APPOINTMENT)
        if wanted.service_id:
            query = query.where(c.service_id == wanted.service_id)
        if wanted.staff_id:
            query = query.where(c.staff_id == wanted.staff_id)
        if wanted.state:
            query = query.where(c.state == wanted.state)
        if wanted.start_from is not None:
            query = query.where(c.start_time >= wanted.start_from)
        if wanted.start_before is not None:
            query = query.where(c.start_time < wanted.start_before)
        if after:
            query = query.where(tuple_(c.start_time, c.appointment_id) > tuple_(*after))
        ordered = query.order_by(c.start_time, c.appointment_id).limit(limit)
        return [rows.reservation(row) for row in self._execute(ordered)]

    def stale_holds(self, org_id: str, now: int, limit: int) -> list[str]:
        found = self._run(statements.STALE, {"org": org_id, "now": now, "limit": limit})
        return [row[0] for row in found]

    def add(self, event: EventType, reservation: Reservation, client_id: str) -> None:
        row = rows.reservation_row(reservation)
        self._write(statements.INSERT_RESERVATION, row)
        self._append(event, row, client_id)

    def change(
        self, event: EventType, before: Reservation, after: Reservation, client_id: str
    ) -> None:
        row = rows.reservation_row(after)
        key = {"_org": after.org_id, "_hold": after.hold_id}
        self._write(statements.UPDATE_RESERVATION, row | key)
        self._append(event, row, client_id)
        if after.state not in LIVE or after.session_id != before.session_id:
            left = {"org": before.org_id, "session": before.session_id, "seats": before.seats}
            self._write(statements.LEAVE_SESSION, left)

    def _append(self, event: EventType, row: dict[str, Any], client_id: str) -> None:
        state = {"reservation": json.dumps(row)}
        what = {"type": event.value, "at": row["update_time"], "client_id": client_id}
        self._write(statements.INSERT_EVENT, row | what | state)

    def allocate(
        self,
        reservation: Reservation,
        subjects: Iterable[str],
        taken: Interval,
        booked_at: int,
        capacity: int,
    ) -> None:
        confirmed = reservation.state is State.CONFIRMED
        row = {
            "org_id": reservation.org_id,
            "session_id": reservation.session_id,
            "start_time": reservation.start,
            "busy_start": taken[0],
            "busy_end": taken[1],
            "expires_at": FOREVER if confirmed else reservation.expires_at,
            "booked_at": booked_at,
        }
        for subject in subjects:
            self._write(statements.INSERT_ALLOCATION, row | {"subject": subject})
        if capacity > 1:
            seats = {"seats_taken": reservation.seats, "capacity": capacity}
            self._write(statements.INSERT_SESSION, row | seats)

    def join(self, reservation: Reservation, capacity: int) -> None:
        session = {"org": reservation.org_id, "session": reservation.session_id}
        joining = {"seats": reservation.seats, "most": capacity}
        self._write(statements.JOIN_SESSION, session | joining)

    def _lasts(self, org_id: str, session_id: str, now: int, leaving: str = "") -> int | None:
        """Until when a session's live reservations last, the hold `leaving` aside; None without
        any."""
        session = {"org": org_id, "session": session_id, "now": now, "leaving": leaving}
        until: int | None = self._run(statements.LASTS, session)[0][0]
        return until

    def settle(self, org_id: str, session_id: str) -> None:
        session = {"org": org_id, "session": session_id}
        # A hold that has run out counts until that is recorded: somebody may be about to confirm it
        # who read the clock before.
        until = self._lasts(org_id, session_id, now=0)
        if until is None:
            self._write(statements.FREE, session)
            self._write(statements.END_SESSION, session)
        else:
            self._write(statements.PROLONG, session | {"until": until})

    def recall(
        self, org_id: str, client_id: str, method: str, key: str, locking: bool = False
    ) -> Answer | None:
        if locking:
            self._lock(f"{org_id} {client_id} {method} {key}")
        found = self._run(
            statements.RECALL, {"org": org_id, "client": client_id, "method": method, "key": key}
        )
        return Answer(*found[0]) if found else None

    def answered(self, identities: Collection[Identity]) -> Set[Identity]:
        c, found = idempotency.c, set[Identity]()
        for whose, some in groupby(sorted(identities), itemgetter(0, 1, 2)):
            org_id, client_id, method = whose
            keys = select(c.key).where(
                c.org_id == org_id,
                c.client_id == client_id,
                c.method == method,
                c.key.in_([key for *_, key in some]),
            )
            found |= {(org_id, client_id, method, key) for key in self._execute(keys).scalars()}
        return found

    def remember(self, org_id: str, client_id: str, method: str, key: str, answer: Answer) -> None:
        identity = {"org_id": org_id, "client_id": client_id, "method": method, "key": key}
        self._write(
            statements.INSERT_ANSWER,
            identity
            | {
                "fingerprint": answer.fingerprint,
                "response": answer.response,
                "expires_at": answer.expires_at,
            },
        )

    def forgettable(self, org_id: str, now: int) -> bool:
        return self._run(statements.FORGETTABLE, {"org": org_id, "now": now}) != []

    def forget(self, org_id: str, now: int) -> None:
        self._run(statements.FORGET, {"org": org_id, "now": now})

    def prune(self, org_id: str, before: int, limit: int) -> int:
        c = reservations.c
        over = (c.org_id == org_id, c.end_time < before, c.state != State.HELD.value)
        found = self._execute(select(c.hold_id, c.session_id).where(*over).limit(limit)).all()
        for hold_id, session_id in found:
            for table, key in (
                (reservations, {"hold_id": hold_id}),
                (events, {"hold_id": hold_id}),
                (allocations, {"session_id": session_id}),
                (sessions, {"session_id": session_id}),
            ):
                same = [table.c[name] == value for name, value in key.items()]
                self._execute(delete(table).where(table.c.org_id == org_id, *same))
        return len(found)

    def organization_ids(self) -> list[str]:
        return list(self._execute(select(organizations.c.org_id)).scalars())

    def put_organization(self, organization: Organization) -> None:
        version = {"catalog_version": token_hex(8)}
        self._put(organizations, rows.organization_row(organization) | version)

    def put_entry(self, org_id: str, entry: CatalogEntry) -> None:
        self._put(_ENTRY_TABLES[type(entry)], rows.entry_row(org_id, entry))
        self._catalog_changed(org_id, entry.longest_span if isinstance(entry, Service) else 0)

    def put_override(self, org_id: str, override: Override) -> None:
        self._put(overrides, rows.override_row(org_id, override))
        self._catalog_changed(org_id)

    def delete_override(self, org_id: str, override_id: str) -> None:
        c = overrides.c
        self._execute(delete(overrides).where(c.org_id == org_id, c.id == override_id, IS_NAMED))
        self._catalog_changed(org_id)

    def _catalog_changed(self, org_id: str, span: int = 0) -> None:
        longest = organizations.c.longest_span
        self._execute(
            update(organizations)
            .where(organizations.c.org_id == org_id)
            .values(
                catalog_version=token_hex(8),
                longest_span=case((longest < span, span), else_=longest),
            )
        )

    def touch(self) -> None:
        self._put(installation, {"name": "probe", "value": token_bytes(8)})

    def _put(self, table: Table, row: Mapping[str, Any]) -> None:
        """Insert a row, or replace the one of its key."""
        key = [column == row[column.name] for column in table.primary_key]
        if not self._execute(update(table).where(*key).values(row)).rowcount:
            self._execute(insert(table).values(row))


def _numbered(subjects: Sequence[str]) -> dict[str, Any]:
    return {f"s{n}": subject for n, subject in enumerate(subjects)}
