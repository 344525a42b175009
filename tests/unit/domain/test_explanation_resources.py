"""Obstacles of staff members with time off, and of resources beside a session."""

import pytest

from zimun.domain.availability.slot_explanation import obstacles
from zimun.domain.catalog.entries import Service
from zimun.domain.instant import HOUR

from .build import MONDAY, NINE, member, resource, service, session, time_off, world
from .slot_facts import why

CUT: Service = service(duration=HOUR, slot_step=HOUR, staff_ids=("t_1", "t_2"))
BOTH = [member(), member(id="t_2")]


def test_time_off_of_each_staff_member_is_named_with_its_time_and_note() -> None:
    off = [time_off("t_1", NINE, NINE + HOUR), time_off("t_2", NINE - HOUR, NINE + 1, note="Fair")]
    asked = world(CUT, MONDAY, staff=BOTH, time_off=off)
    assert why(asked) == [("STAFF_TIME_OFF", "t_1"), ("STAFF_TIME_OFF", "t_2")]
    first, second = obstacles(asked.search(), NINE)
    assert (first.limit, first.limit_ends) == (None, 0)
    assert (first.busy, first.note) == ((NINE, NINE + HOUR), "Training")
    assert (second.busy, second.note) == ((NINE - HOUR, NINE + 1), "Fair")
    assert why(world(CUT, MONDAY, staff=BOTH, time_off=off[:1])) == []


@pytest.mark.parametrize("active", [True, False])
def test_resources_are_no_obstacle_where_a_session_can_be_joined(active: bool) -> None:
    group = service(
        duration=HOUR,
        slot_step=HOUR,
        capacity=3,
        staff_ids=("t_1", "t_2"),
        resource_requirements=(("r_1",),),
        lead_time=HOUR,
    )
    running = session(start=NINE, end=NINE + HOUR, staff_id="t_1", resource_ids=("r_1",))
    taken = tuple((subject, NINE, NINE + HOUR) for subject in ("t_1", "r_1"))
    asked = world(
        group,
        MONDAY,
        staff=BOTH,
        resources=[resource(active=active)],
        sessions=(running,),
        taken=taken,
        now=NINE,
    )
    assert why(asked) == [("LEAD_TIME", "s_1")]
