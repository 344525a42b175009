"""The judge finds nothing in a sound history, and each booking or refusal that is wrong in one."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from .books import TIMES, Books, assert_finds
from .history import REFUSED, UNKNOWN
from .ledger import BOOKED
from .scenario import HOUR, MINUTE, SECOND


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


def oversold_by_an_update(books: Books) -> None:
    """The seats of an appointment in the full class grow."""
    books.update(books.tables["reservations"][3], 2)


def not_offered(books: Books) -> None:
    """Between the steps, and no rule was set aside."""
    books.book("s_cut", TIMES + HOUR + 7 * MINUTE, "t_ada")


def booked_in_two_steps(books: Books) -> None:
    """Another event comes between the two of BookAppointment."""
    row = books.hold("s_cut", TIMES + HOUR, "t_ada")
    books.hold("s_kiosk", TIMES + HOUR)
    books.confirm(row, f"{BOOKED}1")


def set_aside_unasked(books: Books) -> None:
    """A hold's event says that it set a rule aside, which its request did not."""
    event = next(one for one in books.tables["events"] if one["type"] == "HOLD_CREATED")
    event["data"] = json.dumps({**json.loads(event["data"]), "ignored_rules": ["GRID"]})


def lost(books: Books) -> None:
    """The first cut is nowhere, as when its commit was answered and did not happen."""
    for table in ("reservations", "events"):
        books.tables[table] = [one for one in books.tables[table] if one["hold_id"] != "h_0"]


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


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (overlap, "at the end o_north t_ben: h_1 and"),
        (overlap_while_held, "on the way o_north s_kiosk"),
        (oversold, "over capacity: 5 seats"),
        (oversold_by_an_update, "over capacity: 5 seats"),
        (not_offered, "which is not offered"),
        (booked_in_two_steps, "was booked in two steps"),
        (set_aside_unasked, "aside, its request"),
        (lost, "and is not there"),
        (phantom, "event without a request:"),
        (refused_and_done, "event without a request:"),
        (double_effect, "event without a request:"),
        (two_answers, "2 different answers"),
        (unjustified, "unjustified refusal NOT_A_SLOT"),
        (free_and_refused, "unjustified refusal SLOT_UNAVAILABLE"),
        (room_and_refused, "unjustified refusal SLOT_UNAVAILABLE"),
        (expired_early, "unjustified refusal HOLD_EXPIRED"),
        (internal, "unjustified refusal INTERNAL"),
    ],
)
def test_judge_finds_the_planted_fault(
    books: Books, plant: Callable[[Books], None], says: str
) -> None:
    plant(books)
    assert_finds(books, says)


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


def test_a_refusal_needs_one_moment_at_which_everybody_was_busy(books: Books) -> None:
    """Each room was taken while it was asked for, but not both of them at once."""
    start, asked = TIMES + 90 * MINUTE, books.now
    request = {"service_id": "s_duo", "start": start}
    for room in (("r_one", "r_two"), ("r_two", "r_three"), ("r_one", "r_three")):
        row = books.hold("s_duo", start, *room)
        books.release(row)
    books.refuse("HoldAppointment", request, "SLOT_UNAVAILABLE")
    books.history[-1] = replace(books.history[-1], sent=asked)
    assert books.judge() == []
    books.history[-1] = replace(books.history[-1], sent=books.history[-2].answered + 1)
    assert len(books.judge()) == 1
