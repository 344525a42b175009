"""The judge and limits, time off, locations and outcomes: what it accepts, and what it names."""

from collections.abc import Callable

import pytest

from .books import TIMES, TODAY, Books, assert_finds
from .history import Row
from .scenario import DAY, HOUR, MINUTE

FIRST = {"service_id": "s_desk", "location_id": "l_east", "start": TIMES}
VISIT = {"service_id": "s_visit", "location_id": "l_west", "start": TIMES}
EMAIL = "c1@example.com"
TWICE = "FREQ=DAILY;COUNT=2"


@pytest.fixture
def books() -> Books:
    """Three bookings of the desk, as many as a day may have, two of them at the same time; time
    off that came over a visit, and time off that was deleted."""
    books = Books()
    books.book("s_desk", TIMES)
    books.book("s_desk", TIMES, location_id="l_west")
    books.book("s_desk", TIMES + HOUR, location_id="l_west")
    books.refuse("HoldAppointment", FIRST | {"start": TIMES + 20 * MINUTE}, "LIMIT_REACHED")
    books.book("s_visit", TIMES, "t_ben", location_id="l_west")
    books.create_time_off("l_west", TIMES, HOUR, conflicts=2, allow_conflicts=True)
    refused = {"id": "f_x", "owner_id": "t_ben", "start_time": TIMES, "end_time": TIMES + HOUR}
    books.refuse("CreateTimeOff", refused | {"allow_conflicts": False}, "TIME_OFF_CONFLICTS")
    deleted = books.create_time_off("t_ben", TIMES + HOUR, HOUR)
    later = VISIT | {"start": TIMES + HOUR}
    books.refuse("HoldAppointment", later, "NOT_A_SLOT")
    books.delete_time_off(deleted)
    books.refuse("DeleteTimeOff", {"id": deleted["id"]}, "TIME_OFF_NOT_FOUND")
    books.book("s_visit", TIMES + HOUR, "t_ben")
    for hour in (0, 1):
        books.book("s_cut", TIMES + DAY + hour * HOUR, "t_ada", email=EMAIL)
    third = books.hold("s_cut", TIMES + DAY, "t_chloe")
    named = {"hold_id": third["hold_id"], "contact_name": "X", "contact_email": EMAIL.upper()}
    books.refuse("ConfirmAppointment", named, "LIMIT_REACHED")
    books.release(third)
    given = books.book("s_cut", TIMES + 2 * HOUR, "t_chloe")
    books.update(given, 1, email=EMAIL)
    books.refuse("RescheduleAppointment", moved_by_a_day(given), "LIMIT_REACHED")
    books.create_time_off("r_two", TIMES + DAY, HOUR, recurrence=TWICE)
    books.create_time_off("r_three", TIMES + DAY, HOUR, recurrence=TWICE)
    duo = {"service_id": "s_duo", "start": TIMES + 2 * DAY}
    books.refuse("HoldAppointment", duo, "NOT_A_SLOT")
    return books


def moved_by_a_day(row: Row) -> dict[str, object]:
    return {"appointment_id": row["appointment_id"], "start": row["start_time"] + DAY}


def test_accepts_a_sound_history(books: Books) -> None:
    assert books.judge() == []


def test_accepts_outcomes_of_what_has_started(books: Books) -> None:
    booked = books.book("s_cut", TIMES, "t_ada")
    named = {"appointment_id": booked["appointment_id"]}
    books.refuse("CompleteAppointment", named, "APPOINTMENT_NOT_STARTED")
    books.now = TIMES + MINUTE
    for method in ("CompleteAppointment", "ReopenAppointment", "MarkNoShow"):
        books.record_outcome(booked, method)
    books.refuse("CompleteAppointment", named, "NOT_CHANGEABLE")
    books.refuse("CancelAppointment", named | {"cancel_reason": "ill"}, "NOT_CANCELLABLE")
    books.refuse("RescheduleAppointment", named | {"start": TIMES}, "NOT_RESCHEDULABLE")
    assert books.judge() == []


def beyond_the_limit(books: Books) -> None:
    books.book("s_desk", TIMES + 20 * MINUTE)


def beyond_the_customers_limit(books: Books) -> None:
    books.book("s_cut", TIMES + DAY, "t_chloe", email=EMAIL.upper())


def others_customers_limit(books: Books) -> None:
    held = books.hold("s_cut", TIMES + DAY, "t_chloe")
    named = {"hold_id": held["hold_id"], "contact_name": "X", "contact_email": "c2@example.com"}
    books.refuse("ConfirmAppointment", named, "LIMIT_REACHED")


def former_customers_limit(books: Books) -> None:
    booked = books.book("s_cut", TIMES, "t_chloe", email=EMAIL)
    books.update(booked, 1, email="c2@example.com")
    books.refuse("RescheduleAppointment", moved_by_a_day(booked), "LIMIT_REACHED")


def later_customers_limit(books: Books) -> None:
    booked = books.book("s_cut", TIMES, "t_chloe", email="c2@example.com")
    books.refuse("RescheduleAppointment", moved_by_a_day(booked), "LIMIT_REACHED")
    books.now += MINUTE
    books.update(booked, 1, email=EMAIL)


def in_time_off_that_recurs(books: Books) -> None:
    books.book("s_spa", TIMES + 2 * DAY, "t_ada", "r_two")


def between_occurrences(books: Books) -> None:
    """After the last one, too."""
    duo = {"service_id": "s_duo", "start": TIMES + 3 * DAY}
    books.refuse("HoldAppointment", duo, "NOT_A_SLOT")


def in_time_off(books: Books) -> None:
    books.book("s_visit", TIMES + 30 * MINUTE, "t_ben", location_id="l_west")


def time_off_over_bookings(books: Books) -> None:
    books.create_time_off("t_ben", TIMES, HOUR, conflicts=1)


def conflicts_not_named(books: Books) -> None:
    books.create_time_off("t_ben", TIMES, HOUR, allow_conflicts=True)


def person_at_two_locations(books: Books) -> None:
    books.book("s_visit", TIMES + HOUR, "t_ben", location_id="l_west")


def other_location(books: Books) -> None:
    request = books.history[0].request
    request["location_id"] = "l_west"


def completed_before_its_start(books: Books) -> None:
    books.record_outcome(books.book("s_cut", TIMES, "t_ada"))


def completed_twice(books: Books) -> None:
    booked = books.book("s_cut", TIMES, "t_ada")
    books.now = TIMES
    books.record_outcome(booked)
    books.record_outcome(booked, "MarkNoShow")


def refused_outcome(books: Books) -> None:
    booked = books.book("s_cut", TIMES, "t_ada")
    books.now = TIMES + DAY
    named = {"appointment_id": booked["appointment_id"]}
    books.refuse("CompleteAppointment", named, "APPOINTMENT_NOT_STARTED")


def limit_without_bookings(books: Books) -> None:
    books.refuse("HoldAppointment", FIRST | {"start": TIMES + DAY}, "LIMIT_REACHED")


def deleted_time_off_refuses(books: Books) -> None:
    later = VISIT | {"location_id": "l_east", "start": TIMES + HOUR}
    books.refuse("HoldAppointment", later, "NOT_A_SLOT")


def free_of_conflicts_and_refused(books: Books) -> None:
    asked = {"id": "f_x", "owner_id": "r_two", "start_time": TIMES, "end_time": TIMES + HOUR}
    books.refuse("CreateTimeOff", asked | {"allow_conflicts": False}, "TIME_OFF_CONFLICTS")


def there_and_not_found(books: Books) -> None:
    there = books.create_time_off("r_two", TIMES, HOUR)
    books.refuse("DeleteTimeOff", {"id": there["id"]}, "TIME_OFF_NOT_FOUND")


def offered_in_time_off(books: Books) -> None:
    """Nothing of the desk is open; its limit is reached. A cut with Ben is, though he is off."""
    books.create_time_off("t_ben", TODAY + 11 * HOUR, HOUR)
    books.offer("s_cut")


def answered_and_lost(books: Books) -> None:
    books.create_time_off("r_two", TIMES, HOUR)
    for name in ("events", "time_off"):
        books.tables[name].pop()


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (beyond_the_limit, "beyond the limit of 3"),
        (beyond_the_customers_limit, "beyond the customer's limit of 2"),
        (others_customers_limit, "unjustified refusal LIMIT_REACHED"),
        (former_customers_limit, "unjustified refusal LIMIT_REACHED"),
        (later_customers_limit, "unjustified refusal LIMIT_REACHED"),
        (in_time_off_that_recurs, "that recurs"),
        (between_occurrences, "unjustified refusal NOT_A_SLOT"),
        (in_time_off, "it was booked in the time off"),
        (time_off_over_bookings, "time off was made over the bookings"),
        (conflicts_not_named, "and the answer says {'conflicts': 0}"),
        (person_at_two_locations, "overlap on t_ben"),
        (other_location, "wrong answer"),
        (completed_before_its_start, "before it starts"),
        (completed_twice, "APPOINTMENT_NO_SHOW of what was COMPLETED"),
        (refused_outcome, "unjustified refusal APPOINTMENT_NOT_STARTED"),
        (limit_without_bookings, "unjustified refusal LIMIT_REACHED"),
        (deleted_time_off_refuses, "unjustified refusal NOT_A_SLOT"),
        (free_of_conflicts_and_refused, "unjustified refusal TIME_OFF_CONFLICTS"),
        (there_and_not_found, "unjustified refusal TIME_OFF_NOT_FOUND"),
        (offered_in_time_off, "so at no number of the ledger"),
        (answered_and_lost, "was answered, and has no event"),
    ],
)
def test_judge_finds_the_planted_fault(
    books: Books, plant: Callable[[Books], None], says: str
) -> None:
    plant(books)
    assert_finds(books, says)
