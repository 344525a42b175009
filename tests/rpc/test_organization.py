"""The organization's settings, and what they change."""

from contextlib import suppress
from typing import Any

import grpc
import pytest

from zimun.domain.instant import MINUTE
from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1 import organizations_service_pb2 as organizations_pb2
from zimun.v1.organization_pb2 import Organization
from zimun.v1.slot_pb2 import Day

from ..support.rpc import FRIDAY_MORNING, Zimun
from . import confirm_of, stamp
from .calls import create_hold, search, times
from .catalogue import (
    SERVICE,
    Fields,
    days,
    hours,
    minutes,
    organization,
    organization_update,
    update_organization,
    weekly,
)

FULL: Fields = {
    "name": "Praxis am Platz",
    "time_zone": "Europe/Berlin",
    "holiday_region": "DE-BY",
    "holiday_categories": ["public", "catholic"],
    "weekly_hours": weekly("08:00", "18:30"),
    "weekly_hours_periods": [
        {"valid_from": "2026-03-01", "weekly_hours": weekly("09:00", "17:00")},
    ],
    "hold_length": minutes(5),
    "contact_retention": days(90),
    "booking_limits": [{"per": "STAFF_MEMBER", "period": "WEEK", "max_bookings": 20}],
    "service_defaults": {
        "slot_step": minutes(15),
        "lead_time": hours(1),
        "horizon": days(90),
        "cancellation_cutoff": days(1),
        "reschedule_cutoff": hours(12),
    },
    "mcp_access": Organization.READ_ONLY,
    "metadata": {"plan": "gold"},
}
OTHER: Fields = {
    "name": "Elsewhere",
    "time_zone": "Asia/Tokyo",
    # Categories are of a region: they go first.
    "holiday_categories": [],
    "holiday_region": "",
    "weekly_hours": [],
    "weekly_hours_periods": [],
    "hold_length": minutes(60),
    "contact_retention": days(1),
    "booking_limits": [],
    "service_defaults": {"horizon": days(7)},
    "mcp_access": Organization.READ_WRITE,
    "metadata": {},
}
GIVEN = ("id", "create_time", "update_time", "etag")


def told(found: Organization) -> Organization:
    """The organization without what it has without being told."""
    copy = Organization()
    copy.CopyFrom(found)
    for field in GIVEN:
        copy.ClearField(field)
    return copy


def test_the_tables_here_say_every_field() -> None:
    names = {field.name for field in Organization.DESCRIPTOR.fields} - set(GIVEN)
    assert set(FULL) == set(OTHER) == names


async def test_a_caller_gets_the_organization_of_its_token(zimun: Zimun) -> None:
    mine = await organization(zimun)
    assert (mine.id, mine.name, mine.time_zone) == ("o_demo", "Zimun Demo", "UTC")
    assert (mine.holiday_region, mine.hold_length) == ("", minutes(10))
    assert mine.mcp_access == Organization.DISABLED
    assert mine.create_time == stamp("2025-11-28T09:00:00Z")
    theirs = await zimun.call(
        zimun.organizations.GetOrganization,
        organizations_pb2.GetOrganizationRequest(),
        org_id="o_other",
    )
    assert (theirs.id, theirs.name) == ("o_other", "Other")


async def test_every_setting_comes_back_as_it_was_sent(zimun: Zimun) -> None:
    before = await organization(zimun)
    zimun.clock.advance(60)
    after = await update_organization(zimun, ["*"], **FULL)
    assert told(after) == Organization(**FULL)
    assert (after.id, after.create_time) == (before.id, before.create_time)
    assert after.update_time.ToMicroseconds() == zimun.clock.now()
    assert after.etag != before.etag
    assert await organization(zimun) == after
    theirs = await zimun.call(
        zimun.organizations.GetOrganization,
        organizations_pb2.GetOrganizationRequest(),
        org_id="o_other",
    )
    assert theirs.name == "Other"


async def test_a_mask_changes_the_setting_it_names_and_no_other(zimun: Zimun) -> None:
    before = await update_organization(zimun, ["*"], **FULL)
    for field, value in OTHER.items():
        after = await update_organization(zimun, [field], **OTHER)
        expected = told(before)
        expected.ClearField(field)
        expected.MergeFrom(Organization(**{field: value}))
        assert told(after) == expected, field
        assert after.etag != before.etag
        before = after
    assert told(before) == Organization(**OTHER)


async def test_without_a_mask_the_settings_that_are_set_change(zimun: Zimun) -> None:
    before = await update_organization(zimun, ["*"], **FULL)
    after = await update_organization(zimun, name="Else", hold_length=minutes(7))
    expected = told(before)
    expected.MergeFrom(Organization(name="Else", hold_length=minutes(7)))
    assert told(after) == expected


async def test_a_change_to_what_is_there_makes_no_new_etag(zimun: Zimun) -> None:
    before = await update_organization(zimun, ["*"], **FULL)
    zimun.clock.advance(60)
    assert await update_organization(zimun, ["*"], **FULL) == before
    zimun.stores.reader.forget()
    assert await update_organization(zimun, ["service_defaults.horizon"], **FULL) == before
    assert await organization(zimun) == before


async def test_a_mask_reaches_into_the_service_defaults(zimun: Zimun) -> None:
    await update_organization(zimun, ["*"], **FULL)
    after = await update_organization(
        zimun,
        ["service_defaults.horizon", "service_defaults.lead_time"],
        service_defaults={"horizon": days(30), "slot_step": minutes(1)},
        name="Ignored",
    )
    expected = Organization(**FULL)
    expected.service_defaults.horizon.CopyFrom(days(30))
    expected.service_defaults.ClearField("lead_time")
    assert told(after) == expected


@pytest.mark.parametrize(
    "mask",
    [
        ["nothing"],
        ["name", "service_defaults.nothing"],
        ["create_time"],
        ["update_time"],
        ["active"],
        ["name.first"],
    ],
)
async def test_a_mask_names_settings_that_there_are(zimun: Zimun, mask: list[str]) -> None:
    before = await organization(zimun)
    refused = await zimun.refused(
        zimun.organizations.UpdateOrganization, organization_update(mask, name="Else")
    )
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {"update_mask"})
    assert await organization(zimun) == before


async def test_a_change_fits_the_etag_where_it_says_one(zimun: Zimun) -> None:
    first = await organization(zimun)
    second = await update_organization(zimun, name="Two", etag=first.etag)
    refused = await zimun.refused(
        zimun.organizations.UpdateOrganization, organization_update(name="Three", etag=first.etag)
    )
    assert refused.code is grpc.StatusCode.ABORTED
    assert (refused.reason, refused.info.metadata["organization_id"]) == ("ETAG_MISMATCH", "o_demo")
    assert await organization(zimun) == second
    assert (await update_organization(zimun, name="Three")).name == "Three"


async def test_a_key_makes_one_change(zimun: Zimun) -> None:
    before = await organization(zimun)
    update = zimun.organizations.UpdateOrganization
    refused = await zimun.refused(update, organization_update(name="Two", etag="none"), "k")
    assert refused.reason == "ETAG_MISMATCH"
    raw: Any = zimun.channel.unary_unary("/zimun.v1.OrganizationsService/UpdateOrganization")
    sent = organization_update(name="Two", etag=before.etag).SerializeToString()
    first = await raw(sent, metadata=zimun.bearer("k"))
    after = await organization(zimun)
    zimun.clock.advance(60)
    assert await raw(sent, metadata=zimun.bearer("k")) == first
    assert await organization(zimun) == after
    refused = await zimun.refused(update, organization_update(name="Three"), "k")
    assert refused.reason == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "n" * 201}, "name"),
        ({"time_zone": ""}, "time_zone"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"holiday_region": "XX"}, "holiday_region"),
        ({"holiday_region": "DE-XX"}, "holiday_region"),
        ({"holiday_region": "de"}, "holiday_region"),
        ({"holiday_region": "-BY"}, "holiday_region"),
        ({"weekly_hours": weekly("09:00", "24:30")[:1]}, "weekly_hours[0].end_time"),
        ({"weekly_hours": weekly("09:00", "10:00") * 2}, "weekly_hours"),
        ({"hold_length": minutes(0)}, "hold_length"),
        ({"hold_length": minutes(61)}, "hold_length"),
        ({"hold_length": minutes(-5)}, "hold_length"),
        ({"hold_length": {"seconds": 60, "nanos": 1}}, "hold_length"),
        ({"service_defaults": {"slot_step": minutes(0)}}, "service_defaults.slot_step"),
        ({"service_defaults": {"slot_step": days(2)}}, "service_defaults.slot_step"),
        ({"service_defaults": {"lead_time": minutes(-1)}}, "service_defaults.lead_time"),
        ({"service_defaults": {"horizon": minutes(0.5)}}, "service_defaults.horizon"),
        (
            {"service_defaults": {"reschedule_cutoff": minutes(-1)}},
            "service_defaults.reschedule_cutoff",
        ),
        ({"mcp_access": 4}, "mcp_access"),
        ({"metadata": {f"{n}": "" for n in range(51)}}, "metadata"),
        ({"metadata": {"k" * 65: ""}}, "metadata"),
    ],
)
async def test_a_setting_that_makes_no_sense_is_refused_by_its_name(
    zimun: Zimun, fields: Fields, field: str
) -> None:
    before = await organization(zimun)
    refused = await zimun.refused(
        zimun.organizations.UpdateOrganization, organization_update(list(fields), **fields)
    )
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {field})
    assert await organization(zimun) == before


@pytest.mark.parametrize(
    "region", ["Germany", "DE-", "NYSE", "HolidayBase", "utils", "__doc__", "country_holidays"]
)
async def test_a_holiday_region_is_an_iso_3166_code(zimun: Zimun, region: str) -> None:
    refused = await zimun.refused(
        zimun.organizations.UpdateOrganization, organization_update(holiday_region=region)
    )
    assert set(refused.fields) == {"holiday_region"}


async def test_an_update_without_an_organization_is_refused(zimun: Zimun) -> None:
    refused = await zimun.refused(
        zimun.organizations.UpdateOrganization, organizations_pb2.UpdateOrganizationRequest()
    )
    assert set(refused.fields) == {"organization"}


# What they change


@pytest.mark.parametrize("length", [1, 25, 60])
async def test_the_next_hold_lasts_as_long_as_holds_do(zimun: Zimun, length: int) -> None:
    old = await create_hold(zimun, "2025-12-01T10:00:00Z")
    await update_organization(zimun, hold_length=minutes(length))
    made = await create_hold(zimun, "2025-12-01T10:00:00Z")
    assert made.expires_at.ToMicroseconds() == FRIDAY_MORNING + length * MINUTE
    assert old.expires_at == stamp("2025-11-28T09:10:00Z")
    zimun.clock.instant = made.expires_at.ToMicroseconds() - 1
    extend = appointments_pb2.ExtendHoldRequest(hold_id=made.hold_id)
    for lasts in (2, 3):
        extended = await zimun.call(zimun.appointments.ExtendHold, extend)
        latest = FRIDAY_MORNING + lasts * length * MINUTE
        assert latest - 3 < extended.expires_at.ToMicroseconds() <= latest
        zimun.clock.instant = extended.expires_at.ToMicroseconds() - 1
    extended = await zimun.call(zimun.appointments.ExtendHold, extend)
    assert extended.expires_at.ToMicroseconds() == FRIDAY_MORNING + 3 * length * MINUTE
    told = await zimun.refused(zimun.appointments.ExtendHold, extend)
    assert told.reason == "HOLD_LIMIT_REACHED"


async def test_holds_that_exist_expire_when_they_said(zimun: Zimun) -> None:
    free = await times(zimun, "s_123", "2025-12-01", staff_id="t_ada")
    await create_hold(zimun, "2025-12-01T10:00:00Z", staff_id="t_ada")
    await update_organization(zimun, hold_length=minutes(1))
    zimun.clock.advance(599)
    assert "10:00" not in await times(zimun, "s_123", "2025-12-01", staff_id="t_ada")
    zimun.clock.advance(1)
    assert await times(zimun, "s_123", "2025-12-01", staff_id="t_ada") == free


@pytest.mark.parametrize("length", [1, 60])
async def test_extending_never_shortens_a_hold(zimun: Zimun, length: int) -> None:
    hold = await create_hold(zimun, "2025-12-01T10:00:00Z")
    await update_organization(zimun, hold_length=minutes(length))
    zimun.clock.advance(5 * 60)
    extend = appointments_pb2.ExtendHoldRequest(hold_id=hold.hold_id)
    with suppress(grpc.aio.AioRpcError):
        extended = await zimun.call(zimun.appointments.ExtendHold, extend)
        assert extended.expires_at.ToMicroseconds() >= hold.expires_at.ToMicroseconds()
    zimun.clock.instant = hold.expires_at.ToMicroseconds() - 1
    await zimun.call(zimun.appointments.ConfirmAppointment, confirm_of(hold.hold_id))


@pytest.mark.parametrize(
    ("region", "date", "holiday"),
    [
        ("DE", "2025-12-25", True),
        ("DE-BY", "2026-01-06", True),
        ("DE-BE", "2026-01-06", False),
        ("DE", "2026-01-06", False),
        ("US-CA", "2026-03-31", True),
        ("US", "2026-03-31", False),
        ("GB-SCT", "2025-12-01", True),
        ("GB-ENG", "2025-12-01", False),
        ("", "2025-12-25", False),
    ],
)
async def test_the_public_holidays_are_those_of_the_region(
    zimun: Zimun, region: str, date: str, holiday: bool
) -> None:
    assert (
        await update_organization(zimun, ["holiday_region"], holiday_region=region)
    ).holiday_region == region
    found = await search(zimun, "s_123", date)
    (day,) = found.days
    assert day.status == (Day.HOLIDAY if holiday else Day.OPEN)
    assert bool(day.note) == holiday
    assert bool(found.slots) != holiday


async def test_the_holidays_of_the_region_before_are_open_again(zimun: Zimun) -> None:
    for region, open_dates in (("DE", ["2025-12-24"]), ("", ["2025-12-24", "2025-12-25"])):
        await update_organization(zimun, ["holiday_region"], holiday_region=region)
        offered = [d for d in ("2025-12-24", "2025-12-25") if await times(zimun, "s_123", d)]
        assert offered == open_dates


async def test_the_organizations_hours_and_zone_are_of_its_own_place(zimun: Zimun) -> None:
    service = await SERVICE.create(zimun, duration=hours(1))
    await update_organization(zimun, time_zone="Asia/Tokyo", weekly_hours=weekly("09:00", "11:00"))
    found = await search(zimun, service.id, "2025-12-01")
    assert found.time_zone == "Asia/Tokyo"
    assert [slot.start_time.ToJsonString() for slot in found.slots] == [
        "2025-12-01T00:00:00Z",
        "2025-12-01T01:00:00Z",
    ]
    assert found.slots[0].local_start_time == "2025-12-01T09:00:00+09:00"
    assert (await search(zimun, "s_123", "2025-12-01")).time_zone == "UTC"


async def test_service_defaults_are_of_new_services_alone(zimun: Zimun) -> None:
    old = await SERVICE.create(zimun)
    await update_organization(
        zimun, ["service_defaults.horizon"], service_defaults={"horizon": days(3)}
    )
    new = await SERVICE.create(zimun)
    assert (new.horizon, new.slot_step) == (days(3), minutes(30))
    assert await SERVICE.get(zimun, old.id) == old
    assert await times(zimun, old.id, "2025-12-05")
    assert await times(zimun, new.id, "2025-12-05") == []
    await update_organization(zimun, ["service_defaults"])
    assert (await SERVICE.create(zimun)).horizon == days(60)
    assert await SERVICE.get(zimun, new.id) == new
