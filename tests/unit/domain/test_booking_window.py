"""The booking window: which starts, positions and dates are in it."""

from datetime import timedelta
from itertools import product

import pytest

from zimun.domain.availability.booking_window import LAST_START, BookingWindow
from zimun.domain.availability.opening_hours import local_date
from zimun.domain.availability.slots import Choice, Slot
from zimun.domain.ignored_rules import NO_RULES, BookingRule
from zimun.domain.instant import DAY, HOUR

from .build import MONDAY, NINE, service, session, utc

OFFERED = service(lead_time=2 * HOUR, horizon=3 * DAY)


def test_window_is_from_the_lead_time_to_the_horizon_without_those_that_are_ignored() -> None:
    def window(*ignored: BookingRule) -> BookingWindow:
        return BookingWindow.of(OFFERED, NINE, frozenset(ignored))

    assert BookingWindow.of(OFFERED, NINE, NO_RULES) == window(BookingRule.GRID)
    assert window() == BookingWindow(NINE + 2 * HOUR, NINE + 3 * DAY)
    assert window(BookingRule.LEAD_TIME) == BookingWindow(NINE, NINE + 3 * DAY)
    assert window(BookingRule.HORIZON) == BookingWindow(NINE + 2 * HOUR, LAST_START)
    assert utc("9999-01-01T00:00") == LAST_START + 1


def test_positions_and_parts_of_intervals_are_those_in_the_window() -> None:
    instants = range(-1, 6)
    for earliest, latest in product(range(4), repeat=2):
        window = BookingWindow(earliest, latest)
        within = [instant for instant in instants if instant in window]
        assert within == [*range(earliest, latest + 1)]
        assert [instants[position] for position in window.positions(instants)] == within
        for begin, end in product(instants, repeat=2):
            part = [instant for instant in within if begin <= instant < end]
            assert [*range(*window.clip((begin, end)))] == part


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12", "UTC"])
@pytest.mark.parametrize("earliest", [NINE, utc("2026-01-05T00:00"), utc("2026-01-05T23:59")])
def test_dates_of_a_window_are_those_on_which_it_has_an_instant_and_few_more(
    zone: str, earliest: int
) -> None:
    window = BookingWindow(earliest, earliest + 2 * DAY)
    wide = MONDAY - timedelta(days=30), MONDAY + timedelta(days=30)
    first, last = window.dates(*wide)
    begins, ends = (local_date(zone, each) for each in (window.earliest, window.latest))
    assert first <= begins <= first + timedelta(days=2)
    assert last - timedelta(days=2) <= ends <= last
    assert window.dates(begins, begins) == (begins, begins)
    assert window.dates(wide[0], wide[0])[0] > wide[0]
    assert window.dates(wide[1], wide[1])[1] < wide[1]


def test_slot_that_one_staff_member_gives_has_their_sessions_alone() -> None:
    sessions = tuple(session(session_id=f"x_{n}", staff_id=f"t_{n}") for n in (1, 2))
    slot = Slot(0, 1, ("t_1", "t_2", "t_3"), 4, ("r_1",), sessions)
    assert slot.given_by("t_1") == slot._replace(staff_ids=("t_1",), joinable=sessions[:1])
    assert slot.given_by("t_2") == slot._replace(staff_ids=("t_2",), joinable=sessions[1:])
    assert slot.given_by("t_3") == slot._replace(staff_ids=("t_3",), joinable=())


@pytest.mark.parametrize(
    ("choice", "subjects"),
    [
        (Choice("t_1", ("r_1", "r_2")), ("t_1", "r_1", "r_2")),
        (Choice("t_1", ()), ("t_1",)),
        (Choice("", ("r_1",)), ("r_1",)),
        (Choice("", ()), ("s_1@l_1",)),
    ],
)
def test_choice_takes_its_staff_member_and_resources_or_the_service_itself(
    choice: Choice, subjects: tuple[str, ...]
) -> None:
    assert choice.subjects("s_1", "l_1") == subjects
