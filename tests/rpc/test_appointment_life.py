"""The life of an appointment beyond its booking: one step, updates, outcomes."""

from typing import Any

import grpc
import pytest

from zimun.domain.instant import DAY
from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1.appointment_pb2 import Appointment
from zimun.v1.hold_pb2 import Hold

from ..support.rpc import FRIDAY_MORNING, Zimun
from . import at, stamp
from .calls import (
    ELEVEN,
    MONDAY,
    TEN,
    book,
    book_request,
    create_hold,
    get,
    hold_and_confirm,
    hold_refused,
    reschedule_request,
    search,
    update,
    update_request,
)
from .catalogue import SERVICE, STAFF, hours, weekly


async def a_class(zimun: Zimun, capacity: int = 5) -> str:
    """A group service of one staff member."""
    member = await STAFF.create(zimun, weekly_hours=weekly("09:00", "17:00"))
    service = await SERVICE.create(
        zimun, duration=hours(1), capacity=capacity, staff_ids=[member.id]
    )
    return str(service.id)


# Booking in one step.


async def test_booking_is_a_hold_and_its_confirmation_in_one_step(zimun: Zimun) -> None:
    kept = await book(zimun, notes="By the door", metadata={"crm": "42"}, staff_id="t_ben")
    assert (kept.state, kept.staff_id, kept.notes) == (
        Appointment.CONFIRMED,
        "t_ben",
        "By the door",
    )
    assert (kept.start_time, kept.end_time) == (stamp(TEN), stamp(f"{MONDAY}T10:30:00Z"))
    assert kept.create_time.ToMicroseconds() == FRIDAY_MORNING
    assert await get(zimun, kept.appointment_id) == kept
    request = appointments_pb2.GetHoldRequest(hold_id=kept.hold_id)
    assert (await zimun.call(zimun.appointments.GetHold, request)).state == Hold.CONFIRMED
    free = {
        slot.start_time.ToMicroseconds(): slot
        for slot in (await search(zimun, "s_123", MONDAY)).slots
    }
    assert "t_ben" not in free[at(TEN)].staff_ids


async def test_booking_a_taken_slot_offers_the_same_alternatives_as_a_hold(zimun: Zimun) -> None:
    await book(zimun, staff_id="t_ben")
    refused = await zimun.refused(
        zimun.appointments.BookAppointment, book_request(TEN, staff_id="t_ben")
    )
    assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED, "SLOT_UNAVAILABLE")
    assert len(refused.alternatives) == 3
    assert refused.alternatives == (await hold_refused(zimun, TEN, staff_id="t_ben")).alternatives


async def test_booking_is_refused_by_the_rules_of_a_hold(zimun: Zimun) -> None:
    sunday = "2025-11-30T10:00:00Z"
    refused = await zimun.refused(zimun.appointments.BookAppointment, book_request(sunday))
    assert refused.reason == "NOT_A_SLOT" == (await hold_refused(zimun, sunday)).reason


async def test_booking_again_under_its_key_books_once(zimun: Zimun) -> None:
    first = await book(zimun, key="k-1")
    assert await book(zimun, key="k-1") == first
    listing = appointments_pb2.ListAppointmentsRequest(start_time_from=stamp(TEN))
    found = await zimun.call(zimun.appointments.ListAppointments, listing)
    same_time = [one for one in found.items if one.start_time == stamp(TEN)]
    assert same_time == [first]
    other = book_request(TEN, contact_name="Else")
    refused = await zimun.refused(zimun.appointments.BookAppointment, other, key="k-1")
    assert refused.reason == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize("missing", ["contact_name", "contact_email", "service_id"])
async def test_booking_needs_what_a_hold_and_a_confirmation_need(
    zimun: Zimun, missing: str
) -> None:
    request = book_request(TEN)
    request.ClearField(missing)
    refused = await zimun.refused(zimun.appointments.BookAppointment, request)
    assert (refused.reason, list(refused.fields)) == ("INVALID_FIELD", [missing])


# Holds.


async def test_hold_is_read_in_the_state_that_it_has_now(zimun: Zimun) -> None:
    hold = await create_hold(zimun, TEN)
    request = appointments_pb2.GetHoldRequest(hold_id=hold.hold_id)
    assert await zimun.call(zimun.appointments.GetHold, request) == hold
    zimun.clock.instant = hold.expires_at.ToMicroseconds()
    assert (await zimun.call(zimun.appointments.GetHold, request)).state == Hold.EXPIRED
    unknown = appointments_pb2.GetHoldRequest(hold_id="h_none")
    refused = await zimun.refused(zimun.appointments.GetHold, unknown)
    assert refused.reason == "HOLD_NOT_FOUND"


async def test_holds_are_listed_in_pages_in_the_states_that_they_have_now(zimun: Zimun) -> None:
    early = [await create_hold(zimun, TEN) for _ in range(2)]
    zimun.clock.advance(300)
    late = [await create_hold(zimun, ELEVEN) for _ in range(3)]
    zimun.clock.instant = early[0].expires_at.ToMicroseconds()
    listing = zimun.appointments.ListHolds
    request = appointments_pb2.ListHoldsRequest(state=Hold.HELD)
    assert list((await zimun.call(listing, request)).items) == late
    expired = appointments_pb2.ListHoldsRequest(state=Hold.EXPIRED)
    states = {hold.hold_id: hold.state for hold in (await zimun.call(listing, expired)).items}
    assert states == dict.fromkeys((hold.hold_id for hold in early), Hold.EXPIRED)
    walked, token = [], ""
    while True:
        request = appointments_pb2.ListHoldsRequest(page_size=2, page_token=token)
        page = await zimun.call(listing, request)
        walked += [hold.hold_id for hold in page.items]
        if not (token := page.next_page_token):
            break
    ours = {hold.hold_id for hold in (*early, *late)}
    assert walked == sorted(walked)
    assert ours <= set(walked)
    assert len(walked) == len(set(walked))


# Updates.


async def test_update_changes_the_fields_of_its_mask_alone(zimun: Zimun) -> None:
    kept = await book(zimun, notes="Old", contact_phone="+442079460000", metadata={"a": "1"})
    zimun.clock.advance(60)
    after = await update(
        zimun,
        kept.appointment_id,
        "contact_email",
        "notes",
        contact_email="ada@example.com",
        contact_name="Ignored",
        etag=kept.etag,
    )
    expected = Appointment()
    expected.CopyFrom(kept)
    expected.contact_email, expected.notes, expected.etag = "ada@example.com", "", after.etag
    expected.update_time.FromMicroseconds(FRIDAY_MORNING + 60_000_000)
    assert after == expected
    assert after.etag != kept.etag
    assert await get(zimun, kept.appointment_id) == after


async def test_update_without_a_mask_changes_what_the_request_sets(zimun: Zimun) -> None:
    kept = await book(zimun, notes="Old")
    after = await update(zimun, kept.appointment_id, contact_name="Ada", metadata={"b": "2"})
    assert (after.contact_name, after.notes, dict(after.metadata)) == ("Ada", "Old", {"b": "2"})


async def test_update_that_changes_nothing_keeps_etag_and_update_time(zimun: Zimun) -> None:
    kept = await book(zimun, notes="Old")
    zimun.clock.advance(60)
    assert await update(zimun, kept.appointment_id, "notes", notes="Old") == kept


async def test_update_of_an_earlier_version_is_refused(zimun: Zimun) -> None:
    kept = await book(zimun)
    await update(zimun, kept.appointment_id, notes="New")
    request = update_request(kept.appointment_id, notes="Newer", etag=kept.etag)
    refused = await zimun.refused(zimun.appointments.UpdateAppointment, request)
    assert refused.reason == "ETAG_MISMATCH"
    assert (await get(zimun, kept.appointment_id)).notes == "New"


@pytest.mark.parametrize(
    ("paths", "fields", "named"),
    [
        (["start_time"], {}, "update_mask"),
        (["state"], {}, "update_mask"),
        (["nothing"], {}, "update_mask"),
        (["contact_name"], {}, "contact_name"),
        (["contact_email"], {}, "contact_email"),
        (["*"], {"contact_name": "Ada"}, "contact_email"),
        (["seats"], {"seats": 0}, "seats"),
        (["seats"], {"seats": 2}, "seats"),
        ([], {"contact_email": "nobody"}, "contact_email"),
        ([], {"contact_name": "x" * 201}, "contact_name"),
    ],
)
async def test_update_to_what_cannot_be_names_the_field(
    zimun: Zimun, paths: list[str], fields: dict[str, Any], named: str
) -> None:
    kept = await book(zimun)
    request = update_request(kept.appointment_id, *paths, **fields)
    refused = await zimun.refused(zimun.appointments.UpdateAppointment, request)
    assert (refused.reason, list(refused.fields)) == ("INVALID_FIELD", [named])
    assert await get(zimun, kept.appointment_id) == kept


async def test_seats_of_a_session_change_as_far_as_it_has_some_left(zimun: Zimun) -> None:
    service_id = await a_class(zimun, capacity=5)
    one = await hold_and_confirm(zimun, TEN, service_id, seats=2)
    hold = await create_hold(zimun, TEN, service_id, seats=2)
    assert (await update(zimun, one.appointment_id, seats=3)).seats == 3
    request = update_request(one.appointment_id, seats=4)
    refused = await zimun.refused(zimun.appointments.UpdateAppointment, request)
    assert refused.reason == "SLOT_UNAVAILABLE"
    assert all(slot.seats_left >= 4 for slot in refused.alternatives)
    assert len(refused.alternatives) == 3
    zimun.clock.instant = hold.expires_at.ToMicroseconds()
    assert (await update(zimun, one.appointment_id, seats=5)).seats == 5
    assert (await hold_refused(zimun, TEN, service_id)).reason == "SLOT_UNAVAILABLE"
    assert (await update(zimun, one.appointment_id, seats=1)).seats == 1
    assert (await create_hold(zimun, TEN, service_id, seats=4)).seats == 4


async def test_seats_beyond_a_capacity_that_was_reduced_stay_and_can_only_fall(
    zimun: Zimun,
) -> None:
    service_id = await a_class(zimun, capacity=5)
    one = await hold_and_confirm(zimun, TEN, service_id, seats=5)
    await SERVICE.update(zimun, service_id, capacity=3)
    assert (await update(zimun, one.appointment_id, notes="Kept")).seats == 5
    assert (await update(zimun, one.appointment_id, seats=4)).seats == 4
    request = update_request(one.appointment_id, seats=5)
    refused = await zimun.refused(zimun.appointments.UpdateAppointment, request)
    assert refused.fields == {"seats": f"service {service_id} has 1 to 3"}


# Outcomes.

OUTCOMES = {
    "CompleteAppointment": (appointments_pb2.CompleteAppointmentRequest, Appointment.COMPLETED),
    "MarkNoShow": (appointments_pb2.MarkNoShowRequest, Appointment.NO_SHOW),
}


@pytest.mark.parametrize("method", OUTCOMES)
async def test_outcome_is_recorded_from_the_start_on_and_undone_within_a_day(
    zimun: Zimun, method: str
) -> None:
    make, state = OUTCOMES[method]
    call = getattr(zimun.appointments, method)
    kept = await book(zimun, staff_id="t_ben")
    request: Any = make(appointment_id=kept.appointment_id)
    zimun.clock.instant = at(TEN) - 1
    refused = await zimun.refused(call, request)
    assert (refused.reason, refused.info.metadata["start_time"]) == ("APPOINTMENT_NOT_STARTED", TEN)
    zimun.clock.instant = at(TEN)
    done = await zimun.call(call, request)
    assert (done.state, done.outcome_time) == (state, stamp(TEN))
    assert await zimun.call(call, request) == done
    assert await get(zimun, kept.appointment_id) == done
    moved = await zimun.refused(
        zimun.appointments.RescheduleAppointment, reschedule_request(kept.appointment_id, ELEVEN)
    )
    assert moved.reason == "NOT_RESCHEDULABLE"
    reopen = appointments_pb2.ReopenAppointmentRequest(appointment_id=kept.appointment_id)
    again = await zimun.call(zimun.appointments.ReopenAppointment, reopen)
    assert (again.state, again.HasField("outcome_time")) == (Appointment.CONFIRMED, False)
    await zimun.call(call, request)
    zimun.clock.instant = at(TEN) + DAY + 1
    late = await zimun.refused(zimun.appointments.ReopenAppointment, reopen)
    assert (late.reason, late.info.metadata["until"]) == (
        "OUTSIDE_UNDO_WINDOW",
        "2025-12-02T10:00:00Z",
    )


async def test_one_outcome_is_not_recorded_over_another(zimun: Zimun) -> None:
    kept = await book(zimun)
    zimun.clock.instant = at(TEN)
    complete = appointments_pb2.CompleteAppointmentRequest(appointment_id=kept.appointment_id)
    await zimun.call(zimun.appointments.CompleteAppointment, complete)
    missed = appointments_pb2.MarkNoShowRequest(appointment_id=kept.appointment_id)
    refused = await zimun.refused(zimun.appointments.MarkNoShow, missed)
    assert (refused.reason, refused.info.metadata["state"]) == ("NOT_CHANGEABLE", "COMPLETED")


async def test_completed_appointment_keeps_its_seats_and_its_time(zimun: Zimun) -> None:
    service_id = await a_class(zimun, capacity=5)
    one = await hold_and_confirm(zimun, TEN, service_id, seats=3)
    zimun.clock.instant = at(TEN)
    complete = appointments_pb2.CompleteAppointmentRequest(appointment_id=one.appointment_id)
    await zimun.call(zimun.appointments.CompleteAppointment, complete)
    zimun.stores.reader.forget()
    assert (await hold_refused(zimun, TEN, service_id, seats=3)).reason == "SLOT_UNAVAILABLE"
    assert (await create_hold(zimun, TEN, service_id, seats=2)).seats == 2
