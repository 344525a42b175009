"""Which sessions of a group can be joined, and who is busy with the others."""

from dataclasses import replace

from zimun.domain.catalog.entries import Place
from zimun.domain.instant import HOUR

from .build import MONDAY, NINE, location, member, service, session, world
from .slot_facts import refusal, slot_at, starts


def test_a_running_session_with_room_can_be_joined_though_its_people_are_busy() -> None:
    running = session(start=NINE, end=NINE + HOUR // 2, staff_id="t_1", seats_taken=2)
    asked = world(
        service(capacity=4, staff_ids=("t_1",)),
        MONDAY,
        staff=[member()],
        taken=(("t_1", NINE, NINE + HOUR // 2),),
        sessions=(running,),
        seats=2,
    )
    slot = slot_at(asked.search(), NINE)
    assert (slot.staff_ids, slot.seats_left, slot.resource_ids) == (("t_1",), 2, None)
    assert slot.joinable == (running,)
    assert refusal(replace(asked, seats=3).search(), NINE) == "TAKEN"


def test_a_session_can_be_joined_though_its_person_begins_nothing_else_that_day() -> None:
    running = session(start=NINE, end=NINE + HOUR // 2, staff_id="t_1", seats_taken=2)
    asked = world(
        service(capacity=3, staff_ids=("t_1",)),
        MONDAY,
        staff=[member(daily_limit=1)],
        taken=(("t_1", NINE, NINE + HOUR // 2),),
        sessions=(running,),
        starts=(("t_1", NINE),),
    )
    assert slot_at(asked.search(), NINE).joinable == (running,)
    assert starts(asked) == ["09:00"]


def test_a_session_of_another_length_cannot_be_joined() -> None:
    running = session(start=NINE, end=NINE + HOUR, staff_id="t_1")
    offered = service(capacity=3, staff_ids=("t_1",), duration_options=(HOUR,))
    asked = world(
        offered,
        MONDAY,
        staff=[member()],
        taken=(("t_1", NINE, NINE + HOUR),),
        sessions=(running,),
    )
    assert refusal(asked.search(), NINE) == "TAKEN"
    longer = replace(asked, service=offered.option(HOUR))
    assert slot_at(longer.search(), NINE).joinable == (running,)
    shorter = replace(longer, sessions=(replace(running, end=NINE + HOUR // 2),))
    assert refusal(shorter.search(), NINE) == "TAKEN"


def test_a_session_at_another_location_cannot_be_joined_and_keeps_its_person_busy() -> None:
    running = session(start=NINE, end=NINE + HOUR // 2, staff_id="t_1", location_id="l_2")
    asked = world(
        service(capacity=3, staff_ids=("t_1",), location_ids=("l_1", "l_2")),
        MONDAY,
        locations=[location(), location(id="l_2")],
        staff=[member()],
        taken=(("t_1", NINE, NINE + HOUR // 2),),
        sessions=(running,),
    )
    assert refusal(asked.search(), NINE) == "TAKEN"
    there = replace(asked, place=Place("l_2", "UTC"))
    assert slot_at(there.search(), NINE).joinable == (running,)
    here = replace(there, sessions=(replace(running, location_id="l_1"),))
    assert refusal(here.search(), NINE) == "TAKEN"


def test_a_session_without_a_person_is_not_joined_by_who_asks_for_one() -> None:
    """It was sold when the service needed no staff; t_1, who is asked for, is closed, t_2 open."""
    running = session(start=NINE, end=NINE + HOUR // 2, staff_id="")
    asked = world(
        service(capacity=3, staff_ids=("t_1", "t_2")),
        MONDAY,
        staff=[member(weekly_hours={}), member(id="t_2")],
        sessions=(running,),
        staff_id="t_1",
    )
    assert starts(asked) == []
    assert refusal(asked.search(), NINE) == "STAFF_CLOSED"
