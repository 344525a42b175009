"""Why a time cannot be had: what is named is true, and it is what stands in the way."""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce

import pytest
from hypothesis import given

from zimun.domain.availability.obstacles import Obstacle, Rule
from zimun.domain.availability.slot_explanation import obstacles
from zimun.domain.availability.slot_search import Search
from zimun.domain.booking_errors import (
    LimitReached,
    NotASlot,
    OutsideBookingWindow,
    SlotUnavailable,
)
from zimun.domain.catalog.booking_limit import LimitPeriod
from zimun.domain.catalog.entries import Resource
from zimun.domain.errors import Refused, ZimunError
from zimun.domain.instant import rfc3339

from ...support.profiles import examples
from .build import World, resource
from .oracle import Oracle
from .oracle_obstacles import TAKEN, Line, obstacles_of
from .random_worlds import worlds
from .slot_facts import slot_at


def refusals(asked: World, search: Search) -> Iterator[tuple[int, ZimunError]]:
    """Every tick of the dates that is no slot, with the error that says so."""
    for start in Oracle(asked).instants():
        try:
            slot_at(search, start)
        except (Refused, SlotUnavailable) as error:
            yield start, error


def check_explained(asked: World) -> None:
    """Obstacles are those of the oracle, in its order, and the first one is the error."""
    search, oracle = asked.search(), Oracle(asked)
    for start, error in refusals(asked, search):
        found = obstacles(search, start)
        assert [_line(one) for one in found] == obstacles_of(oracle, start)
        assert all(one.message for one in found)
        match error:
            case NotASlot(metadata=told) | OutsideBookingWindow(metadata=told):
                assert told["rule"] == found[0].rule
            case LimitReached(metadata=told):
                limit, owner_id, _ = found[0].limit or pytest.fail("no limit")
                assert found[0].rule is Rule.LIMIT_REACHED
                assert (told["per"], told["owner_id"]) == (limit.per, owner_id)
                assert told["ends"] == rfc3339(found[0].limit_ends)
                assert found[0].limit_ends > start or limit.period is LimitPeriod.UPCOMING
            case _:
                assert found[0].rule in TAKEN


@examples(1000)
@given(worlds())
def test_obstacles_are_those_of_the_oracle_in_its_order_and_the_first_is_the_error(
    asked: World,
) -> None:
    check_explained(asked)


def _line(one: Obstacle) -> Line:
    """What the oracle says of an obstacle: its rule and subject, and what is taken or left."""
    left = re.search(r"has (\d+) of", one.message) if one.rule is Rule.SEATS_TAKEN else None
    extra: object = int(left[1]) if left else one.limit or one.busy
    return one.rule.value, one.subject_id, one.staff_id, extra


@examples(300)
@given(worlds())
def test_without_what_is_named_a_time_that_is_taken_would_be_a_slot(asked: World) -> None:
    """An archived thing may turn out to be taken as well, and then to be shared: three rounds."""
    search = asked.search()
    told = {
        tuple(obstacles(search, start)): start
        for start, error in refusals(asked, search)
        if isinstance(error, SlotUnavailable | LimitReached)
    }
    for start in told.values():
        changed = asked
        for _ in range(3):
            changed = _without(changed, start)
        assert is_slot(changed, start)


def _without(asked: World, start: int) -> World:
    """The world in which nothing that stands in the way of a start, as we are told, does."""
    if is_slot(asked, start):
        return asked
    found = obstacles(asked.search(), start)
    assert found
    return reduce(lambda changed, named: _removed(changed, start, named), found, asked)


def is_slot(asked: World, start: int) -> bool:
    try:
        return bool(slot_at(asked.search(), start))
    except (SlotUnavailable, LimitReached):
        return False


def _removed(asked: World, start: int, named: Obstacle) -> World:
    """The world without one obstacle; people whose steps are others' keep them."""
    subject = named.subject_id
    match named.rule:
        case Rule.STAFF_BUSY | Rule.RESOURCE_BUSY | Rule.SERVICE_BUSY:
            own = f"{subject}@{asked.place.id}" if named.rule is Rule.SERVICE_BUSY else subject
            kept = [one for one in asked.taken if (one[0], one[1:]) != (own, named.busy)]
            return replace(asked, taken=tuple(kept))
        case Rule.STAFF_DAILY_LIMIT:
            return replace(asked, starts=tuple(one for one in asked.starts if one[0] != subject))
        case Rule.LIMIT_REACHED:
            others = [one for one in asked.tallies if one.applied != named.limit]
            return replace(asked, tallies=tuple(others))
        case Rule.RESOURCE_INACTIVE:
            return _with_resources(asked, replace(_thing(asked, subject), active=True))
        case Rule.RESOURCE_ELSEWHERE:
            there = asked.place.id
            return _with_resources(asked, replace(_thing(asked, subject), location_id=there))
        case Rule.RESOURCE_TIME_OFF:
            left = {k: v for k, v in asked.catalog.time_off.items() if v.owner_id != subject}
            return replace(asked, catalog=replace(asked.catalog, time_off=left))
        case Rule.RESOURCES_SHARED:
            return _with_one_more_each(asked)
        case Rule.SEATS_TAKEN:
            emptied = (
                replace(one, seats_taken=0) if one.start == start else one for one in asked.sessions
            )
            return replace(asked, sessions=tuple(emptied))
    return asked


def _thing(asked: World, resource_id: str) -> Resource:
    return asked.catalog.resources[resource_id]


def _with_resources(asked: World, *changed: Resource) -> World:
    known = {**asked.catalog.resources, **{one.id: one for one in changed}}
    return replace(asked, catalog=replace(asked.catalog, resources=known))


def _with_one_more_each(asked: World) -> World:
    """Every requirement has a thing of its own besides."""
    needs = asked.service.resource_requirements
    own = [resource(id=f"r_own_{n}") for n in range(len(needs))]
    wider = tuple((*one_of, one.id) for one_of, one in zip(needs, own, strict=True))
    given = replace(asked.service, resource_requirements=wider)
    return replace(_with_resources(asked, *own), service=given)
