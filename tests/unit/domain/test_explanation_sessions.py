"""Why a seat of a group cannot be had: full sessions, and those of others."""

from dataclasses import replace

import pytest

from zimun.domain.availability.obstacles import Rule
from zimun.domain.availability.slot_explanation import obstacles
from zimun.domain.instant import HOUR

from .build import MONDAY, NINE, TEN, World, member, resource, service, session, world
from .slot_facts import why


def group(*seats_taken: int, **asked: object) -> World:
    """A group of four seats with one teacher and one room; she gives it at nine."""
    running = tuple(
        session(
            session_id=f"x_{n}",
            start=NINE,
            end=NINE + HOUR // 2,
            staff_id="t_1",
            resource_ids=("r_1",),
            seats_taken=seats,
        )
        for n, seats in enumerate(seats_taken)
    )
    given = service(
        capacity=4, staff_ids=("t_1", "t_2"), resource_requirements=(("r_1",),), **asked
    )
    return world(
        given,
        MONDAY,
        staff=[member(), member(id="t_2")],
        resources=[resource()],
        taken=(("r_1", NINE, NINE + HOUR // 2), ("t_1", NINE, NINE + HOUR // 2)),
        sessions=running,
    )


def test_a_session_with_too_few_seats_is_named_and_not_what_it_takes_itself() -> None:
    asked = replace(group(3), seats=2)
    [seats] = obstacles(asked.search(), NINE)
    assert (seats.rule, seats.subject_id) == (Rule.SEATS_TAKEN, "s_1")
    assert seats.message == "Haircut with Ada has 1 of 4 seats left at 2026-01-05 09:00 in UTC"
    assert seats.staff_id == "t_1"
    assert why(replace(asked, seats=1)) == []


def test_a_session_that_could_be_joined_takes_nothing_from_who_comes_when_it_is_closed() -> None:
    asked = replace(
        group(1), catalog=replace(group(1).catalog, holiday=lambda calendar, day: "Epiphany")
    )
    assert why(asked) == [("HOLIDAY", "o_1")]
    asked = group(1, active=False)
    assert why(asked) == [("SERVICE_INACTIVE", "s_1")]


def test_session_with_more_seats_taken_than_the_service_has_now_has_none_left() -> None:
    [seats] = obstacles(group(5).search(), NINE)
    assert "has 0 of 4 seats left" in seats.message


@pytest.mark.parametrize(
    ("capacity", "rule"), [(1, Rule.STAFF_BUSY), (2, Rule.SEATS_TAKEN), (3, Rule.SEATS_TAKEN)]
)
def test_seats_are_named_of_a_service_with_more_than_one(capacity: int, rule: Rule) -> None:
    end = NINE + HOUR // 2
    full = session(start=NINE, end=end, staff_id="t_1", seats_taken=capacity)
    asked = world(
        service(capacity=capacity, staff_ids=("t_1",)),
        MONDAY,
        staff=[member()],
        sessions=(full,),
        taken=(("t_1", NINE, end),),
    )
    assert [one.rule for one in obstacles(asked.search(), NINE)] == [rule]


def test_full_sessions_are_named_with_their_staff_members_each_once() -> None:
    asked = group(4)
    second = replace(asked.sessions[0], session_id="x_9", staff_id="t_2")
    asked = replace(asked, sessions=(*asked.sessions, second))
    found = obstacles(asked.search(), NINE)
    assert [(one.rule, one.staff_id) for one in found] == [
        (Rule.SEATS_TAKEN, "t_1"),
        (Rule.SEATS_TAKEN, "t_2"),
    ]
    without_staff = [replace(one, staff_id="") for one in asked.sessions]
    asked = world(
        service(capacity=4), MONDAY, sessions=tuple(without_staff), taken=(("s_1@", NINE, TEN),)
    )
    assert why(asked) == [("SEATS_TAKEN", "s_1")]


def test_a_full_session_of_a_service_without_staff_is_about_its_seats_alone() -> None:
    """The session takes the service itself, as others take their teacher and their room."""
    running = session(start=NINE, end=NINE + HOUR // 2, seats_taken=4)
    asked = world(
        service(capacity=4),
        MONDAY,
        taken=(("s_1@", NINE, NINE + HOUR // 2),),
        sessions=(running,),
    )
    assert why(asked) == [("SEATS_TAKEN", "s_1")]


def test_a_session_of_a_member_who_is_not_asked_for_is_not_about_seats_but_takes_the_room() -> None:
    """It has seats; he who is asked for is free, but she has the only room."""
    assert why(replace(group(1), staff_id="t_2")) == [("RESOURCE_BUSY", "r_1")]


def test_a_full_session_of_a_member_who_is_not_asked_for_takes_the_room() -> None:
    """More seats in it would not help who wants him, not her."""
    assert why(replace(group(4), staff_id="t_2")) == [("RESOURCE_BUSY", "r_1")]


def test_a_session_of_a_member_who_is_archived_since_takes_the_room() -> None:
    asked = group(1)
    staff = {**asked.catalog.staff, "t_1": member(active=False)}
    asked = replace(asked, catalog=replace(asked.catalog, staff=staff))
    assert why(asked) == [("RESOURCE_BUSY", "r_1")]
