"""Dates that are not like their week: who may be told of them, and what they change."""

import asyncio
from itertools import product
from typing import Any

import grpc
import pytest

from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1 import overrides_service_pb2 as overrides_pb2
from zimun.v1.override_pb2 import Override

from ..support.rpc import Zimun, refusal
from . import stamp
from .asking import booked, day_of, hold_refused, search, times
from .catalogue import (
    LOCATION,
    SERVICE,
    STAFF,
    Fields,
    drop_override,
    hours,
    override_of,
    put_override,
    settle,
    weekly,
)

CHRISTMAS = "2025-12-25"
TUESDAY = "2025-12-02"
CREATE = "/zimun.v1.OverridesService/CreateOverride"
DELETE = "/zimun.v1.OverridesService/DeleteOverride"


async def listed(zimun: Zimun, org_id: str = "o_demo", **fields: Any) -> list[Override]:
    request = overrides_pb2.ListOverridesRequest(page_size=1000, **fields)
    found = await zimun.call(zimun.overrides.ListOverrides, request, org_id=org_id)
    return list(found.items)


# Administering


@pytest.mark.parametrize("owner_id", ["o_demo", "l_main", "t_ada"])
async def test_an_override_comes_back_as_it_was_sent(zimun: Zimun, owner_id: str) -> None:
    openings = (("08:15", "09:45"), ("22:00", "24:00"))
    made = await put_override(zimun, owner_id, TUESDAY, *openings, note="Straße gesperrt")
    assert made.id.startswith("v_")
    assert (made.owner_id, made.date, made.note) == (owner_id, TUESDAY, "Straße gesperrt")
    assert made.status == Override.OPEN
    assert [(each.start_time, each.end_time) for each in made.hours] == list(openings)
    assert made.create_time == stamp("2025-11-28T09:00:00Z")
    assert made.etag
    assert await listed(zimun) == [made]


async def test_a_closed_date_has_no_hours(zimun: Zimun) -> None:
    made = await put_override(zimun, "l_main", TUESDAY)
    assert (made.status, list(made.hours), made.note) == (Override.CLOSED, [], "")


async def test_an_id_is_chosen_and_then_taken(zimun: Zimun) -> None:
    made = await put_override(zimun, "t_ada", TUESDAY, id="v_mine")
    assert made.id == "v_mine"
    again = override_of("t_ben", "2025-12-03", id="v_mine")
    refused = await zimun.refused(zimun.overrides.CreateOverride, again)
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    assert (refused.reason, dict(refused.info.metadata)) == ("ID_TAKEN", {"id": "v_mine"})
    theirs = await zimun.call(
        zimun.overrides.CreateOverride,
        override_of("o_other", TUESDAY, id="v_mine"),
        org_id="o_other",
    )
    assert theirs.id == "v_mine"
    assert await listed(zimun) == [made]


async def test_an_owner_has_one_override_of_a_date(zimun: Zimun) -> None:
    made = await put_override(zimun, "l_main", TUESDAY)
    again = override_of("l_main", TUESDAY, ("09:00", "10:00"))
    refused = await zimun.refused(zimun.overrides.CreateOverride, again)
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    assert refused.reason == "OVERRIDE_EXISTS"
    assert refused.info.metadata["override_id"] == made.id
    for owner_id, date in (("o_demo", TUESDAY), ("t_ada", TUESDAY), ("l_main", CHRISTMAS)):
        await put_override(zimun, owner_id, date)
    await drop_override(zimun, made.id)
    assert (await put_override(zimun, "l_main", TUESDAY)).id != made.id


async def test_of_many_overrides_of_one_date_one_is_made(zimun: Zimun) -> None:
    ended = await asyncio.gather(
        *(put_override(zimun, "l_main", TUESDAY, note=f"{n}") for n in range(20)),
        return_exceptions=True,
    )
    refused = [one for one in ended if isinstance(one, grpc.aio.AioRpcError)]
    assert [refusal(one).reason for one in refused] == ["OVERRIDE_EXISTS"] * 19
    assert await listed(zimun) == [one for one in ended if isinstance(one, Override)]


async def test_a_deleted_override_is_not_found(zimun: Zimun) -> None:
    made = await put_override(zimun, "l_main", TUESDAY)
    await drop_override(zimun, made.id)
    assert await listed(zimun) == []
    for override_id in (made.id, "v_none"):
        request = overrides_pb2.DeleteOverrideRequest(override_id=override_id)
        refused = await zimun.refused(zimun.overrides.DeleteOverride, request)
        assert refused.code is grpc.StatusCode.NOT_FOUND
        assert refused.reason == "OVERRIDE_NOT_FOUND"
        assert dict(refused.info.metadata) == {"override_id": override_id}


async def test_another_organizations_overrides_do_not_exist(zimun: Zimun) -> None:
    made = await put_override(zimun, "l_main", TUESDAY)
    request = overrides_pb2.DeleteOverrideRequest(override_id=made.id)
    refused = await zimun.refused(zimun.overrides.DeleteOverride, request, org_id="o_other")
    assert refused.reason == "OVERRIDE_NOT_FOUND"
    assert await listed(zimun, org_id="o_other") == []
    assert await listed(zimun) == [made]


async def test_a_key_makes_one_override(zimun: Zimun) -> None:
    create: Any = zimun.channel.unary_unary(CREATE)
    wrong = override_of("l_none", TUESDAY)
    assert (await zimun.refused(zimun.overrides.CreateOverride, wrong, "k")).fields
    request = override_of("l_main", TUESDAY).SerializeToString()
    first = await create(request, metadata=zimun.bearer("k"))
    assert await create(request, metadata=zimun.bearer("k")) == first
    assert len(await listed(zimun)) == 1
    other = override_of("l_main", CHRISTMAS)
    refused = await zimun.refused(zimun.overrides.CreateOverride, other, "k")
    assert refused.reason == "IDEMPOTENCY_KEY_REUSED"
    assert refused.info.metadata["method"] == "CreateOverride"


async def test_a_key_deletes_one_override(zimun: Zimun) -> None:
    delete: Any = zimun.channel.unary_unary(DELETE)
    none = overrides_pb2.DeleteOverrideRequest(override_id="v_none")
    assert (await zimun.refused(zimun.overrides.DeleteOverride, none, "k")).reason
    await put_override(zimun, "l_main", TUESDAY, id="v_1")
    request = overrides_pb2.DeleteOverrideRequest(override_id="v_1").SerializeToString()
    for _ in range(2):
        assert await delete(request, metadata=zimun.bearer("k")) == b""
    await put_override(zimun, "l_main", TUESDAY, id="v_1")
    assert await delete(request, metadata=zimun.bearer("k")) == b""
    assert [each.id for each in await listed(zimun)] == ["v_1"]
    refused = await zimun.refused(zimun.overrides.DeleteOverride, none, "k")
    assert refused.reason == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"owner_id": ""}, "owner_id"),
        ({"owner_id": "l_none"}, "owner_id"),
        ({"owner_id": "t_none"}, "owner_id"),
        ({"owner_id": "o_other"}, "owner_id"),
        ({"owner_id": "s_123"}, "owner_id"),
        ({"owner_id": "r_studio"}, "owner_id"),
        ({"id": "x_1"}, "id"),
        ({"id": "v 1"}, "id"),
        ({"date": ""}, "date"),
        ({"date": "2025-02-29"}, "date"),
        ({"date": "20251202"}, "date"),
        ({"date": "2025-12-02T00:00:00Z"}, "date"),
        ({"status": "STATUS_UNSPECIFIED"}, "status"),
        ({"status": 7}, "status"),
        ({"status": "CLOSED"}, "hours"),
        ({"hours": []}, "hours"),
        ({"hours": [("09:00", "12:00"), ("11:00", "13:00")]}, "hours"),
        ({"hours": [("09:00", "12:00"), ("09:00", "12:00")]}, "hours"),
        ({"hours": [("12:00", "09:00")]}, "hours"),
        ({"hours": [("09:00", "10:00"), ("11:00", "24:30")]}, "hours[1].end_time"),
        ({"hours": [("9:00", "10:00")]}, "hours[0].start_time"),
        ({"hours": [("", "10:00")]}, "hours[0].start_time"),
        ({"hours": [(f"{n:02}:00", f"{n:02}:30") for n in range(11)]}, "hours"),
        ({"note": "n" * 201}, "note"),
    ],
)
async def test_what_makes_no_override_is_refused_by_its_name(
    zimun: Zimun, fields: Fields, field: str
) -> None:
    said = {"owner_id": "l_main", "date": TUESDAY, "status": "OPEN", **fields}
    openings = said.pop("hours", [("09:00", "10:00")])
    hours = [{"start_time": start, "end_time": end} for start, end in openings]
    request = overrides_pb2.CreateOverrideRequest(override=Override(hours=hours, **said))
    refused = await zimun.refused(zimun.overrides.CreateOverride, request)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {field})
    assert await listed(zimun) == []


async def test_a_list_goes_by_date_then_owner(zimun: Zimun) -> None:
    wanted = [
        (date, owner)
        for date in ("2025-12-01", "2025-12-24", "2026-01-01")
        for owner in ("l_main", "o_demo", "t_ada", "t_ben")
    ]
    for date, owner in reversed(wanted):
        await put_override(zimun, owner, date)

    async def found(**fields: str) -> list[tuple[str, str]]:
        return [(each.date, each.owner_id) for each in await listed(zimun, **fields)]

    assert await found() == wanted
    assert await found(owner_id="t_ben") == [each for each in wanted if each[1] == "t_ben"]
    assert await found(start_date="2025-12-24") == wanted[4:]
    assert await found(end_date="2025-12-24") == wanted[:8]
    assert await found(start_date="2025-12-02", end_date="2025-12-31") == wanted[4:8]
    assert await found(owner_id="t_none") == []
    walked: list[tuple[str, str]] = []
    token = ""
    while not walked or token:
        request = overrides_pb2.ListOverridesRequest(
            page_size=3, page_token=token, start_date="2025-12-24"
        )
        page = await zimun.call(zimun.overrides.ListOverrides, request)
        walked += [(each.date, each.owner_id) for each in page.items]
        token = page.next_page_token
    assert walked == wanted[4:]


async def test_a_page_token_belongs_to_its_filters(zimun: Zimun) -> None:
    for date in ("2025-12-01", "2025-12-02", "2025-12-03"):
        await put_override(zimun, "l_main", date)
    request = overrides_pb2.ListOverridesRequest(page_size=1, owner_id="l_main")
    token = (await zimun.call(zimun.overrides.ListOverrides, request)).next_page_token
    others: list[Fields] = [
        {},
        {"owner_id": "t_ada"},
        {"owner_id": "l_main", "end_date": "2025-12-02"},
    ]
    for fields in others:
        other = overrides_pb2.ListOverridesRequest(page_token=token, **fields)
        refused = await zimun.refused(zimun.overrides.ListOverrides, other)
        assert set(refused.fields) == {"page_token"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"page_size": -1}, "page_size"),
        ({"page_size": 1001}, "page_size"),
        ({"start_date": "tomorrow"}, "start_date"),
        ({"end_date": "2025-11-31"}, "end_date"),
        ({"page_token": "x"}, "page_token"),
    ],
)
async def test_a_list_names_its_wrong_field(zimun: Zimun, fields: Fields, field: str) -> None:
    request = overrides_pb2.ListOverridesRequest(**fields)
    refused = await zimun.refused(zimun.overrides.ListOverrides, request)
    assert set(refused.fields) == {field}


# What they change


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
    await settle(zimun, ["holiday_region"], holiday_region=region)
    for above, week_above in product(OVERRIDES, WEEKS):
        await settle(zimun, ["weekly_hours"], weekly_hours=week_of(week_above))
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
    await settle(zimun, holiday_region="US")
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
    await booked(zimun, f"{CHRISTMAS}T10:00:00Z")
    await drop_override(zimun, override.id)
    assert await times(zimun, "s_123", CHRISTMAS) == []
    assert await day_of(zimun, "s_123", CHRISTMAS) == ("HOLIDAY", "Christmas Day")


async def test_a_staff_members_override_opens_no_public_holiday(zimun: Zimun) -> None:
    await settle(zimun, holiday_region="US")
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

    async def closed(service_id: str) -> tuple[str, ...]:
        found = await search(
            zimun, service_id, start_date="2025-12-01", end_date=TUESDAY, time_zone="UTC"
        )
        offered = {slot.local_start_time[:13] for slot in found.slots}
        gone = [
            f"{date}T{hour:02}"
            for date in ("2025-12-01", TUESDAY)
            for hour in range(24)
            if f"{date}T{hour:02}" not in offered
        ]
        assert len(gone) in (0, 24)
        return tuple(gone[::23])

    for owner, service in ((place, in_place), (member, by_member)):
        assert await closed(service.id) == ()
        await put_override(zimun, owner.id, TUESDAY)
        assert await closed(service.id) == ("2025-12-01T11", "2025-12-02T10")
    assert await day_of(zimun, in_place.id, TUESDAY) == ("CLOSED", "")


async def test_an_override_to_midnight_joins_the_next_date(zimun: Zimun) -> None:
    service = await SERVICE.create(zimun, duration=hours(2))
    await settle(zimun, weekly_hours=weekly("00:00", "01:00"))
    assert await times(zimun, service.id, TUESDAY) == []
    await put_override(zimun, "o_demo", TUESDAY, ("23:00", "24:00"))
    assert await times(zimun, service.id, TUESDAY) == ["23:00"]
    await booked(zimun, f"{TUESDAY}T23:00:00Z", service.id)


async def test_appointments_stay_on_a_date_that_is_closed_later(zimun: Zimun) -> None:
    kept = await booked(zimun, f"{TUESDAY}T10:00:00Z")
    await put_override(zimun, "l_main", TUESDAY)
    await put_override(zimun, kept.staff_id, TUESDAY)
    assert await times(zimun, "s_123", TUESDAY) == []
    request = appointments_pb2.GetAppointmentRequest(appointment_id=kept.appointment_id)
    assert await zimun.call(zimun.appointments.GetAppointment, request) == kept
