"""A service that needs neither staff nor resources is taken by itself, at each location apart."""

from typing import Any

import pytest

from zimun.v1.slot_pb2 import Obstacle

from ..support.rpc import Zimun
from .calls import create_hold, explain, hold_and_confirm, hold_refused, times
from .catalogue import LOCATION, SERVICE, hours, weekly

FRIDAY, SATURDAY = "2025-12-05", "2025-12-06"
NINE = f"{FRIDAY}T09:00:00Z"


async def kiosk(zimun: Zimun, **fields: Any) -> None:
    """Offered at two locations from nine to eleven, each hour."""
    for name in ("l_east", "l_west"):
        await LOCATION.create(
            zimun, id=name, time_zone="UTC", weekly_hours=weekly("09:00", "11:00")
        )
    await SERVICE.create(
        zimun, id="s_kiosk", duration=hours(1), location_ids=["l_east", "l_west"], **fields
    )


async def test_booking_at_one_location_leaves_the_others_open(zimun: Zimun) -> None:
    await kiosk(zimun)
    east = await hold_and_confirm(zimun, NINE, "s_kiosk", location_id="l_east")
    assert east.location_id == "l_east"
    assert await times(zimun, "s_kiosk", FRIDAY, location_id="l_east") == ["10:00"]
    assert await times(zimun, "s_kiosk", FRIDAY, location_id="l_west") == ["09:00", "10:00"]
    west = await hold_and_confirm(zimun, NINE, "s_kiosk", location_id="l_west")
    assert west.location_id == "l_west"
    for location_id in ("l_east", "l_west"):
        refused = await hold_refused(zimun, NINE, "s_kiosk", location_id=location_id)
        assert refused.reason == "SLOT_UNAVAILABLE"
        [busy] = (await explain(zimun, "s_kiosk", NINE, location_id=location_id)).obstacles
        assert (busy.rule, busy.subject_id) == (Obstacle.SERVICE_BUSY, "s_kiosk")


async def test_seats_taken_at_one_location_leave_the_sessions_of_others_whole(
    zimun: Zimun,
) -> None:
    await kiosk(zimun, capacity=3)
    await create_hold(zimun, NINE, "s_kiosk", location_id="l_east")
    assert await times(zimun, "s_kiosk", FRIDAY, location_id="l_east", seats=3) == ["10:00"]
    west = await create_hold(zimun, NINE, "s_kiosk", location_id="l_west", seats=3)
    assert west.seats == 3
    east = await create_hold(zimun, NINE, "s_kiosk", location_id="l_east", seats=2)
    assert east.seats == 2


@pytest.mark.parametrize("ask", [FRIDAY, SATURDAY])
async def test_openings_that_touch_at_midnight_are_one_whose_steps_run_on(
    zimun: Zimun, ask: str
) -> None:
    friday, saturday = weekly("22:30", "24:00", ["FRIDAY"]), weekly("00:00", "02:00", ["SATURDAY"])
    night = [*friday, *saturday]
    await LOCATION.create(zimun, id="l_bar", time_zone="Europe/Berlin", weekly_hours=night)
    fifty = hours(5 / 6)
    await SERVICE.create(
        zimun, id="s_show", duration=fifty, slot_step=fifty, location_ids=["l_bar"]
    )
    expected = {FRIDAY: ["22:30", "23:20"], SATURDAY: ["00:10", "01:00"]}
    assert await times(zimun, "s_show", ask) == expected[ask]
