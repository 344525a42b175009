"""The judge finds nothing in a sound history, and each fault that is put into one."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from .books import TIMES, Books
from .history import REFUSED, UNKNOWN
from .ledger import BOOKED
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


def catalog_change_lost(books: Books) -> None:
    books.rename("r_one")
    books.tables["events"].pop()


def catalog_change_twice(books: Books) -> None:
    books.rename("r_one")
    books.tables["events"].append(books.tables["events"][-1])


def catalog_change_refused_and_done(books: Books) -> None:
    books.rename("r_one")
    books.history[-1] = replace(books.history[-1], outcome=REFUSED, reason="INTERNAL")


def catalog_unlike_its_events(books: Books) -> None:
    books.rename("r_one")
    books.tables["resources"][0]["name"] = "another"


def catalog_revision_left_out(books: Books) -> None:
    books.rename("r_one")
    books.tables["resources"][0]["revision"] += 1
    books.rename("r_one")


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (catalog_change_lost, "it has 0 events"),
        (catalog_change_twice, "it has 2 events"),
        (catalog_change_refused_and_done, "it was refused, and has an event"),
        (catalog_unlike_its_events, "the last event of o_north r_one says"),
        (catalog_revision_left_out, "o_north r_one: revision 3 after"),
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
        (allocation_ends_early, "an allocation that nobody takes"),
        (allocation_made_at_another_time, "an allocation that nobody takes"),
        (update_time_of_its_own, "its update_time"),
        (offered_at_no_number, "so at no number of the ledger"),
        (listed_at_no_number, "so at no number of the ledger"),
        (overlap, "at the end o_north t_ben: h_1 and"),
        (overlap_while_held, "on the way o_north s_kiosk"),
        (oversold, "over capacity: 5 seats"),
        (oversold_by_an_update, "over capacity: 5 seats"),
        (not_offered, "which is not offered"),
        (booked_in_two_steps, "was booked in two steps"),
        (set_aside_unasked, "aside, its request"),
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


def test_changes_of_the_catalogue_are_accepted(books: Books) -> None:
    books.rename("r_one")
    books.rename("r_two")
    books.rename("r_one")
    assert books.judge() == []


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
