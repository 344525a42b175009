"""Fields that make no sense are refused by their names."""

from typing import Any

import grpc
import pytest

from zimun.v1 import location_pb2

from ..support.rpc import Zimun
from .catalogue import (
    ENTRY_TYPES,
    LOCATION,
    RESOURCE,
    SERVICE,
    STAFF,
    WEEK,
    EntryType,
    Fields,
    minutes,
    weekly,
)
from .catalogue_fields import each_entry_type, told

# What makes no sense


def day(start: str, end: str, name: Any = "MONDAY") -> dict[str, Any]:
    return {"day_of_week": name, "start_time": start, "end_time": end}


HOURS: list[tuple[list[dict[str, Any]], str]] = [
    ([day("09:00", "24:30")], "weekly_hours[0].end_time"),
    ([day("09:00", "10:00"), day("12:00", "11:00")], "weekly_hours"),
    ([day("09:00", "09:00")], "weekly_hours"),
    ([day("9:00", "10:00")], "weekly_hours[0].start_time"),
    ([day("09:60", "10:00")], "weekly_hours[0].start_time"),
    ([day("", "10:00")], "weekly_hours[0].start_time"),
    ([day("09:00", "")], "weekly_hours[0].end_time"),
    ([day("09:00", "10:00:00")], "weekly_hours[0].end_time"),
    ([day("09:00", "noon")], "weekly_hours[0].end_time"),
    ([day("24:00", "24:00")], "weekly_hours"),
    ([day("09:00", "10:00", 0)], "weekly_hours[0].day_of_week"),
    ([day("09:00", "10:00", 8)], "weekly_hours[0].day_of_week"),
    ([day("09:00", "10:00", 8), day("11:00", "10:00")], "weekly_hours[0].day_of_week"),
    ([day("09:00", "12:00"), day("11:00", "13:00")], "weekly_hours"),
    ([day("09:00", "12:00"), day("08:00", "09:01")], "weekly_hours"),
    ([day("00:00", "24:00"), day("10:00", "11:00")], "weekly_hours"),
    ([day("09:00", "10:00"), day("09:00", "10:00")], "weekly_hours"),
    (
        [day(f"{n // 60:02}:{n % 60:02}", f"{n // 60:02}:{n % 60:02}") for n in range(71)],
        "weekly_hours",
    ),
    (
        [
            day(f"{n // 3:02}:{n % 3 * 20:02}", f"{n // 3:02}:{n % 3 * 20 + 10:02}")
            for n in range(71)
        ],
        "weekly_hours",
    ),
]

LENGTHS = (
    "duration",
    "buffer_before",
    "buffer_after",
    "slot_step",
    "lead_time",
    "horizon",
    "cancellation_cutoff",
    "reschedule_cutoff",
)
NO_LENGTHS = (
    {"seconds": -60},
    {"seconds": 90},
    {"seconds": 60, "nanos": 1},
    {"seconds": 60, "nanos": -1},
    {"seconds": 60, "nanos": 1_000_000_000},
    {"seconds": 10**12},
    {"seconds": -(2**63)},
    {"seconds": 2**63 - 1},
)

BAD: list[tuple[EntryType, Fields, str]] = [
    *((entry_type, {"name": ""}, "name") for entry_type in ENTRY_TYPES),
    *((entry_type, {"name": "n" * 201}, "name") for entry_type in ENTRY_TYPES),
    *(
        (entry_type, {"metadata": {f"k{n}": "" for n in range(51)}}, "metadata")
        for entry_type in ENTRY_TYPES
    ),
    *((entry_type, {"metadata": {"k" * 65: ""}}, "metadata") for entry_type in ENTRY_TYPES),
    *((entry_type, {"metadata": {"k": "v" * 1001}}, "metadata") for entry_type in ENTRY_TYPES),
    *(
        (entry_type, {"time_zone": zone}, "time_zone")
        for entry_type in (LOCATION, STAFF)
        for zone in ("Mars/Olympus", "+01:00", "europe/berlin", "../UTC", "Europe", "z" * 65)
    ),
    *(
        (entry_type, {"weekly_hours": them}, at)
        for entry_type in (LOCATION, STAFF)
        for them, at in HOURS
    ),
    (LOCATION, {"address": "a" * 501}, "address"),
    (STAFF, {"daily_limit": -1}, "daily_limit"),
    (STAFF, {"location_ids": ["l_main", "l_none"]}, "location_ids"),
    (STAFF, {"location_ids": ["l_main", "l_main"]}, "location_ids"),
    (STAFF, {"location_ids": ["t_ada"]}, "location_ids"),
    (STAFF, {"location_ids": ["l_main"] * 501}, "location_ids"),
    (RESOURCE, {"location_id": "l_none"}, "location_id"),
    (RESOURCE, {"location_id": "no id"}, "location_id"),
    (SERVICE, {"description": "d" * 2001}, "description"),
    *(
        (SERVICE, {"slot_step": minutes(30), name: length}, name)
        for name in LENGTHS
        for length in NO_LENGTHS
    ),
    (SERVICE, {"duration": None}, "duration"),
    (SERVICE, {"duration": minutes(0)}, "duration"),
    (SERVICE, {"slot_step": minutes(0)}, "slot_step"),
    (SERVICE, {"slot_step": minutes(24 * 60 + 1)}, "slot_step"),
    (SERVICE, {"slot_alignment": 99}, "slot_alignment"),
    (SERVICE, {"capacity": -1}, "capacity"),
    (SERVICE, {"duration_options": [minutes(20), minutes(0)]}, "duration_options"),
    (SERVICE, {"duration_options": [minutes(20), {"seconds": 90}]}, "duration_options"),
    (SERVICE, {"duration_options": [minutes(20), minutes(20)]}, "duration_options"),
    (SERVICE, {"duration_options": [minutes(40 + n) for n in range(21)]}, "duration_options"),
    (
        SERVICE,
        {"booking_limits": [{"period": "DAY", "per": "SERVICE"}]},
        "booking_limits[0].max_bookings",
    ),
    (
        SERVICE,
        {
            "booking_limits": [
                {"max_bookings": n, "period": "DAY", "per": "SERVICE"} for n in (1, 2)
            ]
        },
        "booking_limits",
    ),
    (SERVICE, {"booking_limits": [{"max_bookings": 1, "period": "DAY"}]}, "booking_limits[0].per"),
    (SERVICE, {"weekly_hours": weekly("09:00", "09:00")}, "weekly_hours"),
    (
        STAFF,
        {"weekly_hours_periods": [{"valid_from": "2026-02-30"}]},
        "weekly_hours_periods[0].valid_from",
    ),
    (
        LOCATION,
        {"weekly_hours_periods": [{"valid_from": "2026-02-01"}] * 2},
        "weekly_hours_periods",
    ),
    (
        STAFF,
        {
            "weekly_hours_periods": [
                {"valid_from": "2026-02-01", "weekly_hours": weekly("10:00", "09:00")}
            ]
        },
        "weekly_hours_periods",
    ),
    (SERVICE, {"price": {"currency_code": "EURO", "units": 1}}, "price"),
    (SERVICE, {"price": {"currency_code": "eur", "units": 1}}, "price"),
    (SERVICE, {"price": {"units": 1}}, "price"),
    (SERVICE, {"staff_ids": ["t_ada", "t_none"]}, "staff_ids"),
    (SERVICE, {"staff_ids": ["t_ada", "t_ada"]}, "staff_ids"),
    (SERVICE, {"staff_ids": ["r_studio"]}, "staff_ids"),
    (SERVICE, {"location_ids": ["l_none"]}, "location_ids"),
    (SERVICE, {"location_ids": ["l_main", "l_main"]}, "location_ids"),
    (
        SERVICE,
        {"resource_requirements": [{"resource_ids": ["r_studio", "r_none"]}]},
        "resource_requirements",
    ),
    (
        SERVICE,
        {"resource_requirements": [{"resource_ids": ["r_studio", "r_studio"]}]},
        "resource_requirements",
    ),
    (
        SERVICE,
        {"resource_requirements": [{"resource_ids": ["r_studio"]}, {}]},
        "resource_requirements",
    ),
    (
        SERVICE,
        {"resource_requirements": [{"resource_ids": ["r_studio"]}] * 11},
        "resource_requirements",
    ),
]


@pytest.mark.parametrize("verb", ["Create", "Update"])
@pytest.mark.parametrize("entry_type", ENTRY_TYPES, ids=str)
async def test_what_makes_no_sense_is_refused_by_its_name(
    zimun: Zimun, entry_type: EntryType, verb: str
) -> None:
    made = await entry_type.create(zimun)
    wrong = {}
    for type_of_entry, fields, field in BAD:
        if type_of_entry is not entry_type:
            continue
        creation = entry_type.creation(**fields)
        change = entry_type.change(made.id, list(fields), **fields)
        refused = await entry_type.refused(zimun, verb, creation if verb == "Create" else change)
        told = (refused.code, refused.reason, set(refused.fields))
        if told != (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", {field}):
            wrong[str(fields)[:120]] = (*told, field)
    assert wrong == {}
    assert await entry_type.get(zimun, made.id) == made


@pytest.mark.parametrize(
    "price",
    [
        {"currency_code": "EUR", "nanos": 10**9},
        {"currency_code": "EUR", "units": 1, "nanos": -1},
        {"currency_code": "EUR", "units": -1, "nanos": 1},
    ],
)
async def test_a_price_is_an_amount_of_money(zimun: Zimun, price: Fields) -> None:
    refused = await SERVICE.refused(zimun, "Create", SERVICE.creation(price=price))
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {"price"})


async def test_a_wrong_duration_is_not_reported_for_a_step_that_was_not_sent(zimun: Zimun) -> None:
    refused = await SERVICE.refused(zimun, "Create", SERVICE.creation(duration=minutes(1.5)))
    assert set(refused.fields) == {"duration"}


@pytest.mark.parametrize("field", ["capacity", "duration", "slot_step", "horizon", "name"])
async def test_what_a_service_cannot_be_without_is_not_masked_away(
    zimun: Zimun, field: str
) -> None:
    made = await SERVICE.create(zimun)
    refused = await SERVICE.refused(zimun, "Update", SERVICE.change(made.id, [field]))
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {field})
    assert await SERVICE.get(zimun, made.id) == made


@each_entry_type
async def test_every_wrong_field_of_an_entry_is_named_at_once(
    zimun: Zimun, entry_type: EntryType
) -> None:
    wrong = {"id": "x y", "name": "n" * 201, "metadata": {"k": "v" * 1001}}
    refused = await entry_type.refused(zimun, "Create", entry_type.creation(**wrong))
    assert set(refused.fields) == set(wrong)


@each_entry_type
async def test_values_of_the_greatest_length_are_accepted(
    zimun: Zimun, entry_type: EntryType
) -> None:
    widest: dict[str, Any] = {
        "name": "ü" * 200,
        "metadata": {"k" * 62 + f"{n:02}": "v" * 1000 for n in range(50)},
    }
    made = await entry_type.create(zimun, **widest)
    assert told(await entry_type.get(zimun, made.id)).metadata == widest["metadata"]


@pytest.mark.parametrize("entry_type", [LOCATION, STAFF], ids=str)
async def test_openings_may_touch_and_a_day_have_ten(zimun: Zimun, entry_type: EntryType) -> None:
    touching = [
        day(f"{2 * n:02}:00", f"{2 * n + 2:02}:00", name) for name in WEEK for n in range(10)
    ]
    made = await entry_type.create(zimun, weekly_hours=touching)
    assert list(made.weekly_hours) == [location_pb2.WeeklyHours(**each) for each in touching]


@each_entry_type
async def test_a_request_without_an_entry_is_refused(zimun: Zimun, entry_type: EntryType) -> None:
    for verb in ("Create", "Update"):
        refused = await entry_type.refused(zimun, verb, entry_type.request(verb))
        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    refused = await entry_type.refused(zimun, "Update", entry_type.change("", name="Nobody"))
    assert set(refused.fields) == {"id"}
