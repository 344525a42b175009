"""ExplainSlot: every rule, and whom or what it is about."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from zimun.v1.slot_pb2 import Obstacle

from ..support.rpc import Zimun
from . import stamp
from .asking import (
    ELEVEN,
    MONDAY,
    TEN,
    check_of,
    checked,
    explain,
    held,
    hold_refused,
    search,
    starts,
    told_by,
    told_in,
)
from .catalogue import (
    LOCATION,
    RESOURCE,
    SERVICE,
    STAFF,
    Fields,
    days,
    hours,
    minutes,
    put_override,
    settle,
    weekly,
)

# Explanations


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
    await settle(zimun, holiday_region="GB-SCT")
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
    await held(zimun, TEN, "s_x")
    return {}


async def _limit_reached(zimun: Zimun) -> Fields:
    await service(zimun, booking_limits=[{"max_bookings": 1, "period": "MONTH", "per": "SERVICE"}])
    await held(zimun, f"{MONDAY}T14:00:00Z", "s_x")
    return {}


async def _staff_daily_limit(zimun: Zimun) -> Fields:
    await member(zimun, daily_limit=1)
    await service(zimun, staff_ids=["t_x"])
    await held(zimun, f"{MONDAY}T14:00:00Z", "s_x")
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
    await held(zimun, TEN, "s_x")
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
    await held(zimun, TEN, "s_y")
    return {}


async def _service_busy(zimun: Zimun) -> Fields:
    await service(zimun, buffer_before=minutes(10), buffer_after=minutes(20))
    await held(zimun, TEN, "s_x")
    return {}


async def _seats_taken(zimun: Zimun) -> Fields:
    await member(zimun)
    await service(zimun, staff_ids=["t_x"], capacity=5)
    await held(zimun, TEN, "s_x", seats=4)
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


@pytest.mark.parametrize("name", CASES)
async def test_an_explanation_names_the_rule_and_whom_it_is_about(zimun: Zimun, name: str) -> None:
    case = CASES[name]
    fields = await case.setup(zimun)
    explained = await explain(zimun, "s_x", TEN, **fields)
    found = [(Obstacle.Rule.Name(each.rule), each.subject_id) for each in explained.obstacles]
    assert found == case.rules
    assert all(each.message for each in explained.obstacles)
    assert explained.WhichOneof("result") == "error"
    refused = await hold_refused(zimun, TEN, "s_x", **fields)
    assert told_by(explained.error) == told_in(refused)
    assert refused.reason == case.reason
    assert case.metadata.get("rule", found[0][0]) == found[0][0]
    wanted = case.metadata or {"service_id": "s_x"}
    assert dict(refused.info.metadata) == wanted
    (answer,) = await checked(zimun, check_of(TEN, "s_x", **fields))
    assert told_by(answer.error) == told_in(refused)
    assert TEN not in starts((await search(zimun, "s_x", MONDAY, **fields)).slots)
    if note := wanted.get("note", ""):
        assert note in {each.note for each in explained.obstacles}


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].reason == "NOT_A_SLOT"])
async def test_the_rule_of_a_refusal_is_one_that_error_reason_lists(
    zimun: Zimun, name: str
) -> None:
    fields = await CASES[name].setup(zimun)
    refused = await hold_refused(zimun, TEN, "s_x", **fields)
    listed = {
        "SERVICE_INACTIVE",
        "LOCATION_INACTIVE",
        "HOLIDAY",
        "CLOSED",
        "STAFF_INACTIVE",
        "STAFF_ELSEWHERE",
        "STAFF_CLOSED",
        "NOT_ON_GRID",
        "RESOURCE_INACTIVE",
        "RESOURCE_ELSEWHERE",
    }
    assert refused.info.metadata["rule"] in listed


def test_every_rule_is_explained_here() -> None:
    explained = {rule for case in CASES.values() for rule, _ in case.rules}
    assert explained == set(Obstacle.Rule.keys()) - {"RULE_UNSPECIFIED"}


@pytest.mark.parametrize("name", ["STAFF_BUSY", "RESOURCE_BUSY", "SERVICE_BUSY"])
@pytest.mark.parametrize("start", [f"{MONDAY}T09:00:00Z", TEN, ELEVEN])
async def test_what_is_taken_is_taken_with_its_buffers(zimun: Zimun, name: str, start: str) -> None:
    fields = await CASES[name].setup(zimun)
    explained = await explain(zimun, "s_x", start, **fields)
    (obstacle,) = explained.obstacles
    assert obstacle.busy_start == stamp(f"{MONDAY}T09:50:00Z")
    assert obstacle.busy_end == stamp(f"{MONDAY}T11:20:00Z")


async def test_what_is_taken_for_no_one_is_not_said(zimun: Zimun) -> None:
    fields = await CASES["NOT_ON_GRID"].setup(zimun)
    (obstacle,) = (await explain(zimun, "s_x", TEN, **fields)).obstacles
    assert not obstacle.HasField("busy_start")
    assert not obstacle.HasField("busy_end")


async def test_an_explanation_says_everything_that_stands_in_the_way(zimun: Zimun) -> None:
    """The service and the place, each staff member, each resource; in the request's order."""
    for name, week in (("t_p", "10:30"), ("t_q", "18:00"), ("t_r", "18:00")):
        await STAFF.create(zimun, id=name, weekly_hours=weekly("08:00", week))
    await RESOURCE.create(zimun, id="r_x")
    await service(
        zimun,
        staff_ids=["t_r", "t_q", "t_p"],
        resource_requirements=[{"resource_ids": ["r_x"]}],
        slot_alignment="HOUR",
    )
    await held(zimun, TEN, "s_x", staff_id="t_q")
    await STAFF.archive(zimun, "t_r")
    await SERVICE.update(zimun, "s_x", lead_time=days(10))
    await SERVICE.archive(zimun, "s_x")
    await put_override(zimun, "o_demo", MONDAY)
    explained = await explain(zimun, "s_x", f"{MONDAY}T10:20:00Z")
    found = [(Obstacle.Rule.Name(each.rule), each.subject_id) for each in explained.obstacles]
    subjects = [subject for _, subject in found]
    assert set(found) >= {
        ("SERVICE_INACTIVE", "s_x"),
        ("CLOSED", "o_demo"),
        ("LEAD_TIME", "s_x"),
        ("STAFF_INACTIVE", "t_r"),
        ("STAFF_BUSY", "t_q"),
        ("STAFF_CLOSED", "t_p"),
        ("RESOURCE_BUSY", "r_x"),
    }
    ranks = [{"s_": 0, "o_": 0, "t_": 1, "r_": 2}[subject[:2]] for subject in subjects]
    assert ranks == sorted(ranks)
    refused = await hold_refused(zimun, f"{MONDAY}T10:20:00Z", "s_x")
    assert told_by(explained.error) == told_in(refused)


async def test_who_is_busy_does_not_matter_while_somebody_is_free(zimun: Zimun) -> None:
    await held(zimun, TEN, staff_id="t_ada")
    explained = await explain(zimun, "s_123", TEN, time_zone="Asia/Tokyo")
    assert (explained.service_id, explained.time_zone) == ("s_123", "Asia/Tokyo")
    assert explained.WhichOneof("result") == "slot"
    assert list(explained.obstacles) == []
    assert list(explained.slot.staff_ids) == ["t_ben", "t_chloe"]
    assert explained.slot.local_start_time == "2025-12-01T19:00:00+09:00"
    explained = await explain(zimun, "s_123", TEN, staff_id="t_ada")
    assert [each.subject_id for each in explained.obstacles] == ["t_ada"]
    refused = await hold_refused(zimun, TEN, staff_id="t_ada")
    assert told_by(explained.error) == told_in(refused)
