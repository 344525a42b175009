"""A salon, a client that books in it, and the engines that can store its ledger.

Tests of the store act through `SalonClient`, which books as a caller of the
service would, or through the commands `PutCatalog` and `AddEvents`, which
build states that no method of the service can. Every suite runs on each of
`ENGINES`; `Engine.tables` reads the tables directly, and `check_ledger` says
what must be true of the rows.
"""

import json
import pickle
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Protocol

from sqlalchemy import select

from zimun.booking import appointments, availability
from zimun.booking.availability import AvailabilityCache
from zimun.booking.catalog import CreateOrganization
from zimun.booking.catalog_changes import catalog_decision
from zimun.booking.change_request import ChangeRequest, new_id
from zimun.booking.reader import MAX_ROWS
from zimun.clock import ManualClock
from zimun.domain.appointment_commands import (
    BookAppointment,
    CompleteAppointment,
    MarkNoShow,
    ReopenAppointment,
    UpdateAppointment,
)
from zimun.domain.availability.slot_request import DateRange, SlotRequest
from zimun.domain.availability.slots import Slot
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.entries import Organization, Resource, Service, StaffMember
from zimun.domain.catalog.weekly_hours import Hours
from zimun.domain.commands import (
    CancelAppointment,
    Command,
    ConfirmHold,
    Decision,
    ExtendHold,
    Hold,
    ReleaseHold,
    RescheduleAppointment,
)
from zimun.domain.identity import SCOPES, Caller
from zimun.domain.instant import DAY, HOUR, MINUTE, from_datetime, to_datetime
from zimun.domain.ledger.events import (
    CATALOG_TYPES,
    FOREVER,
    CatalogEntry,
    CatalogValue,
    Event,
    EventType,
    ReservationEvent,
    Session,
)
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.reservation import LIVE, Contact, Reservation, State
from zimun.storage import reservation_rows
from zimun.storage.migrate import migrate
from zimun.storage.schema import metadata
from zimun.storage.urls import database_url
from zimun.stores import Stores, open_database

from ..support.postgres import emptied, shared

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
"""Needs no staff and no resource, so it is itself the subject that is taken."""

SERVICES = {service.id: service for service in (CUT, SPA, CLASS, KIOSK)}

SAM = Contact(name="Sam Rivers", email="sam@example.com")


def at(hour: int, minute: int = 0) -> int:
    """A time of Tuesday."""
    return TUESDAY + hour * HOUR + minute * MINUTE


def salon_entries(services: Iterable[Service] = SERVICES.values()) -> list[CatalogEntry]:
    """The entries of the salon's catalogue."""
    staff = [
        StaffMember(id=staff_id, name=staff_id, time_zone="UTC", weekly_hours=ALWAYS)
        for staff_id in STAFF
    ]
    return [*staff, *(Resource(id=room, name=room) for room in ROOMS), *services]


SALON = Organization(id=ORG, name="Salon", time_zone="UTC")


async def open_salon(stores: Stores, services: Iterable[Service] = SERVICES.values()) -> None:
    """Make the salon, with its catalogue."""
    await stores.writer.run(ORG, CreateOrganization(SALON, salon_entries(services)), creates=True)


@dataclass(frozen=True)
class PutCatalog:
    """The command to make the catalogue have these values; nothing checks them."""

    values: Sequence[CatalogValue]

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        return catalog_decision(timetable.catalog, client_id, self.values, None)


async def put_catalog(stores: Stores, *values: CatalogValue, org_id: str = ORG) -> None:
    """Put values into a catalogue; an organization among them is made if it is new."""
    await stores.writer.run(org_id, PutCatalog(values), creates=True)


@dataclass(frozen=True)
class AddEvents:
    """The command to append these events; nothing checks them."""

    events: Sequence[Event]

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        return Decision(self.events, None)


async def add_events(stores: Stores, *events: Event, org_id: str = ORG) -> None:
    """Append events to a ledger."""
    await stores.writer.run(org_id, AddEvents(events))


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
    return plain._replace(**changes)


def appointment(number: int = 1, **changes: Any) -> Reservation:
    """As `booked`, but confirmed."""
    confirmed = {"state": State.CONFIRMED, "appointment_id": f"a_{number}", "confirm_time": NOW}
    return booked(number, **{**confirmed, "contact": SAM, **changes})


def session_of(
    *members: Reservation, services: Mapping[str, Service] = SERVICES, **changes: Any
) -> Session:
    """The session of reservations that share one; those that are not live leave it."""
    first = members[0]
    service = services[first.service_id]
    session = Session(
        session_id=first.session_id,
        service_id=service.id,
        location_id=first.location_id,
        staff_id=first.staff_id,
        resource_ids=first.resource_ids,
        start=first.start,
        end=first.end,
        busy=(first.start - service.buffer_before, first.end + service.buffer_after),
        booked_at=first.create_time,
        capacity=service.capacity,
    ).with_members({})
    for member in members:
        if member.state in LIVE:
            session = session.joined_by(member)
    return session._replace(**changes)


_FIRST_TYPES = {
    State.HELD: EventType.HOLD_CREATED,
    State.RELEASED: EventType.HOLD_RELEASED,
    State.EXPIRED: EventType.HOLD_EXPIRED,
    State.CONFIRMED: EventType.APPOINTMENT_CONFIRMED,
    State.CANCELLED: EventType.APPOINTMENT_CANCELLED,
}


def event_of(
    reservation: Reservation, kind: EventType | None = None, client_id: str = ""
) -> ReservationEvent:
    """The event that makes a reservation what it is, alone in its session."""
    kind = kind or _FIRST_TYPES[reservation.state]
    return ReservationEvent(kind, client_id, reservation, (session_of(reservation),))


@dataclass(frozen=True)
class SalonClient:
    """A client of the salon: books, and reads the responses back from their bytes.

    `clock` is the clock that the stores were opened with.
    """

    stores: Stores
    clock: ManualClock
    caller: Caller = CALLER

    async def submit(self, method: str, key: str, command: Command, *content: object) -> bytes:
        """The response to a command; `content` stands for the request in its fingerprint."""
        fingerprint = repr(content).encode()
        request = ChangeRequest(self.caller, method, key, fingerprint, pickle.dumps)
        return await self.stores.writer.submit(request, command)

    async def hold_bytes(
        self,
        start: int,
        service_id: str = CUT.id,
        *,
        staff_id: str = "",
        seats: int = 1,
        key: str = "",
    ) -> bytes:
        request = SlotRequest(service_id=service_id, staff_id=staff_id, seats=seats)
        command = Hold(request, start, new_id("h"), new_id("x"))
        return await self.submit("hold", key, command, start, request)

    async def hold(
        self, start: int, service_id: str = CUT.id, *, staff_id: str = "", seats: int = 1
    ) -> Reservation:
        return opened(await self.hold_bytes(start, service_id, staff_id=staff_id, seats=seats))

    async def extend(self, hold_id: str, key: str = "") -> Reservation:
        return opened(await self.submit("extend", key, ExtendHold(hold_id), hold_id))

    async def release(self, hold_id: str, key: str = "") -> Reservation:
        return opened(await self.submit("release", key, ReleaseHold(hold_id), hold_id))

    async def confirm(self, hold_id: str, contact: Contact = SAM, key: str = "") -> Reservation:
        command = ConfirmHold(hold_id, new_id("a"), contact)
        return opened(await self.submit("confirm", key, command, hold_id, contact))

    async def book(
        self, start: int, service_id: str = CUT.id, *, staff_id: str = "", seats: int = 1
    ) -> Reservation:
        """Hold and confirm."""
        held = await self.hold(start, service_id, staff_id=staff_id, seats=seats)
        return await self.confirm(held.hold_id)

    async def book_at_once(
        self, start: int, service_id: str = CUT.id, *, staff_id: str = "", seats: int = 1
    ) -> Reservation:
        """Hold and confirm in one command."""
        request = SlotRequest(service_id=service_id, staff_id=staff_id, seats=seats)
        hold = Hold(request, start, new_id("h"), new_id("x"))
        command = BookAppointment(hold, new_id("a"), SAM)
        return opened(await self.submit("book", "", command, start, request))

    async def change(
        self,
        command: UpdateAppointment | CompleteAppointment | MarkNoShow | ReopenAppointment,
    ) -> Reservation:
        """The appointment after a command on it."""
        return opened(await self.submit("change", "", command, command))

    async def cancel(
        self, appointment_id: str, reason: str = "", etag: str = "", key: str = ""
    ) -> Reservation:
        command = CancelAppointment(appointment_id, reason, etag)
        return opened(await self.submit("cancel", key, command, command))

    async def reschedule(
        self, appointment_id: str, start: int, staff_id: str = "", etag: str = "", key: str = ""
    ) -> Reservation:
        command = RescheduleAppointment(appointment_id, start, staff_id, etag, new_id("x"))
        content = (appointment_id, start, staff_id, etag)
        return opened(await self.submit("reschedule", key, command, *content))

    async def get(self, appointment_id: str) -> Reservation:
        return await appointments.get_appointment(self.stores.reader, self.caller, appointment_id)

    async def expire_holds(self) -> int:
        """Record what time has ended; answers how many holds that were."""
        return await appointments.expire_holds(self.stores.ledgers, self.stores.writer, self.clock)

    async def drop_responses(self) -> None:
        """Delete the kept responses whose lifetime is over."""
        await self.stores.ledgers.drop_responses(self.clock.now())

    async def slots(
        self, service_id: str = CUT.id, *, staff_id: str = "", seats: int = 1, day: int = TUESDAY
    ) -> dict[int, Slot]:
        """The open slots of a day by their starts."""
        date = to_datetime(day).date()
        found = await availability.get_availability(
            self.stores.reader,
            AvailabilityCache(),
            self.caller,
            SlotRequest(service_id=service_id, staff_id=staff_id, seats=seats),
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

    def open(
        self, clock: ManualClock | None = None, max_rows: int = MAX_ROWS
    ) -> AbstractAsyncContextManager[Stores]:
        """Stores on the database, as one server has them; several may be open at once.

        Without a clock they have one of their own that stands at NOW.
        """

    def tables(self) -> Tables:
        """Every row of every table by its key, read without the stores."""


class SqliteEngine:
    """A SQLite file in a directory, made where there is none."""

    def __init__(self, directory: Path) -> None:
        self.url = database_url("", directory)
        self.path = Path(self.url.database or "")
        if not self.path.exists():
            self.path.write_bytes(_migrated())

    def open(
        self, clock: ManualClock | None = None, max_rows: int = MAX_ROWS
    ) -> AbstractAsyncContextManager[Stores]:
        return open_database(self.url, clock or ManualClock(NOW), max_rows)

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
    """The bytes of a SQLite file that was just migrated: copying it is quicker."""
    with TemporaryDirectory() as directory:
        url = database_url("", Path(directory))
        migrate(url)
        return Path(url.database or "").read_bytes()


class PostgresqlEngine:
    """The database of a server that the whole run shares, emptied."""

    def __init__(self, _: Path) -> None:
        self._server, self._name = shared()
        self.url = database_url(emptied(), Path())

    def open(
        self, clock: ManualClock | None = None, max_rows: int = MAX_ROWS
    ) -> AbstractAsyncContextManager[Stores]:
        return open_database(self.url, clock or ManualClock(NOW), max_rows)

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


ENGINES: Mapping[str, Callable[[Path], Engine]] = {
    "sqlite": SqliteEngine,
    "postgresql": PostgresqlEngine,
}
"""What the suite runs on, each made from a directory of its own."""


def reservations_of(tables: Tables) -> dict[str, Reservation]:
    """By hold_id, what the reservations table holds."""
    found = (reservation_rows.reservation(list(row.values())) for row in tables["reservations"])
    return {reservation.hold_id: reservation for reservation in found}


def reservation_events(tables: Tables) -> list[Row]:
    """The events about reservations, in order."""
    return [event for event in tables["events"] if event["hold_id"]]


def events_of(tables: Tables, hold_id: str) -> list[str]:
    """The types of a reservation's events, in order."""
    return [event["type"] for event in tables["events"] if event["hold_id"] == hold_id]


def is_live(reservation: Reservation, now: int) -> bool:
    """Whether the reservation keeps its time busy at `now`."""
    return reservation.state in LIVE and (
        reservation.state is not State.HELD or now < reservation.expires_at
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
                    member.expires_at if member.state is State.HELD else FOREVER
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
    own = f"{reservation.service_id}@{reservation.location_id}"
    return (*staff_ids, *reservation.resource_ids) or (own,)


def _by_subject(row: Row) -> tuple[str, int]:
    return row["subject"], row["busy_start"]


def check_ledger(tables: Tables, now: int, services: Mapping[str, Service] = SERVICES) -> None:
    """Assert what must be true of ledgers, reservations, allocations and events at every moment.

    Nothing is sold twice; what is busy is exactly what the live reservations
    take. Events are numbered 1, 2, 3 and so on up to the head, and time does not
    run back along them. Replayed in order they are a legal story of every
    reservation, in which nothing is ever sold twice either, and end in the rows
    of reservations, allocations and sessions.
    """
    reservations = reservations_of(tables)
    live = [found for found in reservations.values() if is_live(found, now)]
    _check_allocations(tables["allocations"], reservations.values(), live, now, services)
    _check_seats(live, services)
    assert {row["org_id"] for row in tables["events"]} <= {
        row["org_id"] for row in tables["ledgers"]
    }
    for head in tables["ledgers"]:
        check_history(tables, head)


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


def check_history(tables: Tables, head: Row) -> None:
    """Assert what must be true of one organization's events, as `check_ledger` says."""

    def own(table: str) -> list[Row]:
        return [row for row in tables[table] if row["org_id"] == head["org_id"]]

    events = own("events")
    _check_numbers(events, head)
    replay = _Replay(is_whole=all(event["type"] != "HISTORY_PRUNED" for event in events))
    for event in events:
        if event["hold_id"]:
            replay.add(event)
    assert replay.reservations == {
        row["hold_id"]: {name: row[name] for name in row if name != "contact_key"}
        for row in own("reservations")
    }
    if replay.is_whole:
        assert replay.allocations() == own("allocations")
        assert replay.seats() == {
            row["session_id"]: (row["seats_taken"], row["capacity"]) for row in own("sessions")
        }


def _check_numbers(events: Sequence[Row], head: Row) -> None:
    numbers = [event["seq"] for event in events]
    assert (numbers[-1] if numbers else 0) == head["seq"], "the head is not the last event"
    pruned = [event["seq"] for event in events if event["type"] == "HISTORY_PRUNED"]
    # Pruning takes events away, of those before its own.
    gapless = [number for number in numbers if number >= max(pruned, default=1)]
    assert gapless == [*range(max(pruned, default=1), head["seq"] + 1)], "numbers are missing"
    times = [event["time"] for event in events]
    assert times == sorted(times), "time runs back along the events"
    assert not times or times[-1] <= head["time"], "an event is later than the head"
    catalog = [event["seq"] for event in events if event["type"] in CATALOG_TYPES]
    assert not catalog or catalog[-1] == head["catalog_version"]


class _Step(NamedTuple):
    """What an event may do to a reservation: its states before, the one after, what may change."""

    before: tuple[str, ...]
    after: str
    changes: frozenset[str] = frozenset()


_MOVES = frozenset({"start_time", "end_time", "session_id", "staff_id", "resource_ids"})
_CONTACT = frozenset({"contact_name", "contact_email", "contact_phone", "notes", "metadata"})

_OUTCOME = frozenset({"outcome_time"})

_STEPS: Mapping[str, _Step] = {
    "HOLD_EXTENDED": _Step(("HELD",), "HELD", frozenset({"expires_at"})),
    "HOLD_RELEASED": _Step(("HELD",), "RELEASED"),
    "HOLD_EXPIRED": _Step(("HELD",), "EXPIRED"),
    "APPOINTMENT_CONFIRMED": _Step(
        ("HELD",), "CONFIRMED", _CONTACT | {"appointment_id", "confirm_time"}
    ),
    "APPOINTMENT_RESCHEDULED": _Step(("CONFIRMED",), "CONFIRMED", _MOVES),
    "APPOINTMENT_CANCELLED": _Step(("CONFIRMED",), "CANCELLED", frozenset({"cancel_reason"})),
    "APPOINTMENT_UPDATED": _Step(("CONFIRMED",), "CONFIRMED", _CONTACT | {"seats"}),
    "APPOINTMENT_COMPLETED": _Step(("CONFIRMED",), "COMPLETED", _OUTCOME),
    "APPOINTMENT_NO_SHOW": _Step(("CONFIRMED",), "NO_SHOW", _OUTCOME),
    "APPOINTMENT_REOPENED": _Step(("COMPLETED", "NO_SHOW"), "CONFIRMED", _OUTCOME),
}

_FIRST = {"HOLD_CREATED": "HELD", "APPOINTMENT_CONFIRMED": "CONFIRMED"}
"""How a reservation may begin, and its state; demo data begins as an appointment."""


@dataclass
class _Replay:
    """Rows as the events up to one of them leave them; `is_whole` where nothing was pruned."""

    is_whole: bool
    reservations: dict[str, Row] = field(default_factory=dict)
    sessions: dict[str, Row] = field(default_factory=dict)

    def add(self, event: Row) -> None:
        """Go on to the next event, which must be legal after those before."""
        data = json.loads(event["data"])
        after = data["reservation"]
        before = self.reservations.get(event["hold_id"])
        assert after["hold_id"] == event["hold_id"]
        assert after["revision"] == event["revision"]
        if before is None:
            _check_first(event, after)
        else:
            _check_step(event, before, after)
        self.reservations[event["hold_id"]] = after
        if self.is_whole:
            # What ends comes before what takes its place.
            for session in sorted(data["sessions"], key=itemgetter("until")):
                self._add_session(session)
            touched = {session["session_id"] for session in data["sessions"]}
            left = {before["session_id"]} if before else set()
            assert touched == {after["session_id"]} | left

    def _add_session(self, session: Row) -> None:
        session_id = session["session_id"]
        members = [
            row
            for row in self.reservations.values()
            if row["session_id"] == session_id and row["state"] in LIVE
        ]
        assert session["seats_taken"] == sum(row["seats"] for row in members)
        assert session["seats_taken"] <= session["capacity"], f"oversold: {session}"
        assert session["until"] == max(
            (row["expires_at"] if row["state"] == "HELD" else FOREVER for row in members),
            default=0,
        )
        self.sessions.pop(session_id, None)
        if not session["until"]:
            return
        begin, end = session["busy"]
        for other in self.sessions.values():
            apart = end <= other["busy"][0] or other["busy"][1] <= begin
            shared = set(_subjects(session)) & set(_subjects(other))
            assert apart or not shared, f"sold twice: {session}, {other}"
        self.sessions[session_id] = session

    def allocations(self) -> list[Row]:
        """The rows of allocations that the sessions come to, by their key."""
        [org_id] = {row["org_id"] for row in self.reservations.values()} or {""}
        found = [
            {
                "org_id": org_id,
                "subject": subject,
                "busy_start": session["busy"][0],
                "busy_end": session["busy"][1],
                "start_time": session["start"],
                "session_id": session["session_id"],
                "expires_at": session["until"],
                "booked_at": session["booked_at"],
            }
            for session in self.sessions.values()
            for subject in _subjects(session)
        ]
        return sorted(found, key=_by_subject)

    def seats(self) -> dict[str, tuple[int, int]]:
        """The seats taken of each session that has several, and its capacity."""
        return {
            session["session_id"]: (session["seats_taken"], session["capacity"])
            for session in self.sessions.values()
            if session["capacity"] > 1
        }


def _subjects(session: Row) -> Sequence[str]:
    staff_ids = [session["staff_id"]] if session["staff_id"] else []
    own = f"{session['service_id']}@{session['location_id']}"
    return [*staff_ids, *session["resource_ids"]] or [own]


def _check_first(event: Row, row: Row) -> None:
    assert (event["type"], row["state"]) in _FIRST.items(), f"no beginning: {event}"
    assert row["revision"] == 1
    assert row["create_time"] == row["update_time"] == event["time"]
    assert (row["state"] == "CONFIRMED") is (row["appointment_id"] != "")


def _check_step(event: Row, before: Row, after: Row) -> None:
    step = _STEPS.get(event["type"])
    assert step, f"no step: {event}"
    assert before["state"] in step.before, f"no step: {event}"
    assert after["state"] == step.after, f"no step: {event}"
    assert after["revision"] == before["revision"] + 1
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= step.changes | {"state", "revision", "update_time"}, f"no step: {event}"
    if event["type"] == "HOLD_EXPIRED":
        assert event["client_id"] == ""
        assert event["time"] >= before["expires_at"] == after["update_time"]
        return
    assert after["update_time"] == event["time"]
    assert before["state"] != "HELD" or event["time"] < before["expires_at"], f"late: {event}"
