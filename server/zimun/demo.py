"""The demo: an organization that the published examples run against, word for word."""

from collections.abc import Iterator
from datetime import timedelta

from zimun.booking.catalog import CreateOrganization
from zimun.booking.writer import Writer
from zimun.domain.catalog.entries import (
    Location,
    Organization,
    Resource,
    Service,
    SlotAlignment,
    StaffMember,
)
from zimun.domain.catalog.weekly_hours import WeeklyHours
from zimun.domain.instant import DAY, HOUR, MINUTE, from_datetime, to_datetime
from zimun.domain.ledger.events import CatalogEntry, EventType, ReservationEvent, Session
from zimun.domain.ledger.reservation import Contact, Reservation, State

ORG_ID = "o_demo"
CLIENT_ID = "c_demo"

_NINE_TO_FIVE: WeeklyHours = dict.fromkeys(range(5), ((9 * 60, 17 * 60),))


async def seed(writer: Writer, now: int) -> None:
    """Fill the store with the demo, unless it is there already."""
    organization = Organization(
        id=ORG_ID, name="Zimun Demo", time_zone="UTC", create_time=now, update_time=now
    )
    command = CreateOrganization(organization, tuple(_entries(now)), (_booked(now),))
    await writer.run(ORG_ID, command, creates=True)


def _booked(now: int) -> ReservationEvent:
    """The appointment that the published examples name."""
    appointment = _appointment(now)
    session = Session(
        session_id=appointment.session_id,
        service_id=appointment.service_id,
        location_id=appointment.location_id,
        staff_id=appointment.staff_id,
        resource_ids=(),
        start=appointment.start,
        end=appointment.end,
        busy=(appointment.start, appointment.end),
        booked_at=now,
        capacity=1,
    ).joined_by(appointment)
    return ReservationEvent(EventType.APPOINTMENT_CONFIRMED, "", appointment, (session,))


def _entries(now: int) -> Iterator[CatalogEntry]:
    for staff_id, name in (("t_ada", "Ada"), ("t_ben", "Ben"), ("t_chloe", "Chloe")):
        yield StaffMember(
            id=staff_id,
            name=name,
            time_zone="UTC",
            weekly_hours=_NINE_TO_FIVE,
            create_time=now,
            update_time=now,
        )
    for resource_id, name in (
        ("r_room_1", "Room 1"),
        ("r_room_2", "Room 2"),
        ("r_studio", "Studio"),
    ):
        yield Resource(id=resource_id, name=name, create_time=now, update_time=now)
    yield Location(
        id="l_main",
        name="Main Street",
        address="1 Main Street",
        time_zone="UTC",
        create_time=now,
        update_time=now,
    )
    yield from _services(now)


def _services(now: int) -> Iterator[Service]:
    """In the order in which they are listed."""
    yield Service(
        id="s_123",
        name="Consultation",
        description="Half an hour with one of us.",
        duration=30 * MINUTE,
        slot_step=30 * MINUTE,
        horizon=180 * DAY,
        staff_ids=("t_ada", "t_ben", "t_chloe"),
        location_ids=("l_main",),
        create_time=now,
        update_time=now,
    )
    yield Service(
        id="s_treatment",
        name="Treatment",
        description="An hour in a room of its own, and time to air it.",
        duration=HOUR,
        buffer_after=15 * MINUTE,
        slot_step=15 * MINUTE,
        lead_time=2 * HOUR,
        horizon=90 * DAY,
        cancellation_cutoff=DAY,
        reschedule_cutoff=DAY,
        price={"currency_code": "EUR", "units": 80, "nanos": 0},
        staff_ids=("t_ada", "t_ben"),
        resource_requirements=(("r_room_1", "r_room_2"),),
        location_ids=("l_main",),
        create_time=now + 1,
        update_time=now + 1,
    )
    yield Service(
        id="s_yoga",
        name="Yoga class",
        description="Eight mats.",
        duration=HOUR,
        slot_step=HOUR,
        slot_alignment=SlotAlignment.HOUR,
        horizon=60 * DAY,
        capacity=8,
        staff_ids=("t_chloe",),
        resource_requirements=(("r_studio",),),
        location_ids=("l_main",),
        create_time=now + 2,
        update_time=now + 2,
    )


def _appointment(now: int) -> Reservation:
    start = _next_business_day(now) + 15 * HOUR
    return Reservation(
        org_id=ORG_ID,
        hold_id="h_123",
        session_id="x_123",
        service_id="s_123",
        location_id="l_main",
        staff_id="t_ada",
        resource_ids=(),
        seats=1,
        start=start,
        end=start + 30 * MINUTE,
        state=State.CONFIRMED,
        expires_at=now,
        create_time=now,
        update_time=now,
        appointment_id="a_123",
        confirm_time=now,
        contact=Contact(name="Sam Rivers", email="sam@example.com"),
    )


def _next_business_day(now: int) -> int:
    """00:00 UTC of the first Monday to Friday after today."""
    today = to_datetime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    ahead = {4: 3, 5: 2}.get(today.weekday(), 1)
    return from_datetime(today + timedelta(days=ahead))
