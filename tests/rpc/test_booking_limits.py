"""Limits of bookings through every method that can meet them; two callers at one limit."""

import asyncio
from typing import Any

import grpc
import pytest

from zimun.v1.slot_pb2 import Obstacle

from ..support.rpc import Zimun, refusal
from . import confirm_of
from .calls import (
    book,
    book_request,
    create_hold,
    explain,
    hold_and_confirm,
    hold_refused,
    reschedule_request,
    search,
    times,
    update,
    update_request,
)
from .catalogue import SERVICE, hours, update_organization, weekly

FRIDAY, SATURDAY = "2025-12-05", "2025-12-06"
NINE, TEN, ELEVEN = (f"{FRIDAY}T{hour:02}:00:00Z" for hour in (9, 10, 11))
NEXT_DAY = f"{SATURDAY}T09:00:00Z"


def limit(period: str, per: str, most: int = 1) -> dict[str, Any]:
    return {"max_bookings": most, "period": period, "per": per}


async def kiosk(zimun: Zimun, *limits: dict[str, Any], **fields: Any) -> None:
    """Open from nine to twelve, each hour, for everybody."""
    await update_organization(zimun, time_zone="UTC", weekly_hours=weekly("09:00", "12:00"))
    await SERVICE.create(
        zimun, id="s_kiosk", duration=hours(1), booking_limits=limits, capacity=1, **fields
    )


async def test_search_hold_book_and_explain_know_a_limit_alike(zimun: Zimun) -> None:
    await kiosk(zimun, limit("DAY", "SERVICE"))
    await create_hold(zimun, TEN, "s_kiosk")
    assert await times(zimun, "s_kiosk", FRIDAY) == []
    assert await times(zimun, "s_kiosk", SATURDAY) == ["09:00", "10:00", "11:00"]
    refused = await hold_refused(zimun, NINE, "s_kiosk")
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "LIMIT_REACHED",
    )
    assert dict(refused.info.metadata) == {
        "per": "SERVICE",
        "period": "DAY",
        "max_bookings": "1",
        "owner_id": "s_kiosk",
        "subject_id": "s_kiosk",
        "ends": f"{SATURDAY}T00:00:00Z",
    }
    request = book_request(NINE, "s_kiosk")
    at_once = await zimun.refused(zimun.appointments.BookAppointment, request)
    assert at_once.info == refused.info
    [told] = (await explain(zimun, "s_kiosk", NINE)).obstacles
    assert (told.rule, told.subject_id) == (Obstacle.LIMIT_REACHED, "s_kiosk")
    assert told.limit.max_bookings == 1
    assert told.limit_end_time.ToJsonString() == f"{SATURDAY}T00:00:00Z"
    assert "in a day" in told.message


async def test_equal_limits_of_organization_and_service_are_told_apart(zimun: Zimun) -> None:
    await kiosk(zimun, limit("DAY", "SERVICE"))
    await update_organization(zimun, booking_limits=[limit("DAY", "SERVICE")])
    await create_hold(zimun, TEN, "s_kiosk")
    told = (await explain(zimun, "s_kiosk", NINE)).obstacles
    assert [one.limit_owner_id for one in told] == ["o_demo", "s_kiosk"]
    assert {one.subject_id for one in told} == {"s_kiosk"}


async def test_a_customer_is_counted_where_the_contact_is_known(zimun: Zimun) -> None:
    await kiosk(zimun, limit("WEEK", "CUSTOMER"))
    first = await hold_and_confirm(zimun, NINE, "s_kiosk")
    assert await times(zimun, "s_kiosk", FRIDAY) == ["10:00", "11:00"]
    other = await create_hold(zimun, TEN, "s_kiosk")
    refused = await zimun.refused(
        zimun.appointments.ConfirmAppointment,
        confirm_of(other.hold_id, contact_email=first.contact_email.upper()),
    )
    assert refused.reason == "LIMIT_REACHED"
    assert refused.info.metadata["per"] == "CUSTOMER"
    assert first.contact_email not in str(refused.info)
    eve = {"contact_email": "eve@example.com"}
    second = await zimun.call(
        zimun.appointments.ConfirmAppointment, confirm_of(other.hold_id, **eve)
    )
    at_once = book_request(ELEVEN, "s_kiosk", **eve)
    refused = await zimun.refused(zimun.appointments.BookAppointment, at_once)
    assert refused.reason == "LIMIT_REACHED"
    stolen = update_request(
        second.appointment_id, "contact_email", contact_email=first.contact_email
    )
    refused = await zimun.refused(zimun.appointments.UpdateAppointment, stolen)
    assert refused.reason == "LIMIT_REACHED"
    renamed = await update(zimun, second.appointment_id, "contact_name", contact_name="Eve")
    assert renamed.contact_name == "Eve"


async def test_a_move_is_searched_explained_and_made_within_the_customers_limit(
    zimun: Zimun,
) -> None:
    """One in a day: Friday's cannot move to Saturday, where another is."""
    await kiosk(zimun, limit("DAY", "CUSTOMER"))
    friday = await hold_and_confirm(zimun, NINE, "s_kiosk")
    await hold_and_confirm(zimun, NEXT_DAY, "s_kiosk")
    moving = {"ignore_appointment_id": friday.appointment_id}
    assert await times(zimun, "s_kiosk", FRIDAY, **moving) == ["09:00", "10:00", "11:00"]
    assert await times(zimun, "s_kiosk", SATURDAY, **moving) == []
    there = f"{SATURDAY}T10:00:00Z"
    [told] = (await explain(zimun, "s_kiosk", there, **moving)).obstacles
    assert (told.rule, told.subject_id) == (Obstacle.LIMIT_REACHED, "")
    refused = await zimun.refused(
        zimun.appointments.RescheduleAppointment, reschedule_request(friday.appointment_id, there)
    )
    assert refused.reason == "LIMIT_REACHED"
    moved = await zimun.call(
        zimun.appointments.RescheduleAppointment, reschedule_request(friday.appointment_id, TEN)
    )
    assert moved.start_time.ToJsonString() == TEN


async def test_an_availability_answer_that_is_kept_ends_when_an_upcoming_booking_starts(
    zimun: Zimun,
) -> None:
    await kiosk(zimun, limit("UPCOMING", "SERVICE"))
    first = await hold_and_confirm(zimun, NINE, "s_kiosk")
    for _ in range(2):
        assert not (await search(zimun, "s_kiosk", SATURDAY)).slots
    zimun.clock.instant = first.start_time.ToMicroseconds()
    assert await times(zimun, "s_kiosk", SATURDAY) == ["09:00", "10:00", "11:00"]


@pytest.mark.parametrize("per", ["SERVICE", "CUSTOMER"])
async def test_of_many_who_come_at_once_a_limit_lets_through_so_many(
    zimun: Zimun, per: str
) -> None:
    await kiosk(zimun)
    ours = [limit("WEEK", per, 3)]
    await update_organization(zimun, ["booking_limits"], booking_limits=ours)
    starts = [f"{day}T{hour:02}:00:00Z" for day in (FRIDAY, SATURDAY) for hour in (9, 10, 11)]
    outcomes = await asyncio.gather(
        *(book(zimun, start, service_id="s_kiosk") for start in starts), return_exceptions=True
    )
    errors = [one for one in outcomes if isinstance(one, grpc.aio.AioRpcError)]
    assert [refusal(error).reason for error in errors] == ["LIMIT_REACHED"] * 3
    assert len(outcomes) - len(errors) == 3
