"""The judge finds nothing in a sound history, and each fault that is put into one."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from .books import TIMES, Books
from .history import REFUSED, UNKNOWN
from .scenario import HOUR, MINUTE, SECOND, SERVICES


@pytest.fixture
def books() -> Books:
    """A cut, a spa treatment and a full class, all confirmed; something released; a refusal; and
    everything read in the end."""
    books = Books()
    for row in (
        books.hold("s_cut", TIMES, "t_ada"),
        books.hold("s_spa", TIMES, "t_ben", "r_one"),
    ):
        books.confirm(row)
    first = books.hold("s_class", TIMES, "t_chloe", "r_three", seats=3, session_id="x_class")
    books.confirm(first)
    books.confirm(books.hold("s_class", TIMES, "t_chloe", "r_three", seats=1, session_id="x_class"))
    books.release(books.hold("s_kiosk", TIMES))
    books.refuse("HoldAppointment", {"service_id": "s_class", "start": TIMES}, "SLOT_UNAVAILABLE")
    for service_id in SERVICES:
        books.offer(service_id)
    books.agenda()
    books.agenda(service_id="s_class")
    books.get(first)
    return books


def test_finds_nothing_in_a_sound_history(books: Books) -> None:
    assert books.judge() == []


def overlap(books: Books) -> None:
    books.confirm(books.hold("s_cut", TIMES + HOUR, "t_ben"))


def overlap_while_held(books: Books) -> None:
    """Nothing of it is left at the end."""
    held = [books.hold("s_kiosk", TIMES + shift) for shift in (0, 10 * MINUTE)]
    books.now += SECOND
    for row in held:
        books.release(row)


def oversold(books: Books) -> None:
    books.confirm(books.hold("s_class", TIMES, "t_chloe", "r_three", seats=1, session_id="x_class"))


def lost(books: Books) -> None:
    """The first cut is nowhere, as when its commit was answered and did not happen."""
    for table in ("reservations", "events"):
        books.tables[table] = [one for one in books.tables[table] if one["hold_id"] != "h_0"]
    books.settle()


def phantom(books: Books) -> None:
    """The request of the first hold was never sent."""
    books.history.pop(0)


def refused_and_done(books: Books) -> None:
    books.history[0] = replace(books.history[0], outcome=REFUSED, reason="SLOT_UNAVAILABLE")


def double_effect(books: Books) -> None:
    """Sent twice under one key, held twice: the answer to the first attempt was lost."""
    books.hold("s_kiosk", TIMES + 30 * MINUTE)
    first = books.history[-1]
    books.history[-1] = replace(first, outcome=UNKNOWN, answer={}, raw="")
    books.tables["idempotency"].pop()
    books.hold("s_kiosk", TIMES + 50 * MINUTE)
    again = books.history[-1]
    books.history[-1] = replace(again, key=first.key, raw="again")
    kept = books.tables["idempotency"][-1]
    kept.update(key=first.key, response="again")
    books.history[-2] = replace(books.history[-2], request=again.request)


def two_answers(books: Books) -> None:
    books.history.append(replace(books.history[0], raw="another answer"))


def unjustified(books: Books) -> None:
    books.refuse("HoldAppointment", {"service_id": "s_duo", "start": TIMES}, "NOT_A_SLOT")


def free_and_refused(books: Books) -> None:
    request = {"service_id": "s_cut", "start": TIMES + 90 * MINUTE}
    books.refuse("HoldAppointment", request, "SLOT_UNAVAILABLE")


def room_and_refused(books: Books) -> None:
    """A seat was left in the class of the next hour."""
    start = TIMES + HOUR
    books.hold("s_class", start, "t_chloe", "r_three", seats=2, session_id="x_next")
    request = {"service_id": "s_class", "start": start, "seats": 2}
    books.refuse("HoldAppointment", request, "SLOT_UNAVAILABLE")


def expired_early(books: Books) -> None:
    row = books.hold("s_kiosk", TIMES)
    books.refuse("ExtendHold", {"hold_id": row["hold_id"]}, "HOLD_EXPIRED")


def internal(books: Books) -> None:
    books.refuse("HoldAppointment", {"service_id": "s_class", "start": TIMES}, "INTERNAL")


def state_without_event(books: Books) -> None:
    books.tables["reservations"][0]["staff_id"] = "t_ben"


def event_missing(books: Books) -> None:
    books.tables["events"].pop(0)


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
    books.tables["events"][0]["at"] -= HOUR


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
    """Nobody was told of the cancellation, and the first to read saw it."""
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
    """It is somebody else who is free for the last of these cuts."""
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
    """The honest clerk does not look at the time."""
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


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (overlap, "at the end o_north t_ben: h_1 and"),
        (overlap_while_held, "on the way o_north s_kiosk"),
        (oversold, "over capacity: 5 seats"),
        (lost, "and is not there"),
        (phantom, "nobody asked for"),
        (refused_and_done, "nobody asked for"),
        (double_effect, "nobody asked for"),
        (two_answers, "2 different answers"),
        (unjustified, "unjustified refusal NOT_A_SLOT"),
        (free_and_refused, "unjustified refusal SLOT_UNAVAILABLE"),
        (room_and_refused, "unjustified refusal SLOT_UNAVAILABLE"),
        (expired_early, "unjustified refusal HOLD_EXPIRED"),
        (internal, "unjustified refusal INTERNAL"),
        (state_without_event, "its state"),
        (event_missing, "has events of the revisions"),
        (allocation_missing, "without an allocation"),
        (allocation_left, "an allocation that nobody takes"),
        (seats_miscounted, "seats sold"),
        (answer_not_kept, "is not what is kept for its key"),
        (out_of_time, "its request"),
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
def test_finds_what_was_planted(books: Books, plant: Callable[[Books], None], says: str) -> None:
    plant(books)
    found = books.judge()
    assert any(says in one for one in found), found


def test_a_request_without_an_answer_may_have_happened_or_not(books: Books) -> None:
    done = books.history[0]
    lost_answer = replace(done, outcome=UNKNOWN, answer={}, raw="")
    books.history[0] = lost_answer
    books.history.append(replace(lost_answer, key="another"))
    assert books.judge() == []


def test_a_taken_time_may_be_refused_as_long_as_it_may_be_taken(books: Books) -> None:
    row = books.hold("s_kiosk", TIMES)
    request = {"service_id": "s_kiosk", "start": TIMES}
    books.refuse("HoldAppointment", request, "SLOT_UNAVAILABLE")
    books.release(row)
    released = books.history[-1]
    # Sent before the release was answered, and answered after it.
    books.refuse("HoldAppointment", request, "SLOT_UNAVAILABLE")
    books.history[-1] = replace(books.history[-1], sent=released.sent)
    assert books.judge() == []
    books.history[-1] = replace(books.history[-1], sent=released.answered + 1)
    assert len(books.judge()) == 1


def test_extensions_that_overtook_each_other_are_told_apart(books: Books) -> None:
    row = books.hold("s_kiosk", TIMES)
    books.now += SECOND
    books.extend(row)
    first = books.history[-1]
    # It read its clock before the other was sent, and came second; the end was the same.
    early = first.sent - SECOND // 2
    books.extend(row)
    second = books.history[-1]
    answer = {**second.answer, "expires_at": first.answer["expires_at"]}
    row["expires_at"] = first.answer["expires_at"]
    event = books.tables["events"][-1]
    event.update(at=early, reservation=json.dumps(row))
    books.history[-2:] = [replace(second, sent=early, answer=answer), first]
    assert books.judge() == []


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
