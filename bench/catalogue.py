"""The organization that the benchmarks book: five people, open day and night, ten-minute slots."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

from zimun.booking.catalog import CreateOrganization
from zimun.booking.writer import Writer
from zimun.domain.catalog import Organization, Service, StaffMember, WeeklyHours
from zimun.domain.commands import Decision
from zimun.domain.events import CatalogEntry, EventType, ReservationEvent, Session
from zimun.domain.instant import DAY, MINUTE
from zimun.domain.ledger import Ledger
from zimun.domain.reservation import Contact, Reservation, State
from zimun.domain.timetable import Timetable

ORG_ID = "o_bench"
SERVICE_ID = "s_bench"
BUSY_SERVICE_ID = "s_busy"
STAFF = tuple(f"t_{n}" for n in range(5))
BUSY_STAFF = tuple(f"t_busy_{n}" for n in range(5))
BIG_SERVICE_ID = "s_big"
BIG_STAFF = tuple(f"t_big_{n}" for n in range(50))

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
    """Record bookings as they are, whoever has them."""

    bookings: Sequence[ReservationEvent]

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        return Decision(self.bookings, None)


async def book(writer: Writer, bookings: Iterable[ReservationEvent]) -> None:
    """Record bookings, so many by one command as a transaction can well take."""
    remaining = iter(bookings)
    while batch := tuple(islice(remaining, BATCH)):
        await writer.run(ORG_ID, Book(batch))


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


def _service(service_id: str, duration: int, staff_ids: tuple[str, ...]) -> Service:
    return Service(
        id=service_id,
        name=service_id,
        duration=duration,
        slot_step=duration,
        horizon=1000 * DAY,
        staff_ids=staff_ids,
    )


def _booked(start: int, staff_id: str) -> ReservationEvent:
    name = f"{staff_id}_{start}"
    end = start + 30 * MINUTE
    reservation = Reservation(
        org_id=ORG_ID,
        hold_id=f"h_{name}",
        session_id=f"x_{name}",
        service_id=BUSY_SERVICE_ID,
        location_id="",
        staff_id=staff_id,
        resource_ids=(),
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
        resource_ids=(),
        start=start,
        end=end,
        busy=(start, end),
        booked_at=start,
        capacity=1,
    ).joined_by(reservation)
    return ReservationEvent(EventType.APPOINTMENT_CONFIRMED, "", reservation, (session,))
