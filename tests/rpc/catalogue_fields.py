"""Every field of every type of entry, with two values of each."""

from collections.abc import Mapping
from typing import Any

import pytest

from .catalogue import (
    ENTRY_TYPES,
    LOCATION,
    RESOURCE,
    SERVICE,
    STAFF,
    EntryType,
    Fields,
    days,
    hours,
    minutes,
    weekly,
)

each_entry_type = pytest.mark.parametrize("entry_type", ENTRY_TYPES, ids=str)

FULL: Mapping[EntryType, Fields] = {
    SERVICE: {
        "name": "Massage",
        "description": "Back and neck.",
        "duration": minutes(45),
        "buffer_before": minutes(5),
        "buffer_after": minutes(10),
        "slot_step": minutes(15),
        "slot_alignment": "HOUR",
        "lead_time": hours(3),
        "horizon": days(30),
        "capacity": 4,
        "cancellation_cutoff": hours(24),
        "reschedule_cutoff": hours(12),
        "price": {"currency_code": "EUR", "units": 80, "nanos": 500_000_000},
        "staff_ids": ["t_chloe", "t_ada"],
        "resource_requirements": [
            {"resource_ids": ["r_room_2", "r_room_1"]},
            {"resource_ids": ["r_studio"]},
        ],
        "location_ids": ["l_main"],
        "metadata": {"colour": "blue", "": "empty key"},
        "duration_options": [minutes(90), minutes(30)],
        "booking_limits": [
            {"max_bookings": 2, "period": "UPCOMING", "per": "CUSTOMER"},
            {"max_bookings": 9, "period": "DAY", "per": "SERVICE"},
        ],
        "weekly_hours": weekly("10:00", "12:00"),
        "weekly_hours_periods": [
            {"valid_from": "2026-01-01", "weekly_hours": weekly("10:00", "15:00")},
            {"valid_from": "2025-12-24", "weekly_hours": []},
        ],
    },
    LOCATION: {
        "name": "Café Zürich",
        "address": "2 Side Street\n8001 Zürich",
        "time_zone": "Europe/Zurich",
        "weekly_hours": [*weekly("09:00", "12:30", ["MONDAY"]), *weekly("13:00", "24:00")[:1]],
        "weekly_hours_periods": [
            {"valid_from": "2026-03-01", "weekly_hours": weekly("08:00", "09:00")}
        ],
        "holiday_region": "CH-ZH",
        "holiday_categories": ["public"],
        "metadata": {"floor": "2"},
    },
    STAFF: {
        "name": "Noor",
        "time_zone": "Asia/Kolkata",
        "weekly_hours": [*weekly("07:15", "08:45")[:2], *weekly("00:00", "24:00", ["SUNDAY"])],
        "weekly_hours_periods": [{"valid_from": "2026-03-01"}],
        "daily_limit": 6,
        "location_ids": ["l_main"],
        "metadata": {"badge": "17"},
    },
    RESOURCE: {"name": "Chair", "location_id": "l_main", "metadata": {"kind": "leather"}},
}

OTHER: Mapping[EntryType, Fields] = {
    SERVICE: {
        "name": "Talk",
        "description": "",
        "duration": minutes(20),
        "buffer_before": minutes(0),
        "buffer_after": minutes(1),
        "slot_step": minutes(24 * 60),
        "slot_alignment": "OPENING",
        "lead_time": minutes(0),
        "horizon": days(365),
        "capacity": 1,
        "cancellation_cutoff": minutes(0),
        "reschedule_cutoff": days(2),
        "price": {"currency_code": "USD", "units": 5},
        "staff_ids": ["t_ben"],
        "resource_requirements": [],
        "location_ids": [],
        "metadata": {},
        "duration_options": [minutes(25)],
        "booking_limits": [{"max_bookings": 3, "period": "WEEK", "per": "RESOURCE"}],
        "weekly_hours": [],
        "weekly_hours_periods": [{"valid_from": "2026-02-01"}],
    },
    LOCATION: {
        "name": "Depot",
        "address": "",
        "time_zone": "America/New_York",
        "weekly_hours": [],
        "weekly_hours_periods": [],
        "holiday_region": "FR",
        "holiday_categories": [],
        "metadata": {"a": "b"},
    },
    STAFF: {
        "name": "Kim",
        "time_zone": "UTC",
        "weekly_hours": weekly("10:00", "11:00"),
        "weekly_hours_periods": [],
        "daily_limit": 0,
        "location_ids": [],
        "metadata": {},
    },
    RESOURCE: {"name": "Lamp", "location_id": "", "metadata": {}},
}

EMPTIED: Mapping[EntryType, tuple[str, ...]] = {
    SERVICE: (
        *("active", "description", "resource_requirements", "staff_ids", "location_ids"),
        *("duration_options", "booking_limits", "metadata", "price", "buffer_before", "lead_time"),
        *("weekly_hours", "weekly_hours_periods"),
    ),
    LOCATION: (
        "active",
        "address",
        "weekly_hours",
        "weekly_hours_periods",
        "metadata",
        "holiday_categories",
    ),
    STAFF: (
        *("active", "weekly_hours", "weekly_hours_periods"),
        *("daily_limit", "location_ids", "metadata"),
    ),
    RESOURCE: ("active", "location_id", "metadata"),
}
"""Fields that an update can make empty, false or 0."""

GIVEN = ("id", "active", "create_time", "update_time", "etag")
"""What an entry has without being told."""


def told(entry: Any) -> Any:
    """The entry without what it has without being told."""
    copy = type(entry)()
    copy.CopyFrom(entry)
    for field in GIVEN:
        copy.ClearField(field)
    return copy
