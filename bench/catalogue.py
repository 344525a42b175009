"""The organization that the benchmarks book: five people, open day and night, ten-minute slots."""

from collections.abc import Iterator
from random import Random

from zimun.booking.store import Transaction
from zimun.domain.reservation import Contact, EventType, Reservation, State
from zimun.domain.catalog import Organization, Service, StaffMember, WeeklyHours
from zimun.domain.instant import DAY, MINUTE

ORG_ID = "o_bench"
SERVICE_ID = "s_bench"
BUSY_SERVICE_ID = "s_busy"
STAFF = tuple(f"t_{n}" for n in range(5))
BUSY_STAFF = tuple(f"t_busy_{n}" for n in range(5))
BIG_SERVICE_ID = "s_big"
BIG_STAFF = tuple(f"t_big_{n}" for n in range(50))
BATCH = 2_000

_ALWAYS = dict.fromkeys(range(7), ((0, 24 * 60),))
_OFFICE = dict.fromkeys(range(7), ((9 * 60, 17 * 60),))


def seed(tx: Transaction, midnight: int, days: int) -> None:
    """Two services: one to hold, and one whose people have every second half hour taken.

    The busy days begin at `midnight`, a UTC one.
    """
    tx.put_organization(Organization(id=ORG_ID, name="Bench", time_zone="UTC"))
    for staff_id in STAFF:
        tx.put_entry(ORG_ID, _member(staff_id, _ALWAYS))
    for staff_id in BUSY_STAFF:
        tx.put_entry(ORG_ID, _member(staff_id, _OFFICE))
    tx.put_entry(ORG_ID, _service(SERVICE_ID, 10 * MINUTE, STAFF))
    tx.put_entry(ORG_ID, _service(BUSY_SERVICE_ID, 30 * MINUTE, BUSY_STAFF))
    for day in range(days):
        for staff_id in BUSY_STAFF:
            for slot in range(0, 16, 2):
                _book(tx, midnight + day * DAY + 9 * 60 * MINUTE + slot * 30 * MINUTE, staff_id)


def seed_month(tx: Transaction, midnight: int, days: int, bookings: int) -> None:
    """A service of fifty people, and so many of their half hours taken at random."""
    for staff_id in BIG_STAFF:
        tx.put_entry(ORG_ID, _member(staff_id, _OFFICE))
    tx.put_entry(ORG_ID, _service(BIG_SERVICE_ID, 30 * MINUTE, BIG_STAFF))
    half_hours = [
        (midnight + day * DAY + 9 * 60 * MINUTE + slot * 30 * MINUTE, staff_id)
        for day in range(days)
        for staff_id in BIG_STAFF
        for slot in range(16)
    ]
    for start, staff_id in Random(1).sample(half_hours, bookings):
        _book(tx, start, staff_id)


def batches(bookings: int) -> Iterator[range]:
    """So many numbers, in batches that one transaction takes."""
    return (range(begin, min(begin + BATCH, bookings)) for begin in range(0, bookings, BATCH))


def seed_others(tx: Transaction, midnight: int, numbers: range) -> None:
    """Bookings of the same people and of others, long before the days that are asked about."""
    people = (*BUSY_STAFF, *BIG_STAFF)
    for number in numbers:
        half_hour, person = divmod(number, len(people))
        _book(tx, midnight - 100 * DAY - half_hour * 30 * MINUTE, people[person])


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


def _book(tx: Transaction, start: int, staff_id: str) -> None:
    name = f"{staff_id}_{start}"
    booked = Reservation(
        org_id=ORG_ID,
        hold_id=f"h_{name}",
        session_id=f"x_{name}",
        service_id=BUSY_SERVICE_ID,
        location_id="",
        staff_id=staff_id,
        resource_ids=(),
        seats=1,
        start=start,
        end=start + 30 * MINUTE,
        state=State.CONFIRMED,
        expires_at=start,
        create_time=start,
        update_time=start,
        appointment_id=f"a_{name}",
        confirm_time=start,
        contact=Contact(name="Somebody", email="somebody@example.com"),
    )
    tx.add(EventType.APPOINTMENT_CONFIRMED, booked, "")
    tx.allocate(booked, (staff_id,), (start, start + 30 * MINUTE), start, capacity=1)
