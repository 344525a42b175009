"""The judge and the stored ledger: its numbers, times and heads, and what is derived from it."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from .books import TIMES, Books, assert_finds
from .scenario import HOUR, MINUTE, SECOND


def state_without_event(books: Books) -> None:
    books.tables["reservations"][0]["staff_id"] = "t_ben"


def event_missing(books: Books) -> None:
    books.tables["events"].pop(1)


def allocation_missing(books: Books) -> None:
    books.tables["allocations"].pop(0)


def allocation_left(books: Books) -> None:
    stray = {**books.tables["allocations"][0], "session_id": "x_gone"}
    books.tables["allocations"].append(stray)


def seats_miscounted(books: Books) -> None:
    books.tables["sessions"][0]["seats_taken"] -= 1


def answer_not_kept(books: Books) -> None:
    books.tables["idempotency"].pop(0)


def out_of_time(books: Books) -> None:
    books.tables["events"][1]["time"] -= HOUR


def gap(books: Books) -> None:
    """The last event is one number further than it should be, and so is the head."""
    books.tables["events"][-1]["seq"] += 1
    books.tables["ledgers"][0]["seq"] += 1


def repetition(books: Books) -> None:
    books.tables["events"][-1]["seq"] -= 1
    books.tables["ledgers"][0]["seq"] -= 1


def head_behind(books: Books) -> None:
    books.tables["ledgers"][0]["seq"] -= 1


def head_time_behind(books: Books) -> None:
    books.tables["ledgers"][0]["time"] -= SECOND


def head_missing(books: Books) -> None:
    books.tables["ledgers"].clear()


def catalog_version_behind(books: Books) -> None:
    books.tables["ledgers"][0]["catalog_version"] = 0


def swap(books: Books, one: int, other: int) -> None:
    """Give two events each other's number and time."""
    events = books.tables["events"]
    for name in ("seq", "time"):
        events[one][name], events[other][name] = events[other][name], events[one][name]


def time_runs_back(books: Books) -> None:
    """Two holds, each of its own time, whose numbers are in the other order."""
    for start in (TIMES, TIMES + 30 * MINUTE):
        books.hold("s_kiosk", start)
    first, second = books.tables["events"][-2:]
    first["seq"], second["seq"] = second["seq"], first["seq"]


def revisions_out_of_order(books: Books) -> None:
    books.book("s_kiosk", TIMES)
    swap(books, -2, -1)


def answered_before_what_came_first(books: Books) -> None:
    """The second hold has the first number, and was sent a second after the first was answered."""
    for start in (TIMES, TIMES + 30 * MINUTE):
        books.hold("s_kiosk", start)
        books.now += SECOND
    swap(books, -2, -1)


def taken_before_it_was_given_back(books: Books) -> None:
    """By the order of the ledger the second hold came before the release of the first."""
    row = books.hold("s_kiosk", TIMES)
    books.release(row)
    books.hold("s_kiosk", TIMES)
    swap(books, -2, -1)


def oversold_in_order(books: Books) -> None:
    first = books.hold("s_class", TIMES + HOUR, "t_chloe", "r_three", seats=4, session_id="x_next")
    books.release(first)
    books.hold("s_class", TIMES + HOUR, "t_chloe", "r_three", seats=1, session_id="x_next")
    swap(books, -2, -1)


def session_told_wrongly(books: Books) -> None:
    """A server that catches up by this event would think that the class is empty."""
    event = books.tables["events"][-3]
    data = json.loads(event["data"])
    data["sessions"][0]["seats_taken"] = 0
    event["data"] = json.dumps(data)


def session_not_told(books: Books) -> None:
    """A server that catches up by this event would not know that the time is free again."""
    books.move(books.book("s_kiosk", TIMES), TIMES + 30 * MINUTE)
    event = books.tables["events"][-1]
    data = json.loads(event["data"])
    event["data"] = json.dumps(data | {"sessions": data["sessions"][1:]})


def allocation_ends_early(books: Books) -> None:
    books.hold("s_kiosk", TIMES)
    books.tables["allocations"][-1]["expires_at"] -= 1


def allocation_made_at_another_time(books: Books) -> None:
    books.tables["allocations"][0]["booked_at"] += 1


def update_time_of_its_own(books: Books) -> None:
    event = books.tables["events"][-1]
    data = json.loads(event["data"])
    data["reservation"]["update_time"] += 1
    event["data"] = json.dumps(data)


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (gap, "the event after number 10 has the number 12"),
        (repetition, "the event after number 10 has the number 10"),
        (head_behind, "the head is at"),
        (head_time_behind, "the head's time is"),
        (head_missing, "it has events and no head"),
        (catalog_version_behind, "the catalogue's version is 0"),
        (time_runs_back, "ledger time runs back by"),
        (revisions_out_of_order, "has events of the revisions [2, 1]"),
        (answered_before_what_came_first, "by the order of the ledger"),
        (taken_before_it_was_given_back, "in the ledger's order"),
        (oversold_in_order, "5 seats sold, in the ledger's order"),
        (session_told_wrongly, "says {'seats_taken': 0} of the session x_class"),
        (session_not_told, "tells of the sessions"),
        (allocation_ends_early, "an allocation without a reservation"),
        (allocation_made_at_another_time, "an allocation without a reservation"),
        (update_time_of_its_own, "its update_time"),
        (state_without_event, "its state"),
        (event_missing, "has events of the revisions"),
        (allocation_missing, "without an allocation"),
        (allocation_left, "an allocation without a reservation"),
        (seats_miscounted, "seats sold"),
        (answer_not_kept, "is not what is kept for its key"),
        (out_of_time, "its request"),
    ],
)
def test_judge_finds_the_planted_fault(
    books: Books, plant: Callable[[Books], None], says: str
) -> None:
    plant(books)
    assert_finds(books, says)


def test_extensions_at_one_ledger_time_are_told_apart(books: Books) -> None:
    row = books.hold("s_kiosk", TIMES)
    books.now += SECOND
    at = books.now
    books.extend(row)
    first = books.history[-1]
    # It was sent first and came second, at the ledger time of the other: so the end was the same.
    books.now = at
    books.extend(row)
    second = books.history[-1]
    assert second.answer["expires_at"] == first.answer["expires_at"]
    books.history[-2:] = [replace(second, sent=at - SECOND // 2), first]
    assert books.judge() == []


def test_a_server_whose_clock_is_ahead_is_accepted_within_its_skew(books: Books) -> None:
    books.now += 2 * SECOND
    books.hold("s_kiosk", TIMES)
    ahead = books.history[-1]
    early = replace(ahead, sent=ahead.sent - 2 * SECOND, answered=ahead.answered - 2 * SECOND)
    books.history[-1] = early
    assert books.judge(skew=2 * SECOND) == []
    assert books.judge(skew=SECOND) != []
