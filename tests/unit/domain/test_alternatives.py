"""The refusal of a taken slot: its alternatives, and how long it stands."""

from datetime import timedelta
from typing import Any

import pytest

from zimun.domain.booking_errors import SlotUnavailable
from zimun.domain.catalog.entries import Override
from zimun.domain.ignored_rules import BookingRule
from zimun.domain.instant import DAY, HOUR, MINUTE

from . import build
from .test_limit_rules import MONDAY, NOW, Salon, cut, limit

FIRST_DATE = build.MONDAY


def refusal(known: Salon, start: int = MONDAY, **asked: Any) -> SlotUnavailable:
    with pytest.raises(SlotUnavailable) as refused:
        known.hold(start, **asked)
    return refused.value


def starts(refused: SlotUnavailable) -> list[int]:
    """In hours from MONDAY on."""
    return [(slot.start - MONDAY) // HOUR for slot in refused.alternatives]


def taken_salon(**changes: Any) -> Salon:
    """Open at every hour; all seats of MONDAY are booked, by rules set aside if need be."""
    known = Salon(build.catalog(cut(**changes)))
    known.book(MONDAY, seats=changes.get("capacity", 1), ignored=frozenset(BookingRule))
    return known


def open_on(*days: int, start: int = MONDAY) -> Salon:
    """One slot on each of some dates from a start on, at its time of day; the first is booked."""
    minute = start % DAY // MINUTE
    known = Salon(
        build.catalog(
            cut(),
            organization=build.organization(weekly_hours={0: ()}),
            overrides=[
                Override(
                    owner_id="o_1",
                    date=FIRST_DATE + timedelta(days=day),
                    hours=((minute, minute + 60),),
                )
                for day in days
            ],
        )
    )
    known.book(start)
    return known


def test_alternatives_are_the_three_nearest_the_earlier_of_two_first() -> None:
    assert starts(refusal(taken_salon())) == [-1, 1, -2]


def test_alternatives_are_at_most_31_days_away() -> None:
    known = open_on(0, 5, 30, 31, 32)
    assert starts(refusal(known)) == [5 * 24, 30 * 24, 31 * 24]
    assert starts(refusal(open_on(0, 32))) == []
    assert starts(refusal(open_on(0, 31, 32))) == [31 * 24]
    midnight = MONDAY - 9 * HOUR
    assert starts(refusal(open_on(0, 31, 32, start=midnight), midnight)) == [31 * 24 - 9]


def test_alternatives_keep_the_rules_that_the_hold_would_have_set_aside() -> None:
    known = taken_salon(lead_time=DAY + HOUR)
    refused = refusal(known, ignored=frozenset({BookingRule.LEAD_TIME}))
    assert starts(refused) == [1, 2, 3]
    assert refused.stands_until == MONDAY - DAY - HOUR + 1


def test_refusal_stands_until_its_earliest_alternative_is_too_soon() -> None:
    known = taken_salon(lead_time=3 * HOUR)
    refused = refusal(known)
    assert refused.stands_until == MONDAY - 2 * HOUR - 3 * HOUR + 1
    known.now = refused.stands_until - 1
    assert starts(refusal(known)) == starts(refused)
    known.now = refused.stands_until
    assert starts(refusal(known)) == [-1, 1, 2]


def test_refusal_stands_until_a_hold_near_it_expires() -> None:
    known = taken_salon()
    near = known.hold(MONDAY + HOUR)
    refused = refusal(known)
    assert (starts(refused), refused.stands_until) == ([-1, -2, 2], near.expires_at)
    known.now = near.expires_at
    assert starts(refusal(known)) == [-1, 1, -2]


def test_refusal_does_not_stand_where_the_horizon_may_add_an_alternative() -> None:
    assert refusal(taken_salon(horizon=2 * DAY)).stands_until > NOW
    assert refusal(taken_salon(horizon=2 * DAY - 1)).stands_until == 0


def test_refusal_of_a_group_service_does_not_stand() -> None:
    assert refusal(taken_salon(capacity=2)).stands_until == 0


def test_refusal_has_the_service_and_the_zone_of_its_place_and_so_has_its_copy() -> None:
    known = Salon(
        build.catalog(
            cut(location_ids=("l_1",)),
            locations=[build.location(time_zone="Asia/Kathmandu")],
        )
    )
    known.book(MONDAY + HOUR // 4)
    refused = refusal(known, MONDAY + HOUR // 4)
    for error in (refused, refused.copy()):
        assert error.metadata == {"service_id": "s_1"}
        assert error.time_zone == "Asia/Kathmandu"
        assert len(error.alternatives) == 3
        assert error.stands_until == refused.stands_until > 0


def test_refusal_counts_the_limits_of_alternatives() -> None:
    known = taken_salon(booking_limits=(limit("WEEK", "SERVICE", 2),))
    known.book(MONDAY + 8 * DAY)
    known.book(MONDAY + 9 * DAY)
    assert starts(refusal(known)) == [-1, 1, -2]
