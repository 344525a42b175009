"""Pages: all of it once, in order, and tokens that only we write."""

import base64

import pytest

from zimun.booking import appointments
from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1 import locations_service_pb2 as locations_pb2
from zimun.v1 import services_service_pb2 as services_pb2

from ..support.rpc import Zimun
from . import stamp
from .calls import hold_and_confirm


async def book(zimun: Zimun, count: int) -> list[str]:
    """Appointments on one morning, two at each time; their ids."""
    ids = []
    for n in range(count):
        time = f"2025-12-02T{9 + n // 4:02}:{30 * (n // 2 % 2):02}:00Z"
        ids.append((await hold_and_confirm(zimun, time)).appointment_id)
    return ids


async def test_pages_walk_every_appointment_once_in_order(zimun: Zimun) -> None:
    ids = await book(zimun, 9)
    listing = zimun.appointments.ListAppointments
    whole = await zimun.call(listing, appointments_pb2.ListAppointmentsRequest(page_size=1000))
    assert {item.appointment_id for item in whole.items} == {"a_123", *ids}
    assert whole.next_page_token == ""
    walked, token = [], ""
    while True:
        page = await zimun.call(
            listing, appointments_pb2.ListAppointmentsRequest(page_size=2, page_token=token)
        )
        walked += page.items
        token = page.next_page_token
        if not token:
            break
    assert walked == list(whole.items)
    keys = [(item.start_time.ToMicroseconds(), item.appointment_id) for item in walked]
    assert keys == sorted(keys)


async def test_page_ends_early_when_its_items_exceed_the_byte_limit(
    zimun: Zimun, monkeypatch: pytest.MonkeyPatch
) -> None:
    await book(zimun, 9)
    listings = (
        (zimun.appointments.ListAppointments, appointments_pb2.ListAppointmentsRequest),
        (zimun.appointments.ListHolds, appointments_pb2.ListHoldsRequest),
    )
    for listing, request in listings:
        whole = list((await zimun.call(listing, request(page_size=1000))).items)
        monkeypatch.setattr(appointments, "MAX_PART", 4)
        in_parts = await zimun.call(listing, request(page_size=1000))
        assert (list(in_parts.items), in_parts.next_page_token) == (whole, "")
        seven = await zimun.call(listing, request(page_size=7))
        assert list(seven.items) == whole[:7]
        monkeypatch.setattr(appointments, "MAX_PAGE_BYTES", 1)
        walked = []
        token = ""
        for size in (4, 4, len(whole) - 8):
            page = await zimun.call(listing, request(page_size=1000, page_token=token))
            assert len(page.items) == size
            walked += page.items
            token = page.next_page_token
        assert (walked, token) == (whole, "")
        monkeypatch.undo()


async def test_filters_narrow_the_list(zimun: Zimun) -> None:
    await book(zimun, 4)
    listing = zimun.appointments.ListAppointments
    request = appointments_pb2.ListAppointmentsRequest(
        start_time_from=stamp("2025-12-02T09:30:00Z"),
        start_time_before=stamp("2025-12-02T10:00:00Z"),
    )
    found = await zimun.call(listing, request)
    assert [item.start_time for item in found.items] == [stamp("2025-12-02T09:30:00Z")] * 2
    by_staff = appointments_pb2.ListAppointmentsRequest(staff_id="t_ada", service_id="s_123")
    assert {item.staff_id for item in (await zimun.call(listing, by_staff)).items} == {"t_ada"}
    await zimun.call(
        zimun.appointments.CancelAppointment,
        appointments_pb2.CancelAppointmentRequest(appointment_id="a_123"),
    )
    cancelled = appointments_pb2.ListAppointmentsRequest(state="CANCELLED")
    found = await zimun.call(listing, cancelled)
    assert [item.appointment_id for item in found.items] == ["a_123"]


async def test_services_and_locations_page_too(zimun: Zimun) -> None:
    first = await zimun.call(
        zimun.services.ListServices, services_pb2.ListServicesRequest(page_size=2)
    )
    assert [item.id for item in first.items] == ["s_123", "s_treatment"]
    rest = await zimun.call(
        zimun.services.ListServices,
        services_pb2.ListServicesRequest(page_size=2, page_token=first.next_page_token),
    )
    assert [item.id for item in rest.items] == ["s_yoga"]
    assert rest.next_page_token == ""
    places = await zimun.call(zimun.locations.ListLocations, locations_pb2.ListLocationsRequest())
    assert [item.id for item in places.items] == ["l_main"]


async def test_no_other_question_takes_the_token(zimun: Zimun) -> None:
    page = await zimun.call(
        zimun.services.ListServices, services_pb2.ListServicesRequest(page_size=1)
    )
    token = page.next_page_token
    for method, request in (
        (
            zimun.appointments.ListAppointments,
            appointments_pb2.ListAppointmentsRequest(page_token=token),
        ),
        (zimun.locations.ListLocations, locations_pb2.ListLocationsRequest(page_token=token)),
    ):
        told = await zimun.refused(method, request)
        assert set(told.fields) == {"page_token"}
    told = await zimun.refused(
        zimun.services.ListServices,
        services_pb2.ListServicesRequest(page_token=token),
        org_id="o_other",
    )
    assert set(told.fields) == {"page_token"}


async def test_a_token_with_any_bit_changed_is_refused(zimun: Zimun) -> None:
    page = await zimun.call(
        zimun.services.ListServices, services_pb2.ListServicesRequest(page_size=1)
    )
    sealed = base64.urlsafe_b64decode(page.next_page_token + "==")
    for bit in range(0, len(sealed) * 8, 7):
        bent = bytearray(sealed)
        bent[bit // 8] ^= 1 << bit % 8
        token = base64.urlsafe_b64encode(bent).decode().rstrip("=")
        told = await zimun.refused(
            zimun.services.ListServices, services_pb2.ListServicesRequest(page_token=token)
        )
        assert set(told.fields) == {"page_token"}


@pytest.mark.parametrize("size", [-1, 1001])
async def test_a_page_size_out_of_bounds_is_refused(zimun: Zimun, size: int) -> None:
    told = await zimun.refused(
        zimun.services.ListServices, services_pb2.ListServicesRequest(page_size=size)
    )
    assert set(told.fields) == {"page_size"}
