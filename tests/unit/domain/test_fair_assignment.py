"""Who gets a hold for anyone: the bookings of the place's date decide, then the last booking."""

from typing import Any

import pytest

from zimun.domain.catalog.entries import Service
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.ledger.loading import Needs

from . import build
from .build import utc
from .test_limit_rules import Salon, cut

STAFF = ("t_ada", "t_ben", "t_chloe")
NOON = utc("2026-10-25T11:00")
"""12:00 in Berlin on the date on which its clock is set back."""


def salon(count: int = 2, **changes: Any) -> Salon:
    ids = STAFF[:count]
    offered: Service = cut(staff_ids=ids, **changes)
    return Salon(
        build.catalog(
            offered,
            organization=build.organization(time_zone="Europe/Berlin"),
            staff=[build.member(id=staff_id) for staff_id in ids],
        ),
        now=NOON - 3 * DAY,
    )


def book(known: Salon, start: int, staff_id: str = "") -> str:
    known.now += MINUTE
    return known.book(start, staff_id=staff_id).staff_id


def test_the_first_of_the_service_is_chosen_and_then_those_with_fewer_bookings_that_date() -> None:
    known = salon(3)
    assert [book(known, NOON + hours * HOUR) for hours in (0, 1, 2, 3)] == [*STAFF, STAFF[0]]


@pytest.mark.parametrize(
    ("booked", "asked"),
    [
        ("2026-10-24T22:00", NOON),
        ("2026-10-24T23:00", NOON),
        ("2026-10-25T22:00", NOON),
        ("2026-10-25T21:00", utc("2026-10-24T22:00")),
        ("2026-10-25T01:00", utc("2026-10-25T00:00")),
    ],
)
def test_bookings_count_on_all_of_a_date_whose_clock_is_set_back(booked: str, asked: int) -> None:
    """Ada was booked before Ben, who was booked on other dates."""
    known = salon()
    book(known, utc(booked), "t_ada")
    book(known, utc("2026-10-24T21:00"), "t_ben")
    book(known, utc("2026-10-25T23:00"), "t_ben")
    assert book(known, asked) == "t_ben"


@pytest.mark.parametrize("booked", ["2026-10-24T21:00", "2026-10-25T23:00"])
def test_bookings_of_other_dates_do_not_count_and_the_longest_unused_is_chosen(
    booked: str,
) -> None:
    known = salon()
    book(known, utc(booked), "t_ben")
    book(known, utc(booked) + 9 * DAY, "t_ada")
    assert book(known, NOON) == "t_ben"
    assert book(known, NOON + HOUR) == "t_ada"


@pytest.mark.parametrize(
    ("known", "first"),
    [(salon(1), []), (salon(0), []), (salon(2, capacity=3), ["t_ada"])],
    ids=["one staff member", "none", "a session to join"],
)
def test_no_bookings_are_counted_where_there_is_no_choice(known: Salon, first: list[str]) -> None:
    for staff_id in first:
        book(known, NOON, staff_id)
    known.hold(NOON)
    needs = Needs(staff_ids=set(STAFF))
    assert known.keeper.ledger.lacks(needs) == needs
