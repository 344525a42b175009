"""The judge and what was read: what may have been so, and what cannot."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from .books import TIMES, Books, assert_finds
from .history import UNKNOWN
from .scenario import HOUR, MINUTE


def stale(books: Books) -> None:
    row = books.book("s_kiosk", TIMES)
    books.get(row)
    before = books.seen()
    books.cancel(row)
    books.get(row)
    books.read_again(before)


def foretold(books: Books) -> None:
    """Read as cancelled before anybody asked for that."""
    row = books.book("s_kiosk", TIMES)
    books.cancel(row)
    books.get(row)
    read, cancelled = books.history.pop(), books.history[-1]
    books.history.append(replace(read, sent=cancelled.sent - 2, answered=cancelled.sent - 1))


def gone_back(books: Books) -> None:
    """The cancellation got no answer; the first read after it shows it, the next does not."""
    row = books.book("s_kiosk", TIMES)
    books.get(row)
    before = books.seen()
    books.cancel(row)
    books.history[-1] = replace(books.history[-1], outcome=UNKNOWN, answer={}, raw="")
    books.tables["idempotency"].pop()
    books.get(row)
    books.read_again(before)


def never_so(books: Books) -> None:
    row = books.book("s_kiosk", TIMES)
    books.get(row)
    books.read_again([{**books.seen()[0], "contact_name": "Kim"}])


def another(books: Books) -> None:
    row = books.book("s_kiosk", TIMES)
    books.get(row)
    mine = books.seen()
    books.get(books.book("s_kiosk", TIMES + 30 * MINUTE))
    books.read_again(mine)


def there_and_not_found(books: Books) -> None:
    row = books.book("s_kiosk", TIMES)
    request = {"appointment_id": row["appointment_id"]}
    books.refuse("GetAppointment", request, "APPOINTMENT_NOT_FOUND")


def never_together(books: Books) -> None:
    """The second was confirmed after the first had been cancelled."""
    first, asked = books.book("s_kiosk", TIMES), books.now
    books.get(first)
    listed = books.seen()
    books.cancel(first)
    books.get(books.book("s_kiosk", TIMES + 30 * MINUTE))
    listed += books.seen()
    books.agenda(service_id="s_kiosk")
    books.read_again(listed, asked)


def missing(books: Books) -> None:
    books.agenda()
    books.read_again(books.seen()[1:])


def not_asked_for(books: Books) -> None:
    books.agenda()
    everything = books.seen()
    books.agenda(service_id="s_class")
    books.read_again(everything)


def cancelled_and_listed(books: Books) -> None:
    row = books.book("s_kiosk", TIMES)
    books.cancel(row)
    books.get(row)
    found = books.seen()
    books.agenda(service_id="s_kiosk")
    books.read_again(found)


def out_of_order(books: Books) -> None:
    books.agenda()
    books.read_again(books.seen()[::-1])


def taken_and_offered(books: Books) -> None:
    books.offer("s_kiosk")
    before = books.seen()
    books.hold("s_kiosk", TIMES)
    books.offer("s_kiosk")
    books.read_again(before)


def taken_and_offered_to_the_end(books: Books) -> None:
    """The answer came a microsecond before the hold ended."""
    books.offer("s_kiosk")
    before = books.seen()
    row = books.hold("s_kiosk", TIMES)
    books.offer("s_kiosk")
    books.read_again(before)
    books.history[-1] = replace(books.history[-1], answered=row["expires_at"] - 1)


def wrong_person(books: Books) -> None:
    """The last of these cuts is offered with Ada, who is taken; Ben is free."""
    books.hold("s_cut", TIMES + 90 * MINUTE, "t_ada")
    books.offer("s_cut")
    books.read_again([[start, end, 1, ["t_ada"]] for start, end, *_ in books.seen()])


def too_many_seats(books: Books) -> None:
    books.hold("s_class", TIMES + HOUR, "t_chloe", "r_three", seats=2, session_id="x_next")
    books.offer("s_class")
    books.read_again([[start, end, seats + 1, who] for start, end, seats, who in books.seen()])


def too_few_seats(books: Books) -> None:
    books.hold("s_class", TIMES + HOUR, "t_chloe", "r_three", seats=2, session_id="x_next")
    books.offer("s_class")
    books.read_again([[start, end, 1, who] for start, end, _, who in books.seen()])


def free_and_not_offered(books: Books) -> None:
    books.offer("s_kiosk")
    books.read_again(books.seen()[1:])


def expired_and_not_offered(books: Books) -> None:
    """`Books.offer` does not look at the time, so the ended hold still takes its slot."""
    books.now = books.hold("s_kiosk", TIMES)["expires_at"] + 1
    books.offer("s_kiosk")


def free_person_not_offered(books: Books) -> None:
    books.offer("s_cut")
    books.read_again([[start, end, seats, who[:1]] for start, end, seats, who in books.seen()])


def off_the_grid(books: Books) -> None:
    books.offer("s_kiosk")
    books.read_again([[start + MINUTE, end + MINUTE, *rest] for start, end, *rest in books.seen()])


def offered_twice(books: Books) -> None:
    books.offer("s_kiosk")
    books.read_again([one for one in books.seen() for _ in range(2)])


def never_free_together(books: Books) -> None:
    """One was given back after the other had been taken."""
    books.offer("s_kiosk")
    everything = books.seen()
    row = books.hold("s_kiosk", TIMES)
    since = books.now
    books.hold("s_kiosk", TIMES + 30 * MINUTE)
    books.release(row)
    books.offer("s_kiosk")
    books.read_again(everything, since)


def offered_at_no_number(books: Books) -> None:
    """One hold is seen and an earlier one is not, both made while it was asked."""
    books.offer("s_kiosk")
    free_before, asked = [one for one in books.seen() if one[0] < TIMES + 20 * MINUTE], books.now
    books.hold("s_kiosk", TIMES)
    books.hold("s_kiosk", TIMES + 30 * MINUTE)
    books.offer("s_kiosk")
    free_after = [one for one in books.seen() if one[0] >= TIMES + 20 * MINUTE]
    books.read_again([*free_before, *free_after], asked)


def listed_at_no_number(books: Books) -> None:
    """The second is listed and the first is not, both confirmed while it was asked."""
    asked = books.now
    for start in (TIMES, TIMES + 30 * MINUTE):
        books.book("s_kiosk", start)
    books.agenda(service_id="s_kiosk")
    books.read_again(books.seen()[1:], asked)


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (offered_at_no_number, "so at no number of the ledger"),
        (listed_at_no_number, "so at no number of the ledger"),
        (stale, "never so at one moment"),
        (foretold, "never so at one moment"),
        (gone_back, "never so at one moment"),
        (never_so, "it never was"),
        (another, "it is a_h_"),
        (there_and_not_found, "unjustified refusal APPOINTMENT_NOT_FOUND"),
        (never_together, "never so at one moment"),
        (missing, "is missing"),
        (not_asked_for, "not asked for"),
        (cancelled_and_listed, "not asked for"),
        (out_of_order, "out of order or twice"),
        (taken_and_offered, "never free together"),
        (taken_and_offered_to_the_end, "never free together"),
        (wrong_person, "never free together"),
        (too_many_seats, "never free together"),
        (too_few_seats, "had room for more than 1"),
        (free_and_not_offered, "had room for more than 0"),
        (expired_and_not_offered, "had room for more than 0"),
        (free_person_not_offered, "had room for more than 0"),
        (off_the_grid, "no slot of the service"),
        (offered_twice, "out of order or twice"),
        (never_free_together, "never free together"),
    ],
)
def test_judge_finds_the_planted_fault(
    books: Books, plant: Callable[[Books], None], says: str
) -> None:
    plant(books)
    assert_finds(books, says)


def test_what_changes_while_it_is_read_may_be_read_before_or_after(books: Books) -> None:
    row, asked = books.book("s_kiosk", TIMES), books.now
    reads = partial(books.offer, "s_kiosk"), partial(books.agenda), partial(books.get, row)
    before = []
    for read in reads:
        read()
        before.append(books.seen())
    books.move(row, TIMES + 30 * MINUTE)
    for read, found in zip(reads, before, strict=True):
        read()
        books.read_again(found, asked)
    assert books.judge() == []


def test_a_slot_may_be_offered_from_the_instant_at_which_its_hold_ends(books: Books) -> None:
    books.offer("s_kiosk")
    before = books.seen()
    row = books.hold("s_kiosk", TIMES)
    books.offer("s_kiosk")
    books.read_again(before)
    books.history[-1] = replace(books.history[-1], answered=row["expires_at"])
    assert books.judge() == []
