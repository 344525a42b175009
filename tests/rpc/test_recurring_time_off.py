"""Time off that recurs: what it takes, in whose wall time, and what it meets."""

from typing import Any

import grpc
import pytest

from zimun.v1 import time_off_service_pb2 as service_pb2

from ..support.rpc import Zimun
from . import stamp
from .calls import explain, hold_and_confirm, times
from .catalogue import LOCATION, RESOURCE, SERVICE, STAFF, hours, weekly
from .time_off import (
    change,
    change_time_off,
    creation,
    drop_time_off,
    get_time_off,
    listed,
    met_by,
    put_time_off,
    time_off_refused,
)

MONDAYS = ("2025-12-01", "2025-12-08", "2025-12-15", "2025-12-22")
NINE, TEN = "2025-12-01T09:00:00Z", "2025-12-01T10:00:00Z"
THREE: dict[str, Any] = {"recurrence": "FREQ=WEEKLY;COUNT=3"}


async def test_each_occurrence_is_taken_and_no_more(zimun: Zimun) -> None:
    service = await SERVICE.create(zimun, duration=hours(1), location_ids=["l_main"])
    made = await put_time_off(zimun, "l_main", NINE, TEN, **THREE, note="Meeting")
    assert (made.recurrence, made.time_zone) == (THREE["recurrence"], "UTC")
    assert await get_time_off(zimun, made.id) == made
    free = ["09:00" in await times(zimun, service.id, day) for day in MONDAYS]
    assert free == [False, False, False, True]
    [obstacle] = (await explain(zimun, service.id, "2025-12-15T09:00:00Z")).obstacles
    assert (obstacle.note, obstacle.busy_start) == ("Meeting", stamp("2025-12-15T09:00:00Z"))
    changed = await change_time_off(zimun, made.id, recurrence="FREQ=WEEKLY;COUNT=2")
    assert changed.etag != made.etag
    free = ["09:00" in await times(zimun, service.id, day) for day in MONDAYS]
    assert free == [False, False, True, True]
    once = await change_time_off(zimun, made.id, ["recurrence"])
    assert (once.recurrence, once.time_zone) == ("", "")
    assert "09:00" in await times(zimun, service.id, MONDAYS[1])
    await drop_time_off(zimun, made.id)
    assert "09:00" in await times(zimun, service.id, MONDAYS[0])


async def test_wall_time_recurs_in_the_zone_of_the_owner(zimun: Zimun) -> None:
    """Berlin goes from UTC+1 to UTC+2 on 2026-03-29."""
    berlin = {"time_zone": "Europe/Berlin"}
    place = await LOCATION.create(zimun, **berlin)
    member = await STAFF.create(zimun, **berlin, weekly_hours=weekly("00:00", "24:00"))
    thing = await RESOURCE.create(zimun, location_id=place.id)
    zimun.clock.advance(110 * 86400)
    for owner in (place, member, thing):
        made = await put_time_off(
            zimun, owner.id, "2026-03-27T08:00:00Z", "2026-03-27T09:00:00Z", **THREE
        )
        assert made.time_zone == "Europe/Berlin"
        for hour, expected in ((6, []), (7, [made]), (8, [])):
            found = await listed(
                zimun,
                owner_id=owner.id,
                end_time_after=stamp(f"2026-04-03T0{hour}:00:00Z"),
                start_time_before=stamp(f"2026-04-03T0{hour + 1}:00:00Z"),
            )
            assert found == expected
    chosen = await put_time_off(
        zimun, "t_ada", NINE, TEN, recurrence="FREQ=DAILY;COUNT=2", time_zone="Asia/Tokyo"
    )
    assert chosen.time_zone == "Asia/Tokyo"


async def test_all_occurrences_are_asked_for_the_bookings_that_they_meet(zimun: Zimun) -> None:
    kept = await hold_and_confirm(zimun, "2025-12-15T09:00:00Z", staff_id="t_ada")
    await hold_and_confirm(zimun, "2025-12-22T09:00:00Z", staff_id="t_ada")
    for owner_id in ("t_ada", "l_main"):
        refused = await time_off_refused(zimun, owner_id, NINE, TEN, **THREE)
        assert met_by(refused) == ([kept.appointment_id], [], 1)
        made = await put_time_off(zimun, owner_id, NINE, TEN)
        recurring = change(made.id, **THREE)
        refused = await zimun.refused(zimun.time_off.UpdateTimeOff, recurring)
        assert met_by(refused) == ([kept.appointment_id], [], 1)
        await change_time_off(zimun, made.id, recurrence="FREQ=WEEKLY;COUNT=2")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"recurrence": "FREQ=SECONDLY;COUNT=5"}, "recurrence"),
        ({"recurrence": "FREQ=DAILY"}, "recurrence"),
        ({"recurrence": "FREQ=DAILY;COUNT=1001"}, "recurrence"),
        ({"recurrence": "FREQ=DAILY;COUNT=2;" + "BYMONTH=1" * 30}, "recurrence"),
        ({"recurrence": "FREQ=WEEKLY;COUNT=2;BYDAY=TU"}, "recurrence"),
        ({"recurrence": "FREQ=DAILY;COUNT=2", "time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "Asia/Tokyo"}, "time_zone"),
    ],
)
async def test_a_recurrence_that_cannot_be_is_refused(
    zimun: Zimun, fields: dict[str, Any], field: str
) -> None:
    made = await put_time_off(zimun, "t_ada", NINE, TEN)
    for call, request in (
        (zimun.time_off.CreateTimeOff, creation("t_ada", NINE, TEN, **fields)),
        (zimun.time_off.UpdateTimeOff, change(made.id, **fields)),
    ):
        assert isinstance(
            request, service_pb2.CreateTimeOffRequest | service_pb2.UpdateTimeOffRequest
        )
        refused = await zimun.refused(call, request)
        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert list(refused.fields) == [field]
    assert await listed(zimun) == [made]
