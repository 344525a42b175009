"""Acting for the organization: a booking, a move or a cancellation sets rules aside."""

from typing import Any

import grpc
import pytest

from zimun.domain.identity import DEFAULT_SCOPES
from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1.appointment_pb2 import Appointment
from zimun.v1.slot_pb2 import Obstacle

from ..support.rpc import Zimun
from . import confirm_of, hold_of, stamp
from .calls import (
    ELEVEN,
    TEN,
    book,
    book_request,
    changes_of,
    create_hold,
    explain,
    hold_and_confirm,
    hold_refused,
    reschedule_request,
    times,
)
from .catalogue import SERVICE, STAFF, hours, weekly

SATURDAY = "2025-11-29"
NIGHT = f"{SATURDAY}T22:07:00Z"
HOURS_AND_GRID = [Appointment.OPENING_HOURS, Appointment.GRID]
EVERY_RULE = [number for number in Appointment.Rule.values() if number]


def cancel_of(appointment_id: str, **fields: Any) -> appointments_pb2.CancelAppointmentRequest:
    return appointments_pb2.CancelAppointmentRequest(appointment_id=appointment_id, **fields)


async def test_hold_outside_hours_is_busy_confirms_and_moves_by_the_rules(zimun: Zimun) -> None:
    assert (await hold_refused(zimun, NIGHT)).info.metadata["rule"] == "STAFF_CLOSED"
    hold = await create_hold(zimun, NIGHT, staff_id="t_ben", ignored_rules=HOURS_AND_GRID)
    zimun.clock.advance(60)
    kept = await zimun.call(zimun.appointments.ConfirmAppointment, confirm_of(hold.hold_id))
    assert (kept.start_time, kept.staff_id) == (stamp(NIGHT), "t_ben")
    told = await explain(zimun, "s_123", NIGHT, staff_id="t_ben")
    assert "STAFF_BUSY" in [Obstacle.Rule.Name(one.rule) for one in told.obstacles]
    again = await hold_refused(zimun, NIGHT, staff_id="t_ben", ignored_rules=EVERY_RULE)
    assert again.reason == "SLOT_UNAVAILABLE"
    assert again.alternatives
    later = f"{SATURDAY}T23:00:00Z"
    refused = await zimun.refused(
        zimun.appointments.RescheduleAppointment, reschedule_request(kept.appointment_id, later)
    )
    assert refused.reason == "NOT_A_SLOT"
    move = reschedule_request(kept.appointment_id, later, ignored_rules=HOURS_AND_GRID)
    await zimun.call(zimun.appointments.RescheduleAppointment, move)
    moved = await zimun.call(
        zimun.appointments.RescheduleAppointment, reschedule_request(kept.appointment_id, TEN)
    )
    assert moved.start_time == stamp(TEN)
    assert [list(one.ignored_rules) for one in await changes_of(zimun, kept.appointment_id)] == [
        HOURS_AND_GRID,
        HOURS_AND_GRID,
        [],
    ]


async def test_booking_off_the_grid_takes_the_slots_that_it_overlaps(zimun: Zimun) -> None:
    await book(zimun, "2025-12-01T10:10:00Z", staff_id="t_ben", ignored_rules=[Appointment.GRID])
    free = await times(zimun, "s_123", "2025-12-01", staff_id="t_ben")
    assert {"09:30", "11:00"} <= set(free)
    assert not {"10:00", "10:30"} & set(free)


async def test_rules_that_no_request_names_still_count(zimun: Zimun) -> None:
    for rule in EVERY_RULE:
        others = [one for one in EVERY_RULE if one != rule]
        if rule == Appointment.OPENING_HOURS:
            told = await hold_refused(zimun, NIGHT, ignored_rules=others)
            assert told.info.metadata["rule"] == "STAFF_CLOSED"
        if rule == Appointment.GRID:
            told = await hold_refused(zimun, "2025-12-01T10:07:00Z", ignored_rules=others)
            assert told.info.metadata["rule"] == "NOT_ON_GRID"
        if rule == Appointment.HORIZON:
            told = await hold_refused(zimun, "2031-12-01T10:00:00Z", ignored_rules=others)
            assert told.reason == "OUTSIDE_BOOKING_WINDOW"
    await create_hold(zimun, "2031-12-01T10:00:00Z", ignored_rules=[Appointment.HORIZON])


async def test_daily_limit_and_lead_time_are_set_aside(zimun: Zimun) -> None:
    member = await STAFF.create(zimun, weekly_hours=weekly("09:00", "17:00"), daily_limit=1)
    service = await SERVICE.create(
        zimun, duration=hours(1), lead_time=hours(96), staff_ids=[member.id]
    )
    lead_time = [Appointment.LEAD_TIME]
    await create_hold(zimun, TEN, service.id, ignored_rules=lead_time)
    noon = "2025-12-01T12:00:00Z"
    assert (await hold_refused(zimun, noon, service.id)).reason == "OUTSIDE_BOOKING_WINDOW"
    taken = await hold_refused(zimun, noon, service.id, ignored_rules=lead_time)
    assert taken.reason == "SLOT_UNAVAILABLE"
    await create_hold(zimun, noon, service.id, ignored_rules=[*lead_time, Appointment.LIMITS])


async def test_cut_offs_are_set_aside_and_told_in_the_history(zimun: Zimun) -> None:
    member = await STAFF.create(zimun, weekly_hours=weekly("09:00", "17:00"))
    service = await SERVICE.create(
        zimun,
        duration=hours(1),
        cancellation_cutoff=hours(500),
        reschedule_cutoff=hours(500),
        staff_ids=[member.id],
    )
    kept = await hold_and_confirm(zimun, TEN, service.id)
    late = reschedule_request(kept.appointment_id, "2025-12-01T12:00:00Z")
    refused = await zimun.refused(zimun.appointments.RescheduleAppointment, late)
    assert refused.reason == "OUTSIDE_RESCHEDULE_WINDOW"
    late.ignored_rules.append(Appointment.CUTOFF)
    await zimun.call(zimun.appointments.RescheduleAppointment, late)
    cancel = cancel_of(kept.appointment_id)
    refused = await zimun.refused(zimun.appointments.CancelAppointment, cancel)
    assert refused.reason == "OUTSIDE_CANCELLATION_WINDOW"
    cancel.ignored_rules.append(Appointment.CUTOFF)
    gone = await zimun.call(zimun.appointments.CancelAppointment, cancel)
    assert gone.state == Appointment.CANCELLED
    told = [list(one.ignored_rules) for one in await changes_of(zimun, kept.appointment_id)]
    assert told == [[], [Appointment.CUTOFF], [Appointment.CUTOFF]]


async def test_limit_of_a_customer_is_set_aside_by_the_confirmation(zimun: Zimun) -> None:
    limits = [{"max_bookings": 1, "period": "DAY", "per": "CUSTOMER"}]
    service = await SERVICE.create(zimun, duration=hours(1), booking_limits=limits)
    await hold_and_confirm(zimun, TEN, service.id)
    hold = await create_hold(zimun, ELEVEN, service.id, ignored_rules=[Appointment.GRID])
    request = confirm_of(hold.hold_id)
    refused = await zimun.refused(zimun.appointments.ConfirmAppointment, request)
    assert refused.reason == "LIMIT_REACHED"
    request.ignored_rules.append(Appointment.LIMITS)
    kept = await zimun.call(zimun.appointments.ConfirmAppointment, request)
    [change] = await changes_of(zimun, kept.appointment_id)
    assert list(change.ignored_rules) == [Appointment.GRID, Appointment.LIMITS]


@pytest.mark.parametrize("method", ["Hold", "Confirm", "Book", "Reschedule", "Cancel"])
async def test_without_the_scope_a_request_that_names_rules_is_refused(
    zimun: Zimun, method: str
) -> None:
    requests: dict[str, Any] = {
        "Hold": hold_of(TEN, ignored_rules=EVERY_RULE),
        "Confirm": confirm_of((await create_hold(zimun, ELEVEN)).hold_id, ignored_rules=EVERY_RULE),
        "Book": book_request(TEN, ignored_rules=EVERY_RULE),
        "Reschedule": reschedule_request("a_123", TEN, ignored_rules=EVERY_RULE),
        "Cancel": cancel_of("a_123", ignored_rules=EVERY_RULE),
    }
    call = getattr(zimun.appointments, f"{method}Appointment")
    refused = await zimun.refused(call, requests[method], scopes=DEFAULT_SCOPES)
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    assert refused.info.metadata["scope"] == "appointments:override"
    del requests[method].ignored_rules[:]
    await zimun.call(call, requests[method], scopes=DEFAULT_SCOPES)


async def test_key_belongs_to_the_rules_that_the_request_names(zimun: Zimun) -> None:
    request = hold_of(TEN, ignored_rules=[Appointment.GRID])
    first = await zimun.call(zimun.appointments.HoldAppointment, request, key="k-1")
    assert await zimun.call(zimun.appointments.HoldAppointment, request, key="k-1") == first
    plain = await zimun.refused(zimun.appointments.HoldAppointment, hold_of(TEN), key="k-1")
    assert plain.reason == "IDEMPOTENCY_KEY_REUSED"


async def test_value_that_names_no_rule_is_refused(zimun: Zimun) -> None:
    refused = await hold_refused(zimun, TEN, ignored_rules=[0])
    assert list(refused.fields) == ["ignored_rules"]
    refused = await hold_refused(zimun, TEN, ignored_rules=[99])
    assert list(refused.fields) == ["ignored_rules"]
