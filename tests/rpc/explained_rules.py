"""Every rule that can stand in the way of a start: how it comes to it, and what is told of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from ..support.rpc import Zimun
from .calls import (
    ELEVEN,
    MONDAY,
    TEN,
    create_hold,
)
from .catalogue import (
    LOCATION,
    RESOURCE,
    SERVICE,
    STAFF,
    Fields,
    hours,
    minutes,
    put_override,
    update_organization,
    weekly,
)
from .time_off import put_time_off

Setup = Callable[[Zimun], Awaitable[Fields]]
"""Makes a service `s_x` and what stands in its way; gives what to ask."""


@dataclass(frozen=True)
class Case:
    """A time that cannot be had: why, as people would say, and with which error."""

    setup: Setup
    rules: list[tuple[str, str]]
    reason: str
    metadata: dict[str, str] = field(default_factory=dict)


async def service(zimun: Zimun, **fields: Any) -> None:
    await SERVICE.create(zimun, **{"id": "s_x", "duration": hours(1), **fields})


async def member(zimun: Zimun, **fields: Any) -> None:
    await STAFF.create(zimun, **{"id": "t_x", "weekly_hours": weekly("08:00", "18:00"), **fields})


async def _service_inactive(zimun: Zimun) -> Fields:
    await service(zimun)
    await SERVICE.archive(zimun, "s_x")
    return {}


async def _location_inactive(zimun: Zimun) -> Fields:
    await LOCATION.create(zimun, id="l_x")
    await service(zimun, location_ids=["l_x"])
    await LOCATION.archive(zimun, "l_x")
    return {}


async def _holiday(zimun: Zimun) -> Fields:
    await update_organization(zimun, holiday_region="GB-SCT")
    await service(zimun)
    return {}


async def _closed(zimun: Zimun) -> Fields:
    await LOCATION.create(zimun, id="l_x", weekly_hours=weekly("08:00", "10:59"))
    await service(zimun, location_ids=["l_x"])
    return {}


async def _closed_by_override(zimun: Zimun) -> Fields:
    await LOCATION.create(zimun, id="l_x")
    await put_override(zimun, "l_x", MONDAY, note="Burst pipe")
    await service(zimun, location_ids=["l_x"])
    return {}


async def _time_off(zimun: Zimun) -> Fields:
    await LOCATION.create(zimun, id="l_x")
    await service(zimun, location_ids=["l_x"])
    await put_time_off(zimun, "l_x", TEN, ELEVEN, note="Fire drill")
    return {}


async def _staff_time_off(zimun: Zimun) -> Fields:
    await member(zimun)
    await service(zimun, staff_ids=["t_x"])
    await put_time_off(zimun, "t_x", TEN, ELEVEN)
    return {}


async def _resource_time_off(zimun: Zimun) -> Fields:
    await RESOURCE.create(zimun, id="r_x")
    await service(zimun, resource_requirements=[{"resource_ids": ["r_x"]}])
    await put_time_off(zimun, "r_x", TEN, ELEVEN)
    return {}


async def _not_on_grid(zimun: Zimun) -> Fields:
    await service(zimun, slot_step=minutes(45))
    return {}


async def _lead_time(zimun: Zimun) -> Fields:
    await service(zimun, lead_time=minutes(73 * 60 + 1))
    return {}


async def _horizon(zimun: Zimun) -> Fields:
    await service(zimun, horizon=minutes(73 * 60 - 1))
    return {}


async def _staff_inactive(zimun: Zimun) -> Fields:
    await member(zimun)
    await service(zimun, staff_ids=["t_x"])
    await STAFF.archive(zimun, "t_x")
    return {}


async def _staff_elsewhere(zimun: Zimun) -> Fields:
    await LOCATION.create(zimun, id="l_x")
    await member(zimun)
    await service(zimun, staff_ids=["t_x"], location_ids=["l_x"])
    await STAFF.update(zimun, "t_x", location_ids=["l_main"])
    return {}


async def _staff_closed(zimun: Zimun) -> Fields:
    await member(zimun, weekly_hours=weekly("08:00", "10:30"))
    await service(zimun, staff_ids=["t_x"])
    return {}


async def _staff_busy(zimun: Zimun) -> Fields:
    await member(zimun)
    await service(zimun, staff_ids=["t_x"], buffer_before=minutes(10), buffer_after=minutes(20))
    await create_hold(zimun, TEN, "s_x")
    return {}


async def _service_closed(zimun: Zimun) -> Fields:
    await service(zimun, weekly_hours=weekly("12:00", "14:00"))
    return {}


async def _limit_reached(zimun: Zimun) -> Fields:
    await service(zimun, booking_limits=[{"max_bookings": 1, "period": "MONTH", "per": "SERVICE"}])
    await create_hold(zimun, f"{MONDAY}T14:00:00Z", "s_x")
    return {}


async def _staff_daily_limit(zimun: Zimun) -> Fields:
    await member(zimun, daily_limit=1)
    await service(zimun, staff_ids=["t_x"])
    await create_hold(zimun, f"{MONDAY}T14:00:00Z", "s_x")
    return {}


async def _resource_inactive(zimun: Zimun) -> Fields:
    await RESOURCE.create(zimun, id="r_x")
    await service(zimun, resource_requirements=[{"resource_ids": ["r_x"]}])
    await RESOURCE.archive(zimun, "r_x")
    return {}


async def _resource_elsewhere(zimun: Zimun) -> Fields:
    await LOCATION.create(zimun, id="l_x")
    await RESOURCE.create(zimun, id="r_x", location_id="l_x")
    await service(zimun, resource_requirements=[{"resource_ids": ["r_x"]}], location_ids=["l_x"])
    await RESOURCE.update(zimun, "r_x", location_id="l_main")
    return {}


async def _resource_busy(zimun: Zimun) -> Fields:
    await RESOURCE.create(zimun, id="r_x")
    await service(
        zimun,
        resource_requirements=[{"resource_ids": ["r_x"]}],
        buffer_before=minutes(10),
        buffer_after=minutes(20),
    )
    await create_hold(zimun, TEN, "s_x")
    return {}


async def _resources_shared(zimun: Zimun) -> Fields:
    for name in ("r_x", "r_y"):
        await RESOURCE.create(zimun, id=name)
    await service(
        zimun,
        resource_requirements=[{"resource_ids": ["r_x", "r_y"]}, {"resource_ids": ["r_x"]}],
    )
    await SERVICE.create(
        zimun, id="s_y", duration=hours(1), resource_requirements=[{"resource_ids": ["r_y"]}]
    )
    await create_hold(zimun, TEN, "s_y")
    return {}


async def _service_busy(zimun: Zimun) -> Fields:
    await service(zimun, buffer_before=minutes(10), buffer_after=minutes(20))
    await create_hold(zimun, TEN, "s_x")
    return {}


async def _seats_taken(zimun: Zimun) -> Fields:
    await member(zimun)
    await service(zimun, staff_ids=["t_x"], capacity=5)
    await create_hold(zimun, TEN, "s_x", seats=4)
    return {"seats": 2}


CASES = {
    "SERVICE_INACTIVE": Case(
        _service_inactive,
        [("SERVICE_INACTIVE", "s_x")],
        "NOT_A_SLOT",
        {"rule": "SERVICE_INACTIVE"},
    ),
    "LOCATION_INACTIVE": Case(
        _location_inactive,
        [("LOCATION_INACTIVE", "l_x")],
        "NOT_A_SLOT",
        {"rule": "LOCATION_INACTIVE"},
    ),
    "HOLIDAY": Case(
        _holiday,
        [("HOLIDAY", "o_demo")],
        "NOT_A_SLOT",
        {"rule": "HOLIDAY", "note": "Saint Andrew's Day (observed)"},
    ),
    "CLOSED": Case(_closed, [("CLOSED", "l_x")], "NOT_A_SLOT", {"rule": "CLOSED"}),
    "CLOSED by an override": Case(
        _closed_by_override,
        [("CLOSED", "l_x")],
        "NOT_A_SLOT",
        {"rule": "CLOSED", "note": "Burst pipe"},
    ),
    "TIME_OFF": Case(
        _time_off,
        [("TIME_OFF", "l_x")],
        "NOT_A_SLOT",
        {"rule": "TIME_OFF", "note": "Fire drill"},
    ),
    "STAFF_TIME_OFF": Case(
        _staff_time_off, [("STAFF_TIME_OFF", "t_x")], "NOT_A_SLOT", {"rule": "STAFF_TIME_OFF"}
    ),
    "RESOURCE_TIME_OFF": Case(
        _resource_time_off,
        [("RESOURCE_TIME_OFF", "r_x")],
        "NOT_A_SLOT",
        {"rule": "RESOURCE_TIME_OFF"},
    ),
    "NOT_ON_GRID": Case(
        _not_on_grid, [("NOT_ON_GRID", "s_x")], "NOT_A_SLOT", {"rule": "NOT_ON_GRID"}
    ),
    "LEAD_TIME": Case(
        _lead_time,
        [("LEAD_TIME", "s_x")],
        "OUTSIDE_BOOKING_WINDOW",
        {"rule": "LEAD_TIME", "opens": "2025-12-01T10:01:00Z", "closes": "2026-01-27T09:00:00Z"},
    ),
    "HORIZON": Case(
        _horizon,
        [("HORIZON", "s_x")],
        "OUTSIDE_BOOKING_WINDOW",
        {"rule": "HORIZON", "opens": "2025-11-28T09:00:00Z", "closes": "2025-12-01T09:59:00Z"},
    ),
    "STAFF_INACTIVE": Case(
        _staff_inactive, [("STAFF_INACTIVE", "t_x")], "NOT_A_SLOT", {"rule": "STAFF_INACTIVE"}
    ),
    "STAFF_ELSEWHERE": Case(
        _staff_elsewhere, [("STAFF_ELSEWHERE", "t_x")], "NOT_A_SLOT", {"rule": "STAFF_ELSEWHERE"}
    ),
    "STAFF_CLOSED": Case(
        _staff_closed, [("STAFF_CLOSED", "t_x")], "NOT_A_SLOT", {"rule": "STAFF_CLOSED"}
    ),
    "STAFF_BUSY": Case(_staff_busy, [("STAFF_BUSY", "t_x")], "SLOT_UNAVAILABLE"),
    "STAFF_DAILY_LIMIT": Case(
        _staff_daily_limit, [("STAFF_DAILY_LIMIT", "t_x")], "SLOT_UNAVAILABLE"
    ),
    "SERVICE_CLOSED": Case(
        _service_closed, [("SERVICE_CLOSED", "s_x")], "NOT_A_SLOT", {"rule": "SERVICE_CLOSED"}
    ),
    "LIMIT_REACHED": Case(
        _limit_reached,
        [("LIMIT_REACHED", "s_x")],
        "LIMIT_REACHED",
        {
            "per": "SERVICE",
            "period": "MONTH",
            "max_bookings": "1",
            "owner_id": "s_x",
            "subject_id": "s_x",
            "ends": "2026-01-01T00:00:00Z",
        },
    ),
    "RESOURCE_INACTIVE": Case(
        _resource_inactive,
        [("RESOURCE_INACTIVE", "r_x")],
        "NOT_A_SLOT",
        {"rule": "RESOURCE_INACTIVE"},
    ),
    "RESOURCE_ELSEWHERE": Case(
        _resource_elsewhere,
        [("RESOURCE_ELSEWHERE", "r_x")],
        "NOT_A_SLOT",
        {"rule": "RESOURCE_ELSEWHERE"},
    ),
    "RESOURCE_BUSY": Case(_resource_busy, [("RESOURCE_BUSY", "r_x")], "SLOT_UNAVAILABLE"),
    "RESOURCES_SHARED": Case(
        _resources_shared,
        [("RESOURCE_BUSY", "r_y"), ("RESOURCES_SHARED", "s_x")],
        "SLOT_UNAVAILABLE",
    ),
    "SERVICE_BUSY": Case(_service_busy, [("SERVICE_BUSY", "s_x")], "SLOT_UNAVAILABLE"),
    "SEATS_TAKEN": Case(_seats_taken, [("SEATS_TAKEN", "s_x")], "SLOT_UNAVAILABLE"),
}
