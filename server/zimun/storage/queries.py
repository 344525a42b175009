"""The queries of a transaction: one method of `booking.store.Transaction` each, for every dialect.

Statements are built once, here; SQL never asks the database for the time.
"""

from collections.abc import Iterable, Mapping, Sequence
from secrets import token_bytes, token_hex
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Table,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from zimun.booking.store import Answer, AppointmentFilter, CatalogEntry
from zimun.domain.access import Client
from zimun.domain.availability import Busy, Session, Timetable
from zimun.domain.booking import EventType, Reservation, State
from zimun.domain.catalog import Location, Organization, Override, Resource, Service, StaffMember
from zimun.domain.errors import AppointmentNotFound, HoldNotFound, TokenInvalid
from zimun.domain.intervals import Interval
from zimun.storage import rows
from zimun.storage.tables import (
    FOREVER,
    IS_APPOINTMENT,
    IS_HELD,
    IS_LIVE,
    allocations,
    clients,
    events,
    idempotency,
    installation,
    locations,
    organizations,
    overrides,
    reservations,
    resources,
    services,
    staff,
)

_ENTRY_TABLES: Mapping[type, Table] = {
    Service: services,
    StaffMember: staff,
    Resource: resources,
    Location: locations,
}

_ORG: BindParameter[str] = bindparam("org")
_NOW: BindParameter[int] = bindparam("now")
_FROM: BindParameter[int] = bindparam("start")
_TO: BindParameter[int] = bindparam("end")


def _live(now: Any) -> Any:
    """The reservations that keep their time busy at `now`."""
    return and_(
        IS_LIVE, or_(reservations.c.state == "CONFIRMED", reservations.c.expires_at > now)
    )


_CATALOG_VERSION = select(organizations.c.catalog_version).where(organizations.c.org_id == _ORG)

_TAKEN = (
    select(allocations.c.subject, allocations.c.busy_start, allocations.c.busy_end)
    .where(
        allocations.c.org_id == _ORG,
        allocations.c.subject.in_(bindparam("subjects", expanding=True)),
        allocations.c.busy_start > bindparam("earliest"),
        allocations.c.busy_start < _TO,
        allocations.c.busy_end > _FROM,
        allocations.c.expires_at > _NOW,
    )
    .order_by(allocations.c.subject, allocations.c.busy_start)
)

_SESSIONS = (
    select(
        reservations.c.session_id,
        reservations.c.start_time,
        reservations.c.end_time,
        reservations.c.staff_id,
        func.min(reservations.c.resource_ids, type_=reservations.c.resource_ids.type),
        reservations.c.location_id,
        func.sum(reservations.c.seats),
    )
    .where(
        reservations.c.org_id == _ORG,
        reservations.c.service_id == bindparam("service"),
        reservations.c.start_time >= _FROM,
        reservations.c.start_time < _TO,
        reservations.c.hold_id != bindparam("leaving"),
        _live(_NOW),
    )
    .group_by(
        reservations.c.session_id,
        reservations.c.start_time,
        reservations.c.end_time,
        reservations.c.staff_id,
        reservations.c.location_id,
    )
    .order_by(reservations.c.session_id)
)

_OF_MEMBER = (
    allocations.c.org_id == staff.c.org_id,
    allocations.c.subject == staff.c.id,
)

_STAFF_LOAD = select(
    staff.c.id,
    select(func.count())
    .select_from(allocations)
    .where(
        *_OF_MEMBER,
        allocations.c.busy_start >= _FROM,
        allocations.c.busy_start < _TO,
        allocations.c.expires_at > _NOW,
    )
    .scalar_subquery(),
    select(func.max(allocations.c.booked_at)).where(*_OF_MEMBER).scalar_subquery(),
).where(staff.c.org_id == _ORG, staff.c.id.in_(bindparam("staff", expanding=True)))

_BY_HOLD = select(reservations).where(
    reservations.c.org_id == _ORG, reservations.c.hold_id == bindparam("id")
)

_BY_APPOINTMENT = select(reservations).where(
    reservations.c.org_id == _ORG,
    reservations.c.appointment_id == bindparam("id"),
    IS_APPOINTMENT,
)

_STALE = (
    select(reservations)
    .where(
        reservations.c.org_id == _ORG,
        IS_HELD,
        reservations.c.expires_at <= _NOW,
    )
    .order_by(reservations.c.expires_at)
    .limit(bindparam("limit"))
)

_INSERT_RESERVATION = insert(reservations)

_UPDATE_RESERVATION = update(reservations).where(
    reservations.c.org_id == bindparam("_org"), reservations.c.hold_id == bindparam("_hold")
)

_INSERT_ALLOCATION = insert(allocations)

_LASTS = select(
    func.max(case((reservations.c.state == "CONFIRMED", FOREVER), else_=reservations.c.expires_at))
).where(
    reservations.c.org_id == _ORG,
    reservations.c.session_id == bindparam("session"),
    reservations.c.hold_id != bindparam("leaving"),
    _live(_NOW),
)

_PROLONG = (
    update(allocations)
    .where(allocations.c.org_id == _ORG, allocations.c.session_id == bindparam("session"))
    .values(expires_at=bindparam("until"))
)

_FREE = delete(allocations).where(
    allocations.c.org_id == _ORG, allocations.c.session_id == bindparam("session")
)

_INSERT_EVENT = insert(events)

_RECALL = select(idempotency.c.fingerprint, idempotency.c.response, idempotency.c.expires_at).where(
    idempotency.c.org_id == _ORG,
    idempotency.c.client_id == bindparam("client"),
    idempotency.c.method == bindparam("method"),
    idempotency.c.key == bindparam("key"),
)

_INSERT_ANSWER = insert(idempotency)

_OVER = (idempotency.c.org_id == _ORG, idempotency.c.expires_at <= _NOW)

_FORGETTABLE = select(idempotency.c.key).where(*_OVER).limit(1)

_FORGET = delete(idempotency).where(*_OVER)


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
        self._execute = connection.execute
        self._catalogs = catalogs

    def timetable(self, org_id: str) -> Timetable:
        version = self._execute(_CATALOG_VERSION, {"org": org_id}).scalar()
        if version is None:
            raise TokenInvalid("the token's organization does not exist")
        kept = self._catalogs.get(org_id, version)
        if kept is None:
            kept = Timetable(rows.load_catalog(self._connection, org_id))
            self._catalogs.put(kept)
        return kept

    def busy(
        self,
        org_id: str,
        service: Service,
        within: Interval,
        longest_span: int,
        now: int,
        leaving: str = "",
    ) -> Busy:
        parameters = {"org": org_id, "start": within[0], "end": within[1], "now": now}
        taken: dict[str, list[Interval]] = {}
        for subject, start, end in self._execute(
            _TAKEN,
            {
                **parameters,
                "subjects": service.subjects,
                "earliest": within[0] - longest_span,
            },
        ):
            taken.setdefault(subject, []).append((start, end))
        if service.capacity == 1:
            return Busy(taken)
        sessions: dict[int, list[Session]] = {}
        group = {**parameters, "service": service.id, "leaving": leaving}
        for row in self._execute(_SESSIONS, group):
            session = Session(row[0], row[1], row[2], row[3], tuple(row[4]), row[5], row[6])
            sessions.setdefault(session.start, []).append(session)
        return Busy(taken, sessions)

    def staff_load(
        self, org_id: str, staff_ids: Sequence[str], day: Interval, now: int
    ) -> Mapping[str, tuple[int, int]]:
        found = self._execute(
            _STAFF_LOAD,
            {"org": org_id, "staff": staff_ids, "start": day[0], "end": day[1], "now": now},
        )
        return {staff_id: (count, last or 0) for staff_id, count, last in found}

    def hold(self, org_id: str, hold_id: str) -> Reservation:
        if row := self._execute(_BY_HOLD, {"org": org_id, "id": hold_id}).one_or_none():
            return rows.reservation(row)
        raise HoldNotFound(hold_id)

    def appointment(self, org_id: str, appointment_id: str) -> Reservation:
        found = self._execute(_BY_APPOINTMENT, {"org": org_id, "id": appointment_id})
        if row := found.one_or_none():
            return rows.reservation(row)
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

    def stale_holds(self, org_id: str, now: int, limit: int) -> list[Reservation]:
        found = self._execute(_STALE, {"org": org_id, "now": now, "limit": limit})
        return [rows.reservation(row) for row in found]

    def insert_reservation(self, reservation: Reservation) -> None:
        self._execute(_INSERT_RESERVATION, rows.reservation_row(reservation))

    def update_reservation(self, reservation: Reservation) -> None:
        key = {"_org": reservation.org_id, "_hold": reservation.hold_id}
        self._execute(_UPDATE_RESERVATION, rows.reservation_row(reservation) | key)

    def allocate(
        self, reservation: Reservation, subjects: Iterable[str], taken: Interval, booked_at: int
    ) -> None:
        confirmed = reservation.state is State.CONFIRMED
        row = {
            "org_id": reservation.org_id,
            "session_id": reservation.session_id,
            "busy_start": taken[0],
            "busy_end": taken[1],
            "expires_at": FOREVER if confirmed else reservation.expires_at,
            "booked_at": booked_at,
        }
        self._execute(_INSERT_ALLOCATION, [row | {"subject": subject} for subject in subjects])

    def settle(self, org_id: str, session_id: str, now: int, leaving: str = "") -> None:
        session = {"org": org_id, "session": session_id}
        until = self._execute(_LASTS, session | {"now": now, "leaving": leaving}).scalar()
        if until is None:
            self._execute(_FREE, session)
        else:
            self._execute(_PROLONG, session | {"until": until})

    def record(self, event: EventType, reservation: Reservation, client_id: str) -> None:
        self._execute(
            _INSERT_EVENT,
            {
                "org_id": reservation.org_id,
                "hold_id": reservation.hold_id,
                "revision": reservation.revision,
                "at": reservation.update_time,
                "type": event,
                "client_id": client_id,
                "reservation": rows.reservation_row(reservation),
            },
        )

    def recall(self, org_id: str, client_id: str, method: str, key: str) -> Answer | None:
        row = self._execute(
            _RECALL, {"org": org_id, "client": client_id, "method": method, "key": key}
        ).one_or_none()
        return Answer(*row) if row else None

    def remember(self, org_id: str, client_id: str, method: str, key: str, answer: Answer) -> None:
        identity = {"org_id": org_id, "client_id": client_id, "method": method, "key": key}
        self._execute(
            _INSERT_ANSWER,
            identity
            | {
                "fingerprint": answer.fingerprint,
                "response": answer.response,
                "expires_at": answer.expires_at,
            },
        )

    def forgettable(self, org_id: str, now: int) -> bool:
        return self._execute(_FORGETTABLE, {"org": org_id, "now": now}).first() is not None

    def forget(self, org_id: str, now: int) -> None:
        self._execute(_FORGET, {"org": org_id, "now": now})

    def organization_ids(self) -> list[str]:
        return list(self._execute(select(organizations.c.org_id)).scalars())

    def put_organization(self, organization: Organization) -> None:
        version = {"catalog_version": token_hex(8)}
        self._put(organizations, rows.organization_row(organization) | version)

    def put_entry(self, org_id: str, entry: CatalogEntry) -> None:
        self._put(_ENTRY_TABLES[type(entry)], rows.entry_row(org_id, entry))
        self._catalog_changed(org_id, entry.span if isinstance(entry, Service) else 0)

    def put_override(self, org_id: str, override: Override) -> None:
        self._put(overrides, rows.override_row(org_id, override))
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

    def client(self, client_id: str) -> Client | None:
        found = self._execute(select(clients).where(clients.c.client_id == client_id))
        row = found.one_or_none()
        return rows.client(row) if row else None

    def clients(self, org_id: str) -> list[Client]:
        ordered = (
            select(clients)
            .where(clients.c.org_id == org_id)
            .order_by(clients.c.create_time, clients.c.client_id)
        )
        return [rows.client(row) for row in self._execute(ordered)]

    def put_client(self, client: Client) -> None:
        self._put(clients, rows.client_row(client))

    def touch(self) -> None:
        self._put(installation, {"name": "probe", "value": token_bytes(8)})

    def secret(self, name: str) -> bytes:
        known = select(installation.c.value).where(installation.c.name == name)
        value = self._execute(known).scalar()
        if value is None:
            value = token_bytes(32)
            self._execute(insert(installation), {"name": name, "value": value})
        return value

    def _put(self, table: Table, row: Mapping[str, Any]) -> None:
        """Insert a row, or replace the one of its key."""
        key = [column == row[column.name] for column in table.primary_key]
        if not self._execute(update(table).where(*key).values(row)).rowcount:
            self._execute(insert(table).values(row))
