"""Time off: how it is administered, and what it says of the bookings that it meets."""

import asyncio
from typing import Any

import grpc
import pytest

from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1 import time_off_service_pb2 as service_pb2
from zimun.v1.appointment_pb2 import Appointment
from zimun.v1.hold_pb2 import Hold
from zimun.v1.time_off_pb2 import TimeOff

from ..support.rpc import Zimun, refusal
from . import stamp
from .calls import create_hold, hold_and_confirm, reschedule_request
from .catalogue import LOCATION, SERVICE, hours, minutes
from .time_off import (
    change,
    change_time_off,
    creation,
    drop_time_off,
    get_time_off,
    listed,
    met,
    met_by,
    put_time_off,
    time_off_refused,
)

TUESDAY = "2025-12-02T"
NINE, TEN, ELEVEN = f"{TUESDAY}09:00:00Z", f"{TUESDAY}10:00:00Z", f"{TUESDAY}11:00:00Z"
OWNERS = ["o_demo", "l_main", "t_ada", "r_studio"]


@pytest.mark.parametrize("owner_id", OWNERS)
async def test_time_off_comes_back_as_it_was_sent(zimun: Zimun, owner_id: str) -> None:
    made = await put_time_off(zimun, owner_id, NINE, TEN, note="Fête", external_reference="hr/7")
    assert made.id.startswith("f_")
    assert (made.owner_id, made.note, made.external_reference) == (owner_id, "Fête", "hr/7")
    assert (made.start_time, made.end_time) == (stamp(NINE), stamp(TEN))
    assert made.create_time == made.update_time == stamp("2025-11-28T09:00:00Z")
    assert not made.HasField("conflicts")
    assert await get_time_off(zimun, made.id) == made
    assert await listed(zimun) == [made]


async def test_an_id_is_chosen_and_then_taken(zimun: Zimun) -> None:
    made = await put_time_off(zimun, "t_ada", NINE, TEN, id="f_mine")
    assert made.id == "f_mine"
    refused = await time_off_refused(zimun, "t_ben", NINE, TEN, id="f_mine")
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ID_TAKEN")
    assert await listed(zimun, org_id="o_other") == []


async def test_a_list_has_what_overlaps_a_time_of_an_owner_in_order_of_start(zimun: Zimun) -> None:
    late = await put_time_off(zimun, "t_ada", TEN, ELEVEN, external_reference="hr/2")
    early = await put_time_off(zimun, "t_ada", NINE, TEN)
    other = await put_time_off(zimun, "t_ben", NINE, ELEVEN, external_reference="hr/2")
    assert await listed(zimun, owner_id="t_ada") == [early, late]
    assert await listed(zimun, external_reference="hr/2") == [other, late]
    assert await listed(zimun, end_time_after=stamp(TEN), owner_id="t_ada") == [late]
    assert await listed(zimun, start_time_before=stamp(TEN), owner_id="t_ada") == [early]
    assert len(await listed(zimun, start_time_before=stamp(NINE))) == 0


async def test_pages_of_a_list_are_all_of_it_once(zimun: Zimun) -> None:
    made = [await put_time_off(zimun, "t_ada", NINE, TEN, note=f"{n}") for n in range(5)]
    token, seen = "", list[TimeOff]()
    while True:
        request = service_pb2.ListTimeOffRequest(page_size=2, page_token=token, owner_id="t_ada")
        page = await zimun.call(zimun.time_off.ListTimeOff, request)
        seen += page.items
        token = page.next_page_token
        if not token:
            break
    assert len(seen) == 5
    assert sorted(one.id for one in seen) == sorted(one.id for one in made)
    request = service_pb2.ListTimeOffRequest(page_size=2, page_token="x")
    assert (await zimun.refused(zimun.time_off.ListTimeOff, request)).fields.keys() == {
        "page_token"
    }


async def test_an_update_changes_what_its_mask_names_and_the_etag(zimun: Zimun) -> None:
    made = await put_time_off(zimun, "t_ada", NINE, TEN, note="Training", external_reference="hr/7")
    zimun.clock.advance(60)
    longer = await change_time_off(zimun, made.id, end_time=ELEVEN)
    assert (longer.end_time, longer.note) == (stamp(ELEVEN), "Training")
    assert (longer.create_time, longer.update_time) == (
        made.create_time,
        stamp("2025-11-28T09:01:00Z"),
    )
    assert longer.etag != made.etag
    bare = await change_time_off(zimun, made.id, ["note", "external_reference"], end_time=TEN)
    assert (bare.note, bare.external_reference, bare.end_time) == ("", "", stamp(ELEVEN))
    whole = await change_time_off(zimun, made.id, ["*"], start_time=NINE, end_time=TEN, note="Ill")
    assert (whole.end_time, whole.note) == (stamp(TEN), "Ill")
    same = await change_time_off(zimun, made.id, note="Ill")
    assert same == whole == await get_time_off(zimun, made.id)


async def test_an_update_with_an_old_etag_or_of_what_is_not_there_is_refused(zimun: Zimun) -> None:
    made = await put_time_off(zimun, "t_ada", NINE, TEN)
    changed = await change_time_off(zimun, made.id, etag=made.etag, note="Ill")
    for call, request in (
        (zimun.time_off.UpdateTimeOff, change(made.id, etag=made.etag, note="Well")),
        (
            zimun.time_off.DeleteTimeOff,
            service_pb2.DeleteTimeOffRequest(time_off_id=made.id, etag=made.etag),
        ),
    ):
        refused = await zimun.refused(call, request)
        assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
        assert dict(refused.info.metadata) == {"time_off_id": made.id}
    await drop_time_off(zimun, made.id, changed.etag)
    assert await listed(zimun) == []
    for call, gone in (
        (zimun.time_off.UpdateTimeOff, change(made.id, note="Well")),
        (zimun.time_off.DeleteTimeOff, service_pb2.DeleteTimeOffRequest(time_off_id=made.id)),
        (zimun.time_off.GetTimeOff, service_pb2.GetTimeOffRequest(time_off_id=made.id)),
    ):
        refused = await zimun.refused(call, gone)
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.NOT_FOUND,
            "TIME_OFF_NOT_FOUND",
        )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"owner_id": ""}, "owner_id"),
        ({"owner_id": "t_none"}, "owner_id"),
        ({"owner_id": "o_other"}, "owner_id"),
        ({"owner_id": "s_123"}, "owner_id"),
        ({"id": "v_1"}, "id"),
        ({"start_time": None}, "start_time"),
        ({"end_time": None}, "end_time"),
        ({"end_time": stamp(NINE)}, "end_time"),
        ({"start_time": stamp(TEN)}, "end_time"),
        ({"end_time": stamp("2028-12-02T09:00:00.000001Z")}, "end_time"),
        ({"note": "n" * 201}, "note"),
        ({"note": "two\nlines"}, "note"),
        ({"external_reference": "\x00"}, "external_reference"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_its_field(
    zimun: Zimun, fields: dict[str, Any], field: str
) -> None:
    said = {"owner_id": "t_ada", "start_time": stamp(NINE), "end_time": stamp(TEN), **fields}
    request = service_pb2.CreateTimeOffRequest(time_off=TimeOff(**said))
    refused = await zimun.refused(zimun.time_off.CreateTimeOff, request)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.fields) == [field]


@pytest.mark.parametrize(
    ("mask", "fields", "field"),
    [
        (["owner_id"], {"owner_id": "t_ben"}, "owner_id"),
        (["etag"], {}, "update_mask"),
        (["color"], {}, "update_mask"),
        (["start_time.seconds"], {"start_time": NINE}, "update_mask"),
        (["end_time"], {}, "end_time"),
        (["start_time"], {"start_time": TEN}, "end_time"),
    ],
)
async def test_an_update_that_makes_no_sense_is_refused_by_its_field(
    zimun: Zimun, mask: list[str], fields: dict[str, Any], field: str
) -> None:
    made = await put_time_off(zimun, "t_ada", NINE, TEN)
    refused = await zimun.refused(zimun.time_off.UpdateTimeOff, change(made.id, mask, **fields))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.fields) == [field]
    assert await listed(zimun) == [made]


async def test_a_key_makes_one_time_off(zimun: Zimun) -> None:
    first = await put_time_off(zimun, "t_ada", NINE, TEN, "k")
    assert await put_time_off(zimun, "t_ada", NINE, TEN, "k") == first
    assert await listed(zimun) == [first]


# What it meets.


@pytest.mark.parametrize("owner_id", ["o_demo", "l_main", "t_ada"])
async def test_time_off_that_meets_bookings_lists_them_and_is_refused_unless_allowed(
    zimun: Zimun, owner_id: str
) -> None:
    appointment = await hold_and_confirm(zimun, TEN, staff_id="t_ada")
    hold = await create_hold(zimun, f"{TUESDAY}09:30:00Z", staff_id="t_ada")
    await hold_and_confirm(zimun, ELEVEN, staff_id="t_ada")
    refused = await time_off_refused(zimun, owner_id, f"{TUESDAY}09:59:00Z", ELEVEN)
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert met_by(refused) == ([appointment.appointment_id], [hold.hold_id], 2)
    assert dict(refused.info.metadata) == {"owner_id": owner_id, "total_size": "2"}
    assert await listed(zimun) == []
    made = await put_time_off(zimun, owner_id, f"{TUESDAY}09:59:00Z", ELEVEN, allow_conflicts=True)
    assert met(made.conflicts) == ([appointment.appointment_id], [hold.hold_id], 2)
    made.ClearField("conflicts")
    assert await listed(zimun) == [made]


@pytest.mark.parametrize("owner_id", ["o_demo", "l_main", "t_ada"])
async def test_time_off_meets_what_was_booked_beyond_every_horizon(
    zimun: Zimun, owner_id: str
) -> None:
    far = [Appointment.HORIZON, Appointment.OPENING_HOURS]
    kept = await hold_and_confirm(
        zimun, "2056-06-22T10:00:00Z", staff_id="t_ada", ignored_rules=far
    )
    days = "2056-06-22T00:00:00Z", "2056-06-23T00:00:00Z"
    refused = await time_off_refused(zimun, owner_id, *days)
    assert met_by(refused) == ([kept.appointment_id], [], 1)


async def test_time_off_of_a_resource_meets_the_bookings_that_use_it(zimun: Zimun) -> None:
    treated = await hold_and_confirm(zimun, TEN, "s_treatment")
    [used] = treated.resource_ids
    [other] = {"r_room_1", "r_room_2"} - {used}
    await put_time_off(zimun, other, TEN, ELEVEN)
    refused = await time_off_refused(zimun, used, TEN, ELEVEN)
    assert met_by(refused) == ([treated.appointment_id], [], 1)
    # The time to air the room may be time off.
    await put_time_off(zimun, used, ELEVEN, f"{TUESDAY}12:00:00Z")


async def test_only_the_bookings_of_the_place_and_those_that_are_live_are_met(zimun: Zimun) -> None:
    other = await LOCATION.create(zimun)
    cancelled = await hold_and_confirm(zimun, TEN, staff_id="t_ada")
    request = appointments_pb2.CancelAppointmentRequest(appointment_id=cancelled.appointment_id)
    await zimun.call(zimun.appointments.CancelAppointment, request)
    await create_hold(zimun, TEN, staff_id="t_ben")
    await put_time_off(zimun, other.id, NINE, ELEVEN)
    assert (await time_off_refused(zimun, "l_main", NINE, ELEVEN)).reason == "TIME_OFF_CONFLICTS"
    zimun.clock.advance(600)
    await put_time_off(zimun, "l_main", NINE, ELEVEN)


async def test_a_service_that_needs_nobody_is_met_at_its_place(zimun: Zimun) -> None:
    service = await SERVICE.create(zimun, duration=hours(1), location_ids=["l_main"])
    kept = await hold_and_confirm(zimun, TEN, service.id)
    for owner_id in ("o_demo", "l_main"):
        refused = await time_off_refused(zimun, owner_id, NINE, ELEVEN)
        assert met_by(refused) == ([kept.appointment_id], [], 1)


async def test_bookings_that_are_over_are_not_met(zimun: Zimun) -> None:
    await hold_and_confirm(zimun, TEN, staff_id="t_ada")
    zimun.clock.advance(7 * 86400)
    await put_time_off(zimun, "t_ada", NINE, ELEVEN)


async def test_of_many_bookings_the_first_hundred_are_listed(zimun: Zimun) -> None:
    service = await SERVICE.create(
        zimun, duration=minutes(1), slot_step=minutes(1), location_ids=["l_main"]
    )
    kept = await asyncio.gather(
        *(
            create_hold(zimun, f"{TUESDAY}{n // 60:02}:{n % 60:02}:00Z", service.id)
            for n in range(130)
        )
    )
    refused = await time_off_refused(zimun, "l_main", f"{TUESDAY}00:00:00Z", "2025-12-03T00:00:00Z")
    assert met_by(refused) == ([], [one.hold_id for one in kept[:100]], 130)


async def test_a_change_meets_what_it_did_not_meet_before(zimun: Zimun) -> None:
    first = await hold_and_confirm(zimun, TEN, staff_id="t_ada")
    second = await hold_and_confirm(zimun, ELEVEN, staff_id="t_ada")
    made = await put_time_off(zimun, "t_ada", NINE, f"{TUESDAY}10:30:00Z", allow_conflicts=True)
    assert met(made.conflicts) == ([first.appointment_id], [], 1)
    await change_time_off(zimun, made.id, note="Training")
    longer = change(made.id, end_time=f"{TUESDAY}12:00:00Z")
    refused = await zimun.refused(zimun.time_off.UpdateTimeOff, longer)
    assert met_by(refused) == ([second.appointment_id], [], 1)
    assert (await get_time_off(zimun, made.id)).end_time == stamp(f"{TUESDAY}10:30:00Z")
    changed = await change_time_off(
        zimun, made.id, end_time=f"{TUESDAY}12:00:00Z", allow_conflicts=True
    )
    assert met(changed.conflicts) == ([second.appointment_id], [], 1)


async def test_bookings_under_time_off_stay_and_can_be_moved_elsewhere(zimun: Zimun) -> None:
    hold = await create_hold(zimun, NINE, staff_id="t_ada")
    kept = await hold_and_confirm(zimun, TEN, staff_id="t_ada")
    await put_time_off(zimun, "l_main", NINE, ELEVEN, allow_conflicts=True)
    confirm = appointments_pb2.ConfirmAppointmentRequest(
        hold_id=hold.hold_id, contact_name="Dana Lee", contact_email="dana@example.com"
    )
    confirmed = await zimun.call(zimun.appointments.ConfirmAppointment, confirm)
    assert confirmed.start_time == stamp(NINE)
    move = zimun.appointments.RescheduleAppointment
    refused = await zimun.refused(
        move, reschedule_request(kept.appointment_id, f"{TUESDAY}10:30:00Z")
    )
    assert refused.info.metadata["rule"] == "TIME_OFF"
    moved = await zimun.call(move, reschedule_request(kept.appointment_id, ELEVEN))
    assert moved.start_time == stamp(ELEVEN)
    cancel = appointments_pb2.CancelAppointmentRequest(appointment_id=confirmed.appointment_id)
    await zimun.call(zimun.appointments.CancelAppointment, cancel)


async def test_time_off_and_bookings_of_one_moment_never_both_come_about(zimun: Zimun) -> None:
    """Of each hour either the hold is made and the time off refused, or the other way round."""
    service = await SERVICE.create(zimun, duration=hours(1), location_ids=["l_main"])
    starts = [f"{TUESDAY}{hour:02}:00:00Z" for hour in range(20)]
    ends = [f"{TUESDAY}{hour + 1:02}:00:00Z" for hour in range(20)]

    async def create(start: str, end: str) -> Any:
        return await zimun.call(zimun.time_off.CreateTimeOff, creation("l_main", start, end))

    pairs = [
        (create(start, end), create_hold(zimun, start, service.id))
        if n % 2
        else (create_hold(zimun, start, service.id), create(start, end))
        for n, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]
    ended = await asyncio.gather(*(one for pair in pairs for one in pair), return_exceptions=True)
    for one, other in zip(ended[::2], ended[1::2], strict=True):
        [won] = [each for each in (one, other) if isinstance(each, Hold | TimeOff)]
        [lost] = [each for each in (one, other) if isinstance(each, grpc.aio.AioRpcError)]
        expected = "TIME_OFF_CONFLICTS" if isinstance(won, Hold) else "NOT_A_SLOT"
        assert refusal(lost).reason == expected
