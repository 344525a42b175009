"""Public holidays of a location, and which categories of a region's holidays are closed."""

from typing import Any

import pytest

from zimun.v1.slot_pb2 import Day

from ..support.rpc import Zimun
from .calls import hold_refused, search
from .catalogue import (
    LOCATION,
    SERVICE,
    Fields,
    organization_update,
    put_override,
    update_organization,
    weekly,
)

GOOD_FRIDAY = "2026-04-03"
UNITY_DAY = "2026-10-03"


async def day_at(zimun: Zimun, date: str, **location: Any) -> tuple[str, str]:
    """Status and note of a date at a new location."""
    place = await LOCATION.create(zimun, **location)
    service = await SERVICE.create(zimun, location_ids=[place.id])
    [day] = (await search(zimun, service.id, date)).days
    return Day.Status.Name(day.status), day.note


@pytest.mark.parametrize(
    ("date", "note"),
    [
        (GOOD_FRIDAY, "耶穌受難節"),
        ("2026-04-04", "耶穌受難節翌日"),
        ("2026-04-06", "復活節星期一; 清明節翌日"),
        ("2026-12-26", "聖誕節後第一個周日"),
        ("2026-05-24", "佛誕"),
    ],
)
async def test_the_general_holidays_of_hong_kong_are_closed(
    zimun: Zimun, date: str, note: str
) -> None:
    await update_organization(zimun, ["holiday_region"], holiday_region="HK")
    [day] = (await search(zimun, "s_123", date)).days
    assert (day.status, day.note) == (Day.HOLIDAY, note)


@pytest.mark.parametrize(
    ("region", "categories", "holidays"),
    [
        ("HK", ["public"], {"2026-12-25"}),
        ("HK", ["optional", "public"], {GOOD_FRIDAY, "2026-12-25"}),
        ("MO", [], {GOOD_FRIDAY, "2026-12-24", "2026-12-25"}),
        ("MO", ["public"], set()),
        ("DE-BY", [], {GOOD_FRIDAY, "2026-12-25"}),
        ("AT", ["public"], {"2026-12-25"}),
        ("AT", ["bank"], {GOOD_FRIDAY, "2026-12-24"}),
        ("AT", ["bank", "public"], {GOOD_FRIDAY, "2026-12-24", "2026-12-25"}),
    ],
)
async def test_the_chosen_categories_of_a_region_are_closed(
    zimun: Zimun, region: str, categories: list[str], holidays: set[str]
) -> None:
    mask = ["holiday_region", "holiday_categories"]
    await update_organization(zimun, mask, holiday_region=region, holiday_categories=categories)
    closed = set()
    for date in (GOOD_FRIDAY, "2026-12-24", "2026-12-25"):
        [day] = (await search(zimun, "s_123", date)).days
        closed |= {date} if day.status == Day.HOLIDAY else set()
    assert closed == holidays


OPEN = ("OPEN", "")


@pytest.mark.parametrize(
    ("location", "good_friday", "unity_day"),
    [
        ({}, ("HOLIDAY", "Karfreitag"), ("HOLIDAY", "Tag der Deutschen Einheit")),
        ({"holiday_region": "AT"}, OPEN, OPEN),
        (
            {"holiday_region": "AT", "holiday_categories": ["bank"]},
            ("HOLIDAY", "Karfreitag"),
            OPEN,
        ),
        ({"holiday_region": "NONE"}, OPEN, OPEN),
        ({"holiday_region": "DE", "holiday_categories": ["catholic"]}, OPEN, OPEN),
    ],
    ids=["organization's", "region", "categories", "none", "other categories"],
)
async def test_the_holidays_of_a_location_override_the_organizations(
    zimun: Zimun, location: Fields, good_friday: tuple[str, str], unity_day: tuple[str, str]
) -> None:
    await update_organization(zimun, holiday_region="DE", holiday_categories=["public"])
    assert await day_at(zimun, GOOD_FRIDAY, **location) == good_friday
    assert await day_at(zimun, UNITY_DAY, **location) == unity_day
    [own] = (await search(zimun, "s_123", UNITY_DAY)).days  # the organization's place
    assert own.status == Day.HOLIDAY


async def test_a_change_of_a_locations_holidays_is_seen_by_the_next_search(zimun: Zimun) -> None:
    place = await LOCATION.create(zimun, weekly_hours=weekly("09:00", "10:00"))
    service = await SERVICE.create(zimun, location_ids=[place.id])
    christmas = "2025-12-25T09:00:00Z"
    for region, name in (("US", "Christmas Day"), ("FR", "Noël")):
        await LOCATION.update(zimun, place.id, ["holiday_region"], holiday_region=region)
        refused = await hold_refused(zimun, christmas, service_id=service.id)
        assert refused.info.metadata["rule"] == "HOLIDAY"
        assert refused.info.metadata["note"] == name
    await put_override(zimun, place.id, "2025-12-25", ("09:00", "10:00"))
    assert len((await search(zimun, service.id, "2025-12-25")).slots) == 2


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        (
            {"holiday_region": "DE", "holiday_categories": ["bank"]},
            "holiday_categories",
            "bank is none of the categories of DE: catholic, public, school",
        ),
        (
            {"holiday_region": "HK", "holiday_categories": ["public", "PUBLIC"]},
            "holiday_categories",
            "PUBLIC is none of the categories of HK: optional, public",
        ),
        (
            {"holiday_region": "HK", "holiday_categories": ["public", "public"]},
            "holiday_categories",
            "names public twice",
        ),
        (
            {"holiday_categories": ["public"]},
            "holiday_categories",
            "are only allowed with a holiday_region",
        ),
        ({"holiday_region": "ATLANTIS"}, "holiday_region", "no public holidays are known for"),
        ({"holiday_region": "DE-XX"}, "holiday_region", "no public holidays are known for"),
    ],
)
async def test_unknown_holidays_are_refused_with_the_allowed_categories(
    zimun: Zimun, fields: Fields, field: str, message: str
) -> None:
    refused = [
        await zimun.refused(zimun.organizations.UpdateOrganization, organization_update(**fields)),
        await LOCATION.refused(zimun, "Create", LOCATION.creation(**fields)),
        await LOCATION.refused(zimun, "Update", LOCATION.change("l_main", **fields)),
    ]
    for one in refused:
        assert (one.reason, set(one.fields)) == ("INVALID_FIELD", {field})
        assert one.fields[field].startswith(message)


async def test_a_region_of_no_holidays_has_no_categories_and_is_a_locations_alone(
    zimun: Zimun,
) -> None:
    fields: Fields = {"holiday_region": "NONE", "holiday_categories": ["public"]}
    refused = await LOCATION.refused(zimun, "Create", LOCATION.creation(**fields))
    assert set(refused.fields) == {"holiday_categories"}
    change = organization_update(holiday_region="NONE")
    refused = await zimun.refused(zimun.organizations.UpdateOrganization, change)
    assert set(refused.fields) == {"holiday_region"}
