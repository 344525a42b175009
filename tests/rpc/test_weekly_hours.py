"""Weekly hours of a service, and weekly hours from a date on, through the server."""

from zimun.v1.slot_pb2 import Day, Obstacle

from ..support.rpc import Zimun
from .calls import explain, hold_refused, search, times
from .catalogue import SERVICE, STAFF, hours, update_organization, weekly

FRIDAY, SATURDAY = "2025-12-05", "2025-12-06"


async def test_hours_of_a_service_bound_search_hold_explain_and_the_days_map(zimun: Zimun) -> None:
    await update_organization(zimun, time_zone="UTC", weekly_hours=weekly("09:00", "12:00"))
    own = weekly("08:00", "11:00", ["FRIDAY"])
    await SERVICE.create(zimun, id="s_own", duration=hours(1), weekly_hours=own)
    found = await search(zimun, "s_own", start_date=FRIDAY, end_date=SATURDAY)
    assert [slot.local_start_time[11:16] for slot in found.slots] == ["09:00", "10:00"]
    assert [day.status for day in found.days] == [Day.OPEN, Day.CLOSED]
    eleven = f"{FRIDAY}T11:00:00Z"
    refused = await hold_refused(zimun, eleven, "s_own")
    assert (refused.reason, refused.info.metadata["rule"]) == ("NOT_A_SLOT", "SERVICE_CLOSED")
    [told] = (await explain(zimun, "s_own", eleven)).obstacles
    assert (told.rule, told.subject_id) == (Obstacle.SERVICE_CLOSED, "s_own")


async def test_weekly_hours_change_on_the_date_from_which_others_are_valid(zimun: Zimun) -> None:
    await update_organization(zimun, time_zone="UTC", weekly_hours=weekly("00:00", "24:00"))
    new = [{"valid_from": SATURDAY, "weekly_hours": weekly("10:00", "11:00")}]
    await STAFF.create(
        zimun, id="t_new", weekly_hours=weekly("09:00", "10:00"), weekly_hours_periods=new
    )
    await SERVICE.create(zimun, id="s_new", duration=hours(1), staff_ids=["t_new"])
    assert await times(zimun, "s_new", FRIDAY) == ["09:00"]
    assert await times(zimun, "s_new", SATURDAY) == ["10:00"]
    await STAFF.update(zimun, "t_new", ["weekly_hours_periods"])
    assert await times(zimun, "s_new", SATURDAY) == ["09:00"]
