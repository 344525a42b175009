"""The organizations that the benchmarks book.

`o_bench` has five people who are open day and night for ten-minute slots, and
people whose time is half taken. `o_speed` and `o_speed_0` to `o_speed_31` have
eleven services; one is held a minute at a time by any of five people in one of
five rooms, another has 1,000 days of which four slots in ten are taken.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

from zimun.booking.catalog import CreateOrganization
from zimun.booking.writer import Writer
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.entries import Organization, Resource, Service, StaffMember
from zimun.domain.catalog.weekly_hours import WeeklyHours
from zimun.domain.commands import Decision
from zimun.domain.instant import DAY, MINUTE
from zimun.domain.ledger.events import CatalogEntry, EventType, ReservationEvent, Session
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.reservation import Contact, Reservation, State

ORG_ID = "o_bench"
SERVICE_ID = "s_bench"
BUSY_SERVICE_ID = "s_busy"
STAFF = tuple(f"t_{n}" for n in range(5))
BUSY_STAFF = tuple(f"t_busy_{n}" for n in range(5))
BIG_SERVICE_ID = "s_big"
BIG_STAFF = tuple(f"t_big_{n}" for n in range(50))

SPEED_ORG_ID = "o_speed"
SPEED_ORG_IDS = tuple(f"o_speed_{n}" for n in range(32))
MINUTE_SERVICE_ID = "s_minute"
LONG_SERVICE_ID = "s_long"
MINUTE_STAFF = tuple(f"t_minute_{n}" for n in range(5))
LONG_STAFF = tuple(f"t_long_{n}" for n in range(5))
ROOMS = tuple(f"r_minute_{n}" for n in range(5))
LONG_ROOMS = tuple(f"r_long_{n}" for n in range(5))
LONG_DAYS = 1000
MANY_ORG_IDS = tuple(f"o_many_{n}" for n in range(50))
MANY_DAYS = 30

BATCH = 500
"""How many bookings one command makes."""

_ALWAYS = dict.fromkeys(range(7), ((0, 24 * 60),))
_OFFICE = dict.fromkeys(range(7), ((9 * 60, 17 * 60),))


async def seed(writer: Writer) -> None:
    """Make the organization with its three services, and nothing booked."""
    organization = Organization(id=ORG_ID, name="Bench", time_zone="UTC")
    await writer.run(ORG_ID, CreateOrganization(organization, tuple(_entries())), creates=True)


def _entries() -> Iterator[CatalogEntry]:
    """A service to hold, one whose people are half taken, and one of fifty people."""
    yield from (_member(staff_id, _ALWAYS) for staff_id in STAFF)
    yield from (_member(staff_id, _OFFICE) for staff_id in (*BUSY_STAFF, *BIG_STAFF))
    yield _service(SERVICE_ID, 10 * MINUTE, STAFF)
    yield _service(BUSY_SERVICE_ID, 30 * MINUTE, BUSY_STAFF)
    yield _service(BIG_SERVICE_ID, 30 * MINUTE, BIG_STAFF)


@dataclass(frozen=True)
class Book:
    """Record bookings as they are, without a decision."""

    bookings: Sequence[ReservationEvent]

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        return Decision(self.bookings, None)


async def book(writer: Writer, bookings: Iterable[ReservationEvent], org_id: str = ORG_ID) -> None:
    """Record bookings, so many by one command as a transaction can well take."""
    remaining = iter(bookings)
    while batch := tuple(islice(remaining, BATCH)):
        await writer.run(org_id, Book(batch))


async def seed_speed(writer: Writer, midnight: int) -> None:
    """Make the organizations of `python -m bench`, with LONG_DAYS booked from `midnight` on."""
    for org_id in (SPEED_ORG_ID, *SPEED_ORG_IDS):
        organization = Organization(id=org_id, name="Speed", time_zone="UTC")
        creation = CreateOrganization(organization, tuple(_speed_entries()))
        await writer.run(org_id, creation, creates=True)
    await book(writer, _long_days(midnight, LONG_DAYS, SPEED_ORG_ID), SPEED_ORG_ID)


async def seed_many(writer: Writer, midnight: int) -> None:
    """Make the organizations of `python -m bench.overload`, each with MANY_DAYS booked."""
    for org_id in MANY_ORG_IDS:
        organization = Organization(id=org_id, name="Many", time_zone="UTC")
        creation = CreateOrganization(organization, tuple(_speed_entries()))
        await writer.run(org_id, creation, creates=True)
        await book(writer, _long_days(midnight, MANY_DAYS, org_id), org_id)


def _speed_entries() -> Iterator[CatalogEntry]:
    yield from (_member(staff_id, _ALWAYS) for staff_id in MINUTE_STAFF)
    yield from (_member(staff_id, _OFFICE) for staff_id in LONG_STAFF)
    yield from (Resource(id=room, name=room) for room in (*ROOMS, *LONG_ROOMS))
    yield _service(MINUTE_SERVICE_ID, MINUTE, MINUTE_STAFF, ROOMS)
    yield _service(LONG_SERVICE_ID, 30 * MINUTE, LONG_STAFF, LONG_ROOMS)
    yield from (_service(f"s_other_{n}", 30 * MINUTE, LONG_STAFF) for n in range(9))


def _long_days(midnight: int, days: int, org_id: str) -> Iterator[ReservationEvent]:
    """Four half hours in ten of LONG_STAFF, each with a room."""
    random = Random(2)
    for day in range(days):
        for slot in range(16):
            taken = random.sample(range(5), 2)
            rooms = random.sample(LONG_ROOMS, 2)
            for person, room in zip(taken, rooms, strict=True):
                start = midnight + day * DAY + 9 * 60 * MINUTE + slot * 30 * MINUTE
                yield _booked(start, LONG_STAFF[person], (room,), org_id)


def busy_days(midnight: int, days: int) -> Iterator[ReservationEvent]:
    """Every second half hour of the busy people, from `midnight` (UTC) on."""
    for day in range(days):
        for staff_id in BUSY_STAFF:
            for slot in range(0, 16, 2):
                yield _booked(midnight + day * DAY + 9 * 60 * MINUTE + slot * 30 * MINUTE, staff_id)


def busy_month(midnight: int, days: int, bookings: int) -> Iterator[ReservationEvent]:
    """So many half hours of the fifty people, taken at random."""
    half_hours = [
        (midnight + day * DAY + 9 * 60 * MINUTE + slot * 30 * MINUTE, staff_id)
        for day in range(days)
        for staff_id in BIG_STAFF
        for slot in range(16)
    ]
    for start, staff_id in Random(1).sample(half_hours, bookings):
        yield _booked(start, staff_id)


def others(midnight: int, bookings: int) -> Iterator[ReservationEvent]:
    """Bookings of the same people, long before the days that are asked about."""
    people = (*BUSY_STAFF, *BIG_STAFF)
    for number in range(bookings):
        half_hour, person = divmod(number, len(people))
        yield _booked(midnight - 100 * DAY - half_hour * 30 * MINUTE, people[person])


def _member(staff_id: str, week: WeeklyHours) -> StaffMember:
    return StaffMember(id=staff_id, name=staff_id, time_zone="UTC", weekly_hours=week)


def _service(
    service_id: str, duration: int, staff_ids: tuple[str, ...], rooms: tuple[str, ...] = ()
) -> Service:
    return Service(
        id=service_id,
        name=service_id,
        duration=duration,
        slot_step=duration,
        horizon=1090 * DAY,
        staff_ids=staff_ids,
        resource_requirements=(rooms,) if rooms else (),
    )


def _booked(
    start: int, staff_id: str, rooms: tuple[str, ...] = (), org_id: str = ORG_ID
) -> ReservationEvent:
    name = f"{staff_id}_{start}"
    end = start + 30 * MINUTE
    reservation = Reservation(
        org_id=org_id,
        hold_id=f"h_{name}",
        session_id=f"x_{name}",
        service_id=BUSY_SERVICE_ID,
        location_id="",
        staff_id=staff_id,
        resource_ids=rooms,
        seats=1,
        start=start,
        end=end,
        state=State.CONFIRMED,
        expires_at=start,
        create_time=start,
        update_time=start,
        appointment_id=f"a_{name}",
        confirm_time=start,
        contact=Contact(name="Somebody", email="somebody@example.com"),
    )
    session = Session(
        session_id=reservation.session_id,
        service_id=reservation.service_id,
        location_id="",
        staff_id=staff_id,
        resource_ids=rooms,
        start=start,
        end=end,
        busy=(start, end),
        booked_at=start,
        capacity=1,
    ).joined_by(reservation)
    return ReservationEvent(EventType.APPOINTMENT_CONFIRMED, "", reservation, (session,))
