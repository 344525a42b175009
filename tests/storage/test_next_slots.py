"""The next open slots: those of a search of all dates, however many dates are searched at once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from zimun.booking import availability
from zimun.booking.availability import AvailabilityCache, find_next, get_availability
from zimun.domain.availability.slot_request import DateRange, SlotRequest
from zimun.domain.availability.slots import Slot
from zimun.domain.catalog.entries import Service, StaffMember
from zimun.domain.instant import DAY, to_datetime

from .booking_client import BookingClient
from .reading import recorded_queries
from .sample_catalog import CALLER, CUT, KIOSK, NOW, at, put_catalog


@pytest.fixture(params=[(1, 1), (2, 3), (7, 28)])
def dates_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    first, more = request.param
    monkeypatch.setattr(availability, "FIRST_DAYS", first)
    monkeypatch.setattr(availability, "MORE_DAYS", more)


async def next_slots(
    client: BookingClient, service: Service, start_from: int, count: int
) -> list[Slot]:
    request = SlotRequest(service_id=service.id)
    slots, place = await find_next(client.stores.reader, CALLER, request, start_from, count)
    assert place.time_zone == "UTC"
    return [*slots]


async def slots_of_dates(
    client: BookingClient, service: Service, start_from: int, days: int
) -> list[Slot]:
    """The slots of an instant's date and of those after it, from that instant on."""
    first = to_datetime(start_from).date()
    date_range = DateRange(first=first, last=first + timedelta(days=days))
    request = SlotRequest(service_id=service.id)
    found = await get_availability(
        client.stores.reader, AvailabilityCache(), CALLER, request, date_range
    )
    return [slot for slot in found.slots if slot.start >= start_from]


@pytest.mark.usefixtures("dates_at_once")
@pytest.mark.parametrize("start_from", [NOW, at(9), at(9) + 1, at(10)])
async def test_next_slots_are_the_first_of_all(client: BookingClient, start_from: int) -> None:
    for staff_id in CUT.staff_ids:
        await client.hold(at(10), staff_id=staff_id)
    expected = await slots_of_dates(client, CUT, start_from, 8)
    for count in (1, 30, 200):
        assert await next_slots(client, CUT, start_from, count) == expected[:count]


@pytest.mark.usefixtures("dates_at_once")
async def test_next_slots_end_with_the_horizon(client: BookingClient) -> None:
    start_from = NOW + KIOSK.horizon - 2 * DAY
    expected = await slots_of_dates(client, KIOSK, start_from, 5)
    assert 200 < len(expected) < 300
    assert await next_slots(client, KIOSK, start_from, 1000) == expected
    assert await next_slots(client, KIOSK, NOW + KIOSK.horizon + DAY, 1) == []


async def test_next_slots_of_many_subjects_are_searched_fewer_dates_at_once(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(availability, "MAX_SUBJECT_DAYS", len(CUT.staff_ids))
    queries = recorded_queries(client.stores.reader, monkeypatch)
    slots_of_a_day = DAY // CUT.slot_step
    await next_slots(client, CUT, at(0), 4 * slots_of_a_day)
    assert len(queries) == 4


async def test_service_that_is_never_open_has_no_next_slot(client: BookingClient) -> None:
    staff = StaffMember(id="t_none", name="None", time_zone="UTC")
    service = replace(CUT, id="s_none", staff_ids=(staff.id,))
    await put_catalog(client.stores, staff, service)
    assert await next_slots(client, service, at(9), 1) == []
