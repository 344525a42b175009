"""ExplainSlot: every rule, and whom or what it is about."""

import pytest

from zimun.v1.slot_pb2 import Obstacle

from ..support.rpc import Zimun
from . import stamp
from .calls import (
    ELEVEN,
    MONDAY,
    TEN,
    batch_check,
    create_hold,
    error_of_refusal,
    error_of_status,
    explain,
    hold_refused,
    search,
    slot_check,
    starts,
)
from .catalogue import RESOURCE, SERVICE, STAFF, days, put_override, weekly
from .explained_rules import CASES, service


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
    assert error_of_status(explained.error) == error_of_refusal(refused)
    assert refused.reason == case.reason
    assert case.metadata.get("rule", found[0][0]) == found[0][0]
    wanted = case.metadata or {"service_id": "s_x"}
    assert dict(refused.info.metadata) == wanted
    (answer,) = await batch_check(zimun, slot_check(TEN, "s_x", **fields))
    assert error_of_status(answer.error) == error_of_refusal(refused)
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
        "SERVICE_CLOSED",
        "STAFF_INACTIVE",
        "STAFF_ELSEWHERE",
        "STAFF_CLOSED",
        "NOT_ON_GRID",
        "RESOURCE_INACTIVE",
        "RESOURCE_ELSEWHERE",
        "TIME_OFF",
        "STAFF_TIME_OFF",
        "RESOURCE_TIME_OFF",
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


async def test_obstacle_without_busy_time_has_no_busy_interval(zimun: Zimun) -> None:
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
    await create_hold(zimun, TEN, "s_x", staff_id="t_q")
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
    assert error_of_status(explained.error) == error_of_refusal(refused)


async def test_a_busy_member_is_no_obstacle_while_another_is_free(zimun: Zimun) -> None:
    await create_hold(zimun, TEN, staff_id="t_ada")
    explained = await explain(zimun, "s_123", TEN, time_zone="Asia/Tokyo")
    assert (explained.service_id, explained.time_zone) == ("s_123", "Asia/Tokyo")
    assert explained.WhichOneof("result") == "slot"
    assert list(explained.obstacles) == []
    assert list(explained.slot.staff_ids) == ["t_ben", "t_chloe"]
    assert explained.slot.local_start_time == "2025-12-01T19:00:00+09:00"
    explained = await explain(zimun, "s_123", TEN, staff_id="t_ada")
    assert [each.subject_id for each in explained.obstacles] == ["t_ada"]
    refused = await hold_refused(zimun, TEN, staff_id="t_ada")
    assert error_of_status(explained.error) == error_of_refusal(refused)
