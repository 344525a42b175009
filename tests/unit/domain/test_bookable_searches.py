"""Whether a search can have slots at all, and on which date its place opens next."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given

from zimun.domain.availability.opening_hours import local_date
from zimun.domain.booking_errors import NotASlot, SlotUnavailable
from zimun.domain.catalog.entries import Override
from zimun.domain.instant import HOUR

from ...support.profiles import examples
from .build import (
    MONDAY,
    NINE,
    NINE_TO_FIVE,
    World,
    location,
    member,
    organization,
    resource,
    service,
    session,
    world,
)
from .clinics import WEEKS
from .random_worlds import worlds
from .slot_facts import slot_at


@examples(100)
@given(worlds())
def test_a_search_that_is_not_bookable_has_no_slots_and_its_place_opens_on_no_date(
    asked: World,
) -> None:
    search = asked.search()
    slots = search.slots(asked.first, asked.last)
    assert search.is_bookable or not slots
    opened = search.next_open_date(asked.first, asked.last)
    zone = asked.place.time_zone
    assert not slots or (opened and opened <= local_date(zone, slots[0].start))
    assert opened is None or search.is_bookable


ROOM = service(resource_requirements=(("r_1",),), location_ids=("l_1",))


TAUGHT = service(staff_ids=("t_1", "t_2"), location_ids=("l_1",))


BOTH = [member(), member(id="t_2")]


HERE = [location(), location(id="l_2")]


@pytest.mark.parametrize(
    "asked",
    [
        world(service(active=False), MONDAY),
        world(service(location_ids=("l_1",)), MONDAY, locations=[location(active=False)]),
        world(ROOM, MONDAY, locations=HERE, resources=[resource(active=False)]),
        world(ROOM, MONDAY, locations=HERE, resources=[resource(location_id="l_2")]),
        world(service(resource_requirements=(("r_1",), ("r_1",))), MONDAY, resources=[resource()]),
        world(TAUGHT, MONDAY, locations=HERE, staff=[replace(one, active=False) for one in BOTH]),
        world(
            TAUGHT,
            MONDAY,
            locations=HERE,
            staff=[replace(one, location_ids=("l_2",)) for one in BOTH],
        ),
        world(
            TAUGHT, MONDAY, locations=HERE, staff=[member(active=False), BOTH[1]], staff_id="t_1"
        ),
    ],
)
def test_what_is_archived_or_elsewhere_makes_a_search_unbookable_and_builds_no_grid(
    asked: World,
) -> None:
    search = asked.search()
    assert not search.is_bookable
    assert list(search.slots_by_day(MONDAY, MONDAY + WEEKS)) == [[]] * 28
    assert search.next_open_date(MONDAY, MONDAY + WEEKS) is None
    assert search.timetable.grid.cache_info().misses == 0


@pytest.mark.parametrize(
    "asked",
    [
        world(service(), MONDAY),
        world(ROOM, MONDAY, locations=HERE, resources=[resource(location_id="l_1")]),
        world(TAUGHT, MONDAY, locations=HERE, staff=[member(active=False), BOTH[1]]),
        world(TAUGHT, MONDAY, locations=HERE, staff=BOTH, staff_id="t_2"),
    ],
)
def test_one_who_serves_and_what_is_needed_make_a_search_bookable(asked: World) -> None:
    assert asked.search().is_bookable
    assert asked.search().slots(MONDAY, MONDAY)


def test_a_session_can_be_joined_though_its_room_is_archived_since() -> None:
    running = session(start=NINE, end=NINE + HOUR // 2, location_id="l_1", resource_ids=("r_1",))
    asked = world(
        replace(ROOM, capacity=3),
        MONDAY,
        locations=HERE,
        resources=[resource(active=False)],
        sessions=(running,),
    )
    assert asked.search().is_bookable
    by_day = list(asked.search().slots_by_day(MONDAY, MONDAY + WEEKS))
    assert [[slot.joinable for slot in slots] for slots in by_day] == [[(running,)]] + [[]] * 27


def test_a_full_session_whose_room_is_archived_since_is_taken() -> None:
    group = replace(ROOM, capacity=2)
    running = session(start=NINE, end=NINE + group.duration, location_id="l_1", seats_taken=2)
    asked = world(
        group, MONDAY, locations=HERE, resources=[resource(active=False)], sessions=(running,)
    )
    with pytest.raises(SlotUnavailable):
        slot_at(asked.search(), NINE)
    with pytest.raises(NotASlot):
        slot_at(asked.search(), NINE + HOUR)


def test_the_next_open_date_is_the_first_with_hours() -> None:
    open_days = [Override(owner_id="o_1", date=date(2026, 6, 1), hours=NINE_TO_FIVE)]
    asked = world(
        service(),
        MONDAY,
        organization=organization(weekly_hours={6: NINE_TO_FIVE}),
        overrides=[*open_days, Override(owner_id="o_1", date=date(2026, 1, 11))],
    )
    search = asked.search()
    assert search.next_open_date(MONDAY, date(2026, 1, 17)) is None
    assert search.next_open_date(MONDAY, date(2026, 1, 18)) == date(2026, 1, 18)
    assert search.next_open_date(date(2026, 6, 1), date(2027, 1, 1)) == date(2026, 6, 1)
    assert search.next_open_date(date(2026, 6, 2), date(2027, 1, 1)) == date(2026, 6, 7)
