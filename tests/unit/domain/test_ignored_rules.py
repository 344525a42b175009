"""Rules that are set aside do not count for a start, and all others do."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zimun.domain.availability.slot_explanation import obstacles
from zimun.domain.availability.slot_search import Search
from zimun.domain.booking_errors import (
    LimitReached,
    NotASlot,
    OutsideBookingWindow,
    SlotUnavailable,
)
from zimun.domain.catalog.booking_limit import AppliedLimit
from zimun.domain.catalog.entries import SlotAlignment
from zimun.domain.errors import Refused
from zimun.domain.ignored_rules import NO_RULES, BookingRule, IgnoredRules, in_order
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.ledger.reservation import State, cancel, check_movable

from ...support.profiles import examples
from .build import (
    MONDAY,
    NINE,
    World,
    appointment,
    every_day,
    member,
    resource,
    service,
    world,
)
from .oracle import Oracle
from .random_worlds import worlds
from .slot_facts import slot_at

EVERY_RULE = frozenset(BookingRule)

rules = st.frozensets(st.sampled_from(BookingRule))


class LenientOracle(Oracle):
    """The rules of the oracle without those that are set aside."""

    def __init__(self, asked: World, ignored: IgnoredRules) -> None:
        super().__init__(asked)
        self.ignored = ignored
        if BookingRule.LEAD_TIME in ignored:
            self.opens = asked.now
        if BookingRule.HORIZON in ignored:
            self.closes = asked.now + 1000 * 366 * DAY

    def _on_duty(self, start: int) -> list[str]:
        if not self.world.service.active or not self.place_is_active:
            return []
        if self.time_off(start, "o_1", self.world.place.id):
            return []
        here = [one for one in self.wanted() if self._serves(one)]
        return [one for one in here if self._may(one, start) and not self.time_off(start, one)]

    def _serves(self, staff_id: str) -> bool:
        known = self.world.catalog.staff
        return not staff_id or (
            known[staff_id].active and self.is_here(known[staff_id].location_ids)
        )

    def _may(self, staff_id: str, start: int) -> bool:
        works = not staff_id or self.works_hours(staff_id, start)
        is_open = works and self._lasts(self.given_date, start)
        if BookingRule.OPENING_HOURS not in self.ignored and not is_open:
            return False
        if BookingRule.GRID in self.ignored:
            return True
        opens = not staff_id or self.staff_opens(staff_id, start)
        has_steps = opens and self.given_date(start) is not None
        if self.world.service.slot_alignment is not SlotAlignment.HOUR and not has_steps:
            return True
        return self.is_a_step(staff_id, start)

    def is_full(self, staff_id: str, start: int) -> bool:
        return BookingRule.LIMITS not in self.ignored and super().is_full(staff_id, start)

    def reached(self, subject: str, start: int) -> list[AppliedLimit]:
        return [] if BookingRule.LIMITS in self.ignored else super().reached(subject, start)


def searches(asked: World, ignored: IgnoredRules) -> Iterator[tuple[int, Search]]:
    search = replace(asked.search(), ignored=ignored)
    for start in Oracle(asked).instants():
        yield start, search


def check_ignored(asked: World, ignored: IgnoredRules) -> None:
    """A start is a slot where no rule but those set aside forbids it."""
    oracle = LenientOracle(asked, ignored)
    for start, search in searches(asked, ignored):
        facts, found = oracle.facts(start), search.find_slot(start)
        is_open = oracle.opens <= start <= oracle.closes
        assert bool(found) == (is_open and (facts.is_new or bool(facts.joinable)))
        if found:
            assert (found.staff_ids, found.seats_left) == (facts.staff_ids, facts.seats_left)
            assert frozenset(found.joinable) == facts.joinable


@examples(500)
@given(worlds(), rules)
def test_start_is_a_slot_where_no_rule_but_those_set_aside_forbids_it(
    asked: World, ignored: IgnoredRules
) -> None:
    check_ignored(asked, ignored)


@examples(300)
@given(worlds(), rules)
def test_refusal_names_a_rule_that_was_not_set_aside(asked: World, ignored: IgnoredRules) -> None:
    for start, search in searches(asked, ignored):
        try:
            slot_at(search, start)
        except (NotASlot, OutsideBookingWindow) as error:
            named = error.metadata["rule"]
            assert named == obstacles(search, start)[0].rule
            if named == BookingRule.LEAD_TIME and BookingRule.LEAD_TIME in ignored:
                assert start < asked.now
            else:
                assert named not in _obstacles_of(ignored)
        except SlotUnavailable:
            assert obstacles(search, start)
        except LimitReached:
            assert BookingRule.LIMITS not in ignored


def _obstacles_of(ignored: IgnoredRules) -> set[str]:
    """As the comments of `zimun.v1.Appointment.Rule` have them."""
    told = {
        BookingRule.LEAD_TIME: ["LEAD_TIME"],
        BookingRule.HORIZON: ["HORIZON"],
        BookingRule.OPENING_HOURS: ["HOLIDAY", "CLOSED", "SERVICE_CLOSED", "STAFF_CLOSED"],
        BookingRule.GRID: ["NOT_ON_GRID"],
        BookingRule.CUTOFF: [],
        BookingRule.LIMITS: ["STAFF_DAILY_LIMIT", "LIMIT_REACHED"],
    }
    return {name for rule in ignored for name in told[rule]}


@examples(200)
@given(worlds())
def test_slot_by_the_rules_is_the_same_slot_with_every_rule_set_aside(asked: World) -> None:
    plain = asked.search()
    for start, search in searches(asked, EVERY_RULE):
        if slot := plain.find_slot(start):
            found = search.find_slot(start)
            assert found
            assert set(slot.staff_ids) <= set(found.staff_ids)


SMITH = member(weekly_hours=every_day(((540, 1020),)), daily_limit=1)
HAIRCUT = service(staff_ids=("t_1",), lead_time=DAY, horizon=10 * DAY)


def smith(**changes: object) -> World:
    return world(HAIRCUT, MONDAY, staff=[SMITH], now=NINE - 5 * DAY, **changes)  # type: ignore[arg-type]


def is_slot(asked: World, start: int, *ignored: BookingRule) -> bool:
    try:
        return bool(slot_at(replace(asked.search(), ignored=frozenset(ignored)), start))
    except (Refused, SlotUnavailable):
        return False


@pytest.mark.parametrize(
    ("rule", "start", "changes"),
    [
        (BookingRule.LEAD_TIME, NINE, {"now": NINE - HOUR}),
        (BookingRule.HORIZON, NINE + 20 * DAY, {}),
        (BookingRule.OPENING_HOURS, NINE - HOUR, {}),
        (BookingRule.GRID, NINE + 7 * MINUTE, {}),
        (BookingRule.LIMITS, NINE, {"starts": (("t_1", NINE + 4 * HOUR),)}),
    ],
)
def test_each_rule_is_set_aside_by_its_name_and_by_no_other(
    rule: BookingRule, start: int, changes: dict[str, object]
) -> None:
    asked = replace(smith(), **changes)  # type: ignore[arg-type]
    assert not is_slot(asked, start)
    assert not is_slot(asked, start, *EVERY_RULE - {rule})
    assert is_slot(asked, start, rule)


def test_nothing_that_is_taken_or_archived_is_set_aside() -> None:
    busy = smith(taken=(("t_1", NINE, NINE + HOUR),))
    assert not is_slot(busy, NINE + 30 * MINUTE, *EVERY_RULE)
    archived = world(HAIRCUT, MONDAY, staff=[replace(SMITH, active=False)])
    assert not is_slot(archived, NINE, *EVERY_RULE)
    chair = resource(active=False)
    needs = replace(HAIRCUT, resource_requirements=(("r_1",),))
    assert not is_slot(world(needs, MONDAY, staff=[SMITH], resources=[chair]), NINE, *EVERY_RULE)
    assert not is_slot(
        world(replace(HAIRCUT, active=False), MONDAY, staff=[SMITH]), NINE, *EVERY_RULE
    )


def test_start_in_the_past_is_no_slot_whatever_is_set_aside() -> None:
    asked = smith()
    assert not is_slot(asked, asked.now - 1, *EVERY_RULE)
    assert is_slot(asked, asked.now, *EVERY_RULE)


def test_cutoffs_are_set_aside_by_their_name() -> None:
    late = appointment()
    strict = service(cancellation_cutoff=DAY, reschedule_cutoff=DAY)
    for ignored in (NO_RULES, EVERY_RULE - {BookingRule.CUTOFF}):
        with pytest.raises(Refused):
            cancel(late, late.start, strict, "", "", ignored)
        with pytest.raises(Refused):
            check_movable(late, late.start, strict, "", ignored)
    cutoff = frozenset({BookingRule.CUTOFF})
    assert cancel(late, late.start, strict, "", "", cutoff).state is State.CANCELLED
    check_movable(late, late.start, strict, "", cutoff)


def test_rules_are_recorded_once_and_in_one_order() -> None:
    assert in_order([BookingRule.LIMITS, BookingRule.GRID, BookingRule.LIMITS]) == (
        BookingRule.GRID,
        BookingRule.LIMITS,
    )
