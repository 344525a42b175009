"""A catalogue whose entries have a value in every field."""

from datetime import date
from typing import Any

from zimun.domain.catalog.booking_limit import BookingLimit, LimitPeriod, LimitSubject
from zimun.domain.catalog.entries import (
    Location,
    McpAccess,
    Organization,
    Override,
    Resource,
    Service,
    ServiceDefaults,
    SlotAlignment,
    StaffMember,
)
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.catalog.weekly_hours import WeeklyHoursPeriod
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.ledger.events import CatalogEntry

from .sample_catalog import NOW, ORG

WEEK = {0: ((540, 720), (780, 1440)), 5: (), 6: ((0, 1440),)}

METADATA = {
    "": "empty key",
    "ключ": "žluťoučký 🐎",
    "json": '{"a": [1, "\\u0000"]}',
    "sql": "'; --",
}

PERIODS = (
    WeeklyHoursPeriod(valid_from=date(2031, 1, 1), weekly_hours={}),
    WeeklyHoursPeriod(valid_from=date(2030, 1, 1), weekly_hours=WEEK),
)

LIMITS = (
    BookingLimit(max_bookings=5, period=LimitPeriod.WEEK, per=LimitSubject.CUSTOMER),
    BookingLimit(max_bookings=100_000, period=LimitPeriod.UPCOMING, per=LimitSubject.RESOURCE),
)

COMMON: dict[str, Any] = {
    "metadata": METADATA,
    "create_time": NOW,
    "update_time": NOW + 1,
    "revision": 7,
}
"""What all kinds of entries have."""

LOCATION = Location(
    id="l_1",
    name="Zweigstelle Süd \u2028 'quoted' \"twice\"",
    active=False,
    time_zone="Asia/Kathmandu",
    address="1 Main Street\n10115 Berlin",
    weekly_hours=WEEK,
    weekly_hours_periods=PERIODS,
    holiday_region="CH-ZH",
    holiday_categories=("public", "half_day"),
    **COMMON,
)

STAFF_MEMBER = StaffMember(
    id="t_1",
    name="朝倉 🧖",
    active=False,
    time_zone="America/St_Johns",
    weekly_hours=WEEK,
    weekly_hours_periods=PERIODS,
    daily_limit=3,
    location_ids=("l_2", "l_1"),
    **COMMON,
)

RESOURCE = Resource(
    id="r_1",
    name="Fauteuil n° 1",
    active=False,
    location_id="l_1",
    **COMMON,
)

SERVICE = Service(
    id="s_1",
    name="Haircut & beard ✂",
    active=False,
    duration=25 * MINUTE,
    slot_step=1,
    horizon=(1 << 53) + 1,
    description="مرحبا\t\n",
    buffer_before=1,
    buffer_after=HOUR - 1,
    slot_alignment=SlotAlignment.HOUR,
    lead_time=2 * HOUR,
    capacity=12,
    cancellation_cutoff=DAY,
    reschedule_cutoff=DAY + 1,
    price={"currency_code": "EUR", "units": -3, "nanos": -750_000_000},
    staff_ids=("t_2", "t_1"),
    resource_requirements=(("r_2", "r_1"), ("r_1",)),
    location_ids=("l_2", "l_1"),
    duration_options=(HOUR, 5 * MINUTE),
    booking_limits=LIMITS,
    weekly_hours=WEEK,
    weekly_hours_periods=PERIODS,
    **COMMON,
)

ORGANIZATION = Organization(
    id=ORG,
    name="Zum goldenen Löwen",
    active=True,
    time_zone="Europe/Berlin",
    holiday_region="DE-BE",
    holiday_categories=("school", "public"),
    weekly_hours=WEEK,
    weekly_hours_periods=PERIODS,
    hold_length=HOUR,
    booking_limits=LIMITS[:1],
    contact_retention=90 * DAY,
    service_defaults=ServiceDefaults(
        slot_step=1, lead_time=0, horizon=3, cancellation_cutoff=4, reschedule_cutoff=5
    ),
    mcp_access=McpAccess.READ_WRITE,
    **COMMON,
)

ENTRIES: list[CatalogEntry] = [LOCATION, STAFF_MEMBER, RESOURCE, SERVICE]

TIME_OFF = TimeOff(
    owner_id="t_1",
    start=NOW - 1,
    end=NOW + 2**50,
    note="Straße gesperrt",
    external_reference="hr/7",
    recurrence="FREQ=DAILY;COUNT=2",
    time_zone="Europe/Berlin",
    occurrences=((NOW - 1, NOW + 2**50), (NOW, NOW + 2**51)),
    id="f_1",
    create_time=NOW,
    update_time=NOW + 1,
    revision=3,
)

OVERRIDE = Override(
    owner_id="t_1",
    date=date(2026, 2, 28),
    hours=((0, 1), (1439, 1440)),
    note="Inventur 🎉",
    id="v_1",
    create_time=NOW,
    revision=2,
)
