"""Overrides in availability: which hours a date has, and whose override decides."""

from itertools import product

import pytest

from zimun.v1 import appointments_service_pb2 as appointments_pb2

from ..support.rpc import Zimun
from .calls import MONDAY, TUESDAY, day_of, hold_and_confirm, hold_refused, search, times
from .catalogue import (
    LOCATION,
    SERVICE,
    STAFF,
    drop_override,
    hours,
    put_override,
    update_organization,
    weekly,
)

CHRISTMAS = "2025-12-25"
Openings = tuple[tuple[str, str], ...]
Seen = tuple[list[str], str, str]
ALWAYS: Openings = (("00:00", "24:00"),)
OVERRIDES: tuple[Openings | None, ...] = (None, (), (("10:00", "12:00"), ("13:00", "14:00")))
WEEKS: tuple[Openings | None, ...] = (None, (), (("07:00", "09:00"), ("11:00", "13:00")))
"""None says nothing; an empty one closes the date."""


def week_of(openings: Openings | None) -> list[dict[str, str]]:
    """The weekly hours by which a Thursday has the openings."""
    if openings is None:
        return []
    monday = weekly("01:00", "02:00", ["MONDAY"])
    return monday + [each for opening in openings for each in weekly(*opening, ["THURSDAY"])]


def day_by(override: Openings | None, holiday: bool, week: Openings | None) -> Seen:
    """What a search shows of the date where these decide."""
    if override is None and holiday:
        return [], "HOLIDAY", "Christmas Day"
    openings, note = (week, "") if override is None else (override, "Why not")
    chosen = ALWAYS if openings is None else openings
    starts = [
        f"{hour:02}:00" for start, end in chosen for hour in range(int(start[:2]), int(end[:2]))
    ]
    return starts, "OPEN" if chosen else "CLOSED", note


async def seen(zimun: Zimun, service_id: str) -> Seen:
    offered = await times(zimun, service_id, CHRISTMAS)
    return offered, *await day_of(zimun, service_id, CHRISTMAS)


@pytest.mark.parametrize("region", ["", "US"])
async def test_the_day_of_a_place_is_decided_in_its_order(zimun: Zimun, region: str) -> None:
    """Its override, its organization's, a public holiday, its week, its organization's week."""
    place = await LOCATION.create(zimun)
    at_place = await SERVICE.create(zimun, duration=hours(1), location_ids=[place.id])
    at_organization = await SERVICE.create(zimun, duration=hours(1))
    await update_organization(zimun, ["holiday_region"], holiday_region=region)
    for above, week_above in product(OVERRIDES, WEEKS):
        await update_organization(zimun, ["weekly_hours"], weekly_hours=week_of(week_above))
        if above is not None:
            await put_override(zimun, "o_demo", CHRISTMAS, *above, id="v_above", note="Why not")
        expected = day_by(above, bool(region), week_above)
        assert await seen(zimun, at_organization.id) == expected
        for own, week in product(OVERRIDES, WEEKS):
            opened = None if own is None else own[:1]
            hours_ = None if week is None else week[:1]
            await LOCATION.update(zimun, place.id, ["weekly_hours"], weekly_hours=week_of(hours_))
            if opened is not None:
                await put_override(zimun, place.id, CHRISTMAS, *opened, id="v_own", note="Why not")
            expected = day_by(
                above if opened is None else opened,
                bool(region),
                week_above if hours_ is None else hours_,
            )
            assert await seen(zimun, at_place.id) == expected, (above, week_above, own, week)
            if opened is not None:
                await drop_override(zimun, "v_own")
        if above is not None:
            await drop_override(zimun, "v_above")


async def test_the_day_of_a_staff_member_is_their_override_else_their_week(zimun: Zimun) -> None:
    member = await STAFF.create(zimun)
    service = await SERVICE.create(zimun, duration=hours(1), staff_ids=[member.id])
    assert await times(zimun, service.id, TUESDAY) == []
    await STAFF.update(zimun, member.id, weekly_hours=weekly("09:00", "11:00", ["TUESDAY"]))
    assert await times(zimun, service.id, TUESDAY) == ["09:00", "10:00"]
    for openings, expected in (
        ((), []),
        ((("10:00", "11:00"), ("22:00", "24:00")), ["10:00", "22:00", "23:00"]),
    ):
        override = await put_override(zimun, member.id, TUESDAY, *openings)
        assert await times(zimun, service.id, TUESDAY) == expected
        assert await day_of(zimun, service.id, TUESDAY) == ("OPEN", "")
        await drop_override(zimun, override.id)
        assert await times(zimun, service.id, TUESDAY) == ["09:00", "10:00"]
    await STAFF.update(zimun, member.id, ["weekly_hours"])
    await put_override(zimun, member.id, "2025-12-03", ("09:00", "10:00"))
    assert await times(zimun, service.id, "2025-12-03") == ["09:00"]
    assert await times(zimun, service.id, TUESDAY) == []


async def test_a_slot_needs_the_place_and_the_person_open(zimun: Zimun) -> None:
    service = await SERVICE.create(
        zimun, duration=hours(1), staff_ids=["t_ada", "t_ben"], location_ids=["l_main"]
    )
    await put_override(zimun, "l_main", TUESDAY, ("08:00", "12:00"))
    await put_override(zimun, "t_ada", TUESDAY, ("06:00", "10:00"))
    found = await search(zimun, service.id, TUESDAY)
    offered = {slot.local_start_time[11:16]: list(slot.staff_ids) for slot in found.slots}
    assert offered == {
        "08:00": ["t_ada"],
        "09:00": ["t_ada", "t_ben"],
        "10:00": ["t_ben"],
        "11:00": ["t_ben"],
    }


@pytest.mark.parametrize("owner_id", ["o_demo", "l_main"])
async def test_an_override_opens_a_public_holiday(zimun: Zimun, owner_id: str) -> None:
    await update_organization(zimun, holiday_region="US")
    assert await times(zimun, "s_123", CHRISTMAS) == []
    assert await day_of(zimun, "s_123", CHRISTMAS) == ("HOLIDAY", "Christmas Day")
    refused = await hold_refused(zimun, f"{CHRISTMAS}T10:00:00Z")
    assert (refused.reason, dict(refused.info.metadata)) == (
        "NOT_A_SLOT",
        {"rule": "HOLIDAY", "note": "Christmas Day"},
    )
    override = await put_override(
        zimun, owner_id, CHRISTMAS, ("10:00", "11:00"), note="Emergency hour"
    )
    assert await times(zimun, "s_123", CHRISTMAS) == ["10:00", "10:30"]
    assert await day_of(zimun, "s_123", CHRISTMAS) == ("OPEN", "Emergency hour")
    await hold_and_confirm(zimun, f"{CHRISTMAS}T10:00:00Z")
    await drop_override(zimun, override.id)
    assert await times(zimun, "s_123", CHRISTMAS) == []
    assert await day_of(zimun, "s_123", CHRISTMAS) == ("HOLIDAY", "Christmas Day")


async def test_a_staff_members_override_opens_no_public_holiday(zimun: Zimun) -> None:
    await update_organization(zimun, holiday_region="US")
    await put_override(zimun, "t_ada", CHRISTMAS, ("10:00", "11:00"))
    assert await times(zimun, "s_123", CHRISTMAS) == []
    refused = await hold_refused(zimun, f"{CHRISTMAS}T10:00:00Z")
    assert refused.info.metadata["rule"] == "HOLIDAY"


async def test_a_closed_date_says_why_to_who_wants_it(zimun: Zimun) -> None:
    await put_override(zimun, "l_main", TUESDAY, note="Stocktaking")
    refused = await hold_refused(zimun, f"{TUESDAY}T10:00:00Z")
    assert (refused.reason, dict(refused.info.metadata)) == (
        "NOT_A_SLOT",
        {"rule": "CLOSED", "note": "Stocktaking"},
    )


async def test_the_date_of_an_override_is_its_owners(zimun: Zimun) -> None:
    """Tuesday in Auckland (UTC+13) lasts from Monday 11:00 to Tuesday 11:00 UTC."""
    place = await LOCATION.create(zimun, time_zone="Pacific/Auckland")
    member = await STAFF.create(
        zimun, time_zone="Pacific/Auckland", weekly_hours=weekly("00:00", "24:00")
    )
    in_place = await SERVICE.create(zimun, duration=hours(1), location_ids=[place.id])
    by_member = await SERVICE.create(zimun, duration=hours(1), staff_ids=[member.id])

    utc_hours = [f"{date}T{hour:02}" for date in (MONDAY, TUESDAY) for hour in range(24)]

    async def closed(service_id: str) -> list[str]:
        found = await search(
            zimun, service_id, start_date=MONDAY, end_date=TUESDAY, time_zone="UTC"
        )
        offered = {slot.local_start_time[:13] for slot in found.slots}
        return [hour for hour in utc_hours if hour not in offered]

    for owner, service in ((place, in_place), (member, by_member)):
        assert await closed(service.id) == []
        await put_override(zimun, owner.id, TUESDAY)
        assert await closed(service.id) == utc_hours[11:35]
    assert await day_of(zimun, in_place.id, TUESDAY) == ("CLOSED", "")


async def test_an_override_to_midnight_joins_the_next_date(zimun: Zimun) -> None:
    service = await SERVICE.create(zimun, duration=hours(2))
    await update_organization(zimun, weekly_hours=weekly("00:00", "01:00"))
    assert await times(zimun, service.id, TUESDAY) == []
    await put_override(zimun, "o_demo", TUESDAY, ("23:00", "24:00"))
    assert await times(zimun, service.id, TUESDAY) == ["23:00"]
    await hold_and_confirm(zimun, f"{TUESDAY}T23:00:00Z", service.id)


async def test_appointments_stay_on_a_date_that_is_closed_later(zimun: Zimun) -> None:
    kept = await hold_and_confirm(zimun, f"{TUESDAY}T10:00:00Z")
    await put_override(zimun, "l_main", TUESDAY)
    await put_override(zimun, kept.staff_id, TUESDAY)
    assert await times(zimun, "s_123", TUESDAY) == []
    request = appointments_pb2.GetAppointmentRequest(appointment_id=kept.appointment_id)
    assert await zimun.call(zimun.appointments.GetAppointment, request) == kept
