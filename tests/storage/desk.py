"""A salon and its front desk, and the engines that can keep its books.

Tests of the store say what they mean through `Desk`, which books as a caller of
the service would, or through `booked`, which makes a plain reservation to keep.
Every suite runs on each of `ENGINES`; `Engine.tables` reads behind the store's
back, and `check_ledger` says what must be true of what is there.
"""

import json
import pickle
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from sqlalchemy import select

from zimun.booking import appointments, availability
from zimun.booking.availability import DateRange, Wanted
from zimun.booking.change import Change
from zimun.booking.store import CatalogEntry, Store, Transaction
from zimun.clock import ManualClock
from zimun.domain.access import SCOPES, Caller
from zimun.domain.availability import Slot
from zimun.domain.reservation import LIVE, Contact, Reservation, State
from zimun.domain.catalog import Hours, Organization, Resource, Service, StaffMember
from zimun.domain.instant import DAY, HOUR, MINUTE, from_datetime, to_datetime
from zimun.storage import dialect, rows
from zimun.storage.migrate import migrate
from zimun.storage.shared import SharedStore
from zimun.storage.tables import FOREVER, metadata
from zimun.storage.transactions import EmbeddedStore

from ..postgres import emptied, shared

Row = dict[str, Any]
Tables = dict[str, list[Row]]

NOW = from_datetime(datetime(2025, 12, 1, 8, tzinfo=UTC))
"""When tests begin: a Monday morning."""

TUESDAY = from_datetime(datetime(2025, 12, 2, tzinfo=UTC))
"""00:00 of the day on which tests book."""

ORG = "o_salon"
CALLER = Caller(ORG, "c_desk", frozenset(SCOPES))

ALWAYS: Mapping[int, Hours] = dict.fromkeys(range(7), ((0, 24 * 60),))

STAFF = ("t_ada", "t_ben", "t_chloe")
ROOMS = ("r_room", "r_hall")

CUT = Service(
    id="s_cut",
    name="Cut",
    duration=30 * MINUTE,
    slot_step=30 * MINUTE,
    horizon=365 * DAY,
    staff_ids=STAFF,
)
"""Half an hour by any of three."""

SPA = Service(
    id="s_spa",
    name="Spa",
    duration=HOUR,
    buffer_before=10 * MINUTE,
    buffer_after=20 * MINUTE,
    slot_step=15 * MINUTE,
    horizon=90 * DAY,
    cancellation_cutoff=HOUR,
    reschedule_cutoff=HOUR,
    staff_ids=("t_ada", "t_ben"),
    resource_requirements=(("r_room",),),
)
"""An hour by one of two, in the one room, with buffers and cut-offs."""

CLASS = Service(
    id="s_class",
    name="Class",
    duration=HOUR,
    slot_step=HOUR,
    horizon=90 * DAY,
    capacity=8,
    staff_ids=("t_chloe",),
    resource_requirements=(("r_hall",),),
)
"""Eight seats, one teacher, one hall."""

KIOSK = Service(
    id="s_kiosk", name="Kiosk", duration=10 * MINUTE, slot_step=10 * MINUTE, horizon=90 * DAY
)
"""Needs nobody and nothing, so it is itself what is taken."""

SERVICES = {service.id: service for service in (CUT, SPA, CLASS, KIOSK)}

SAM = Contact(name="Sam Rivers", email="sam@example.com")


def at(hour: int, minute: int = 0) -> int:
    """A time of Tuesday."""
    return TUESDAY + hour * HOUR + minute * MINUTE


def open_salon(tx: Transaction, services: Iterable[Service] = SERVICES.values()) -> None:
    """Put the salon's catalogue into the store."""
    tx.put_organization(Organization(id=ORG, name="Salon", time_zone="UTC"))
    entries: list[CatalogEntry] = [
        StaffMember(id=staff_id, name=staff_id, time_zone="UTC", weekly_hours=ALWAYS)
        for staff_id in STAFF
    ]
    entries += [Resource(id=room, name=room) for room in ROOMS]
    for entry in (*entries, *services):
        tx.put_entry(ORG, entry)


def booked(number: int = 1, **changes: Any) -> Reservation:
    """A hold of the salon as `booking.hold` would make it; `number` tells it from others."""
    plain = Reservation(
        org_id=ORG,
        hold_id=f"h_{number}",
        session_id=f"x_{number}",
        service_id=CUT.id,
        location_id="",
        staff_id="t_ada",
        resource_ids=(),
        seats=1,
        start=at(10),
        end=at(10, 30),
        state=State.HELD,
        expires_at=NOW + 10 * MINUTE,
        create_time=NOW,
        update_time=NOW,
    )
    return replace(plain, **changes)


def appointment(number: int = 1, **changes: Any) -> Reservation:
    """As `booked`, but confirmed."""
    confirmed = {"state": State.CONFIRMED, "appointment_id": f"a_{number}", "confirm_time": NOW}
    return booked(number, **{**confirmed, "contact": SAM, **changes})


@dataclass(frozen=True)
class Desk:
    """A client of the salon: books, and reads the answers back from their bytes."""

    store: Store
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    caller: Caller = CALLER

    def change(self, method: str, key: str, *content: object) -> Change[Reservation]:
        """A request whose fingerprint is its content."""
        return Change(self.caller, method, key, repr(content).encode(), pickle.dumps)

    async def hold_bytes(
        self,
        start: int,
        service_id: str = CUT.id,
        *,
        staff_id: str = "",
        seats: int = 1,
        key: str = "",
    ) -> bytes:
        wanted = Wanted(service_id=service_id, staff_id=staff_id, seats=seats)
        change = self.change("hold", key, start, wanted)
        return await appointments.hold(self.store, self.clock, change, wanted, start)

    async def hold(
        self, start: int, service_id: str = CUT.id, *, staff_id: str = "", seats: int = 1
    ) -> Reservation:
        return opened(await self.hold_bytes(start, service_id, staff_id=staff_id, seats=seats))

    async def extend(self, hold_id: str, key: str = "") -> Reservation:
        change = self.change("extend", key, hold_id)
        return opened(await appointments.extend_hold(self.store, self.clock, change, hold_id))

    async def release(self, hold_id: str, key: str = "") -> Reservation:
        change = self.change("release", key, hold_id)
        return opened(await appointments.release_hold(self.store, self.clock, change, hold_id))

    async def confirm(self, hold_id: str, contact: Contact = SAM, key: str = "") -> Reservation:
        change = self.change("confirm", key, hold_id, contact)
        return opened(await appointments.confirm(self.store, self.clock, change, hold_id, contact))

    async def book(
        self, start: int, service_id: str = CUT.id, *, staff_id: str = "", seats: int = 1
    ) -> Reservation:
        """Hold and confirm."""
        held = await self.hold(start, service_id, staff_id=staff_id, seats=seats)
        return await self.confirm(held.hold_id)

    async def cancel(
        self, appointment_id: str, reason: str = "", etag: str = "", key: str = ""
    ) -> Reservation:
        change = self.change("cancel", key, appointment_id, reason, etag)
        return opened(
            await appointments.cancel(self.store, self.clock, change, appointment_id, reason, etag)
        )

    async def reschedule(
        self, appointment_id: str, start: int, staff_id: str = "", etag: str = "", key: str = ""
    ) -> Reservation:
        change = self.change("reschedule", key, appointment_id, start, staff_id, etag)
        return opened(
            await appointments.reschedule(
                self.store, self.clock, change, appointment_id, start, staff_id, etag
            )
        )

    async def sweep(self) -> int:
        return await appointments.sweep(self.store, self.clock)

    async def slots(
        self, service_id: str = CUT.id, *, staff_id: str = "", seats: int = 1, day: int = TUESDAY
    ) -> dict[int, Slot]:
        """The open slots of a day by their starts."""
        date = to_datetime(day).date()
        found = await availability.get_availability(
            self.store,
            self.clock.now(),
            self.caller,
            Wanted(service_id=service_id, staff_id=staff_id, seats=seats),
            DateRange(first=date, last=date),
        )
        return {slot.start: slot for slot in found.slots}


def opened(answer: bytes) -> Reservation:
    """The reservation that an answer's bytes stand for."""
    found = pickle.loads(answer)
    assert isinstance(found, Reservation)
    return found


class Engine(Protocol):
    """A kind of database, with one empty and migrated one of it at hand."""

    def open(self) -> AbstractAsyncContextManager[Store]:
        """A store on the database; several may be open at once."""

    def tables(self) -> Tables:
        """Every row of every table, read without the store, in an order of their own."""


class Embedded:
    """The embedded file in a directory, made where there is none."""

    def __init__(self, directory: Path) -> None:
        self.url = dialect.database_url("", directory)
        self.path = Path(self.url.database or "")
        if not self.path.exists():
            self.path.write_bytes(_migrated())

    def open(self) -> AbstractAsyncContextManager[Store]:
        return EmbeddedStore(self.url)

    def tables(self) -> Tables:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN")
            return {
                table.name: [dict(row) for row in connection.execute(query)]
                for table, query in _QUERIES.items()
            }


_QUERIES = {
    table: str(select(table).order_by(*table.primary_key)) for table in metadata.sorted_tables
}


@cache
def _migrated() -> bytes:
    """The bytes of an embedded file that was just migrated: copying it is quicker."""
    with TemporaryDirectory() as directory:
        url = dialect.database_url("", Path(directory))
        migrate(url)
        return Path(url.database or "").read_bytes()


class Shared:
    """The database of a server that the whole run shares, emptied."""

    def __init__(self, _: Path) -> None:
        self._server, self._name = shared()
        self.url = dialect.database_url(emptied(), Path())

    def open(self) -> AbstractAsyncContextManager[Store]:
        return SharedStore(self.url)

    def tables(self) -> Tables:
        found: Tables = json.loads(self._server.value(self._name, _AS_JSON))
        return found


_AS_JSON = "SELECT json_build_object({})".format(
    ", ".join(
        f"'{table.name}', (SELECT coalesce(json_agg(found), '[]') FROM ({query}) AS found)"
        for table, query in _QUERIES.items()
    )
)
"""Every table at once: each question makes a connection of its own."""


ENGINES: Mapping[str, Callable[[Path], Engine]] = {"embedded": Embedded, "shared": Shared}
"""What the suite runs on, each made from a directory of its own."""


def reservations_of(tables: Tables) -> dict[str, Reservation]:
    """By hold_id, what the reservations table holds."""
    found = (rows.reservation(list(row.values())) for row in tables["reservations"])
    return {reservation.hold_id: reservation for reservation in found}


def events_of(tables: Tables, hold_id: str) -> list[str]:
    """The types of a reservation's events, in order."""
    return [event["type"] for event in tables["events"] if event["hold_id"] == hold_id]


def is_live(reservation: Reservation, now: int) -> bool:
    """Whether the reservation keeps its time busy at `now`."""
    return reservation.state in LIVE and (
        reservation.state is State.CONFIRMED or now < reservation.expires_at
    )


def implied(reservations: Iterable[Reservation], services: Mapping[str, Service]) -> list[Row]:
    """The allocations that live reservations imply, one for each subject of each session."""
    sessions: dict[str, list[Reservation]] = defaultdict(list)
    for reservation in reservations:
        sessions[reservation.session_id].append(reservation)
    return sorted(
        (
            {
                "subject": subject,
                "session_id": session_id,
                "busy_start": members[0].start - services[members[0].service_id].buffer_before,
                "busy_end": members[0].end + services[members[0].service_id].buffer_after,
                "expires_at": max(
                    FOREVER if member.state is State.CONFIRMED else member.expires_at
                    for member in members
                ),
            }
            for session_id, members in sessions.items()
            for subject in subjects_of(members[0])
        ),
        key=_by_subject,
    )


def subjects_of(reservation: Reservation) -> Sequence[str]:
    """What a reservation takes."""
    staff_ids = (reservation.staff_id,) if reservation.staff_id else ()
    return (*staff_ids, *reservation.resource_ids) or (reservation.service_id,)


def _by_subject(row: Row) -> tuple[str, int]:
    return row["subject"], row["busy_start"]


def check_ledger(tables: Tables, now: int, services: Mapping[str, Service] = SERVICES) -> None:
    """Assert what must be true of reservations, allocations and events at every moment.

    Nothing is sold twice; what is busy is exactly what the live reservations
    take; every revision has its event, and the last one is the reservation as
    it stands.
    """
    reservations = reservations_of(tables)
    live = [found for found in reservations.values() if is_live(found, now)]
    _check_allocations(tables["allocations"], reservations.values(), live, now, services)
    _check_seats(live, services)
    _check_events(tables, reservations)


def _check_allocations(
    allocations: Sequence[Row],
    reservations: Iterable[Reservation],
    live: Sequence[Reservation],
    now: int,
    services: Mapping[str, Service],
) -> None:
    columns = ("subject", "session_id", "busy_start", "busy_end", "expires_at")
    lasting = [
        {column: row[column] for column in columns}
        for row in allocations
        if row["expires_at"] > now
    ]
    assert sorted(lasting, key=_by_subject) == implied(live, services)
    over = {row["session_id"] for row in allocations if row["expires_at"] <= now}
    unrecorded = {found.session_id for found in reservations if found.state is State.HELD}
    assert over <= unrecorded, "allocations outlive the reservations that they were made for"
    ordered = sorted(lasting, key=_by_subject)
    for row, following in pairwise(ordered):
        apart = row["busy_end"] <= following["busy_start"]
        assert apart or row["subject"] != following["subject"], f"sold twice: {row}, {following}"


def _check_seats(live: Sequence[Reservation], services: Mapping[str, Service]) -> None:
    seats: dict[str, int] = defaultdict(int)
    for reservation in live:
        seats[reservation.session_id] += reservation.seats
        assert seats[reservation.session_id] <= services[reservation.service_id].capacity


def _check_events(tables: Tables, reservations: Mapping[str, Reservation]) -> None:
    events: dict[str, list[Row]] = defaultdict(list)
    for event in tables["events"]:
        events[event["hold_id"]].append(event)
    assert events.keys() == reservations.keys()
    rows_by_id = {row["hold_id"]: row for row in tables["reservations"]}
    for hold_id, found in events.items():
        assert [event["revision"] for event in found] == [
            number + 1 for number in range(reservations[hold_id].revision)
        ]
        assert decoded_event(found[-1]) == rows_by_id[hold_id]
        assert found[-1]["at"] == rows_by_id[hold_id]["update_time"]


def decoded_event(event: Row) -> Row:
    """The reservation's row as an event kept it."""
    found = json.loads(event["reservation"])
    assert isinstance(found, dict)
    return found
