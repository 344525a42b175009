"""What a ledger answers about its parts, and what it says that it lacks; one small case each."""

from collections.abc import Callable, Sequence

import pytest

from zimun.domain.appointment_commands import BookAppointment, UpdateAppointment
from zimun.domain.availability.slot_request import SlotRequest
from zimun.domain.catalog.entries import Service
from zimun.domain.commands import CancelAppointment, Hold
from zimun.domain.errors import AppointmentNotFound, HoldNotFound, ZimunError
from zimun.domain.instant import DAY, HOUR
from zimun.domain.intervals import Interval
from zimun.domain.ledger.events import Member, Session
from zimun.domain.ledger.layers import Layer, new_layer
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import BLOCK, Needs, NotLoaded
from zimun.domain.ledger.reservation import Contact, Reservation

from .ledger_model import EDGE, WITHIN, Keeper, Model
from .test_ledger import CLASS, CUT, KIOSK, NOW, SPA, STAFF, STARTS, TIMETABLE, hold, read_back

BEFORE, AFTER = EDGE // BLOCK - 1, EDGE // BLOCK
"""The numbers of the blocks on both sides of EDGE."""

SAM = "sam@example.com"


def book(keeper: Keeper, number: int, email: str = "", service: Service = KIOSK) -> Reservation:
    """An appointment at the start of a number."""
    own = Hold(SlotRequest(service.id), STARTS[number], f"h_{number}", f"x_{number}")
    booked = keeper.do(BookAppointment(own, f"a_{number}", Contact(email=email)), TIMETABLE, NOW)
    assert isinstance(booked, Reservation)
    return booked


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (lambda ledger: ledger.reservation("h_1"), HoldNotFound),
        (lambda ledger: ledger.appointment("a_1"), AppointmentNotFound),
    ],
)
def test_id_that_no_reservation_has_is_not_found_until_one_has_it(
    query: Callable[[Ledger], Reservation], error: type[ZimunError]
) -> None:
    keeper = Keeper(Model())
    with pytest.raises(error):
        keeper.query(query)
    booked = book(keeper, 1)
    assert query(keeper.ledger) == booked


@pytest.mark.parametrize(
    "query",
    [
        lambda ledger, within: ledger.sessions_of(CLASS.id, within),
        lambda ledger, within: ledger.all_sessions(within),
    ],
)
def test_sessions_of_an_interval_are_those_that_start_in_it(
    query: Callable[[Ledger, Interval], list[Session]],
) -> None:
    keeper = Keeper(Model())
    for number in (0, 2, 4, 6):
        hold(keeper, CLASS, STARTS[number], number)
    sessions = keeper.query(lambda ledger: query(ledger, (STARTS[2], STARTS[6])))
    assert [session.start for session in sessions] == [STARTS[2], STARTS[4]]
    sessions = keeper.query(lambda ledger: query(ledger, (STARTS[2], STARTS[4])))
    assert [session.start for session in sessions] == [STARTS[2]]


def test_session_after_an_event_without_its_members_has_those_of_before_and_the_new_one() -> None:
    keeper = Keeper(Model())
    first = hold(keeper, CLASS, STARTS[2], 1, seats=2)
    other = Keeper(keeper.model, Ledger("o_1", keeper.ledger.seq, NOW, 0))
    other.query(lambda ledger: ledger.session(first.session_id))
    second = hold(keeper, CLASS, STARTS[2], 2)
    other.evolve(read_back(keeper.model.events[-1:]))
    session = other.ledger.session(first.session_id)
    assert session.members == {
        "h_1": Member(2, first.expires_at),
        "h_2": Member(1, second.expires_at),
    }
    assert session == keeper.ledger.session(first.session_id)


def test_ledger_knows_of_each_block_at_which_number_it_changed() -> None:
    keeper = Keeper(Model())
    subjects = [*KIOSK.subjects("")]

    def has_changed(seq: int, within: Interval = WITHIN) -> bool:
        return keeper.ledger.has_changed(subjects, within, seq)

    assert has_changed(0), "nothing is loaded"
    keeper.query(lambda ledger: ledger.allocations(subjects, WITHIN))
    assert not has_changed(0)
    hold(keeper, CUT, STARTS[0], 1)
    assert not has_changed(0), "other subjects have changed"
    hold(keeper, KIOSK, STARTS[0], 2)
    seq = keeper.ledger.seq
    assert has_changed(seq - 1)
    assert not has_changed(seq)
    assert not has_changed(seq - 1, (EDGE, EDGE + HOUR)), "the next block has not changed"


def test_appointments_of_a_contact_are_the_live_ones_that_have_it() -> None:
    model = Model()
    keeper = Keeper(model)
    assert keeper.query(lambda ledger: ledger.appointments_of(SAM)) == []
    kept = book(keeper, 1, "Sam@example.com")
    for number in (2, 3, 4):
        book(keeper, number, SAM)
    book(keeper, 5, "other@example.com")
    for command in (
        CancelAppointment("a_2", "", ""),
        UpdateAppointment("a_3", "", {"email": "ann@example.com"}),
        UpdateAppointment("a_4", "", {"email": "zoe@example.com"}),
    ):
        keeper.do(command, TIMETABLE, NOW)
    assert keeper.ledger.appointments_of(SAM) == [kept]
    afresh = Keeper(model, Ledger("o_1", keeper.ledger.seq, NOW, 0))
    assert afresh.query(lambda ledger: ledger.appointments_of(SAM)) == [kept]


def test_appointments_of_a_contact_that_were_forgotten_are_asked_for() -> None:
    keeper = Keeper(Model())
    keeper.query(lambda ledger: ledger.appointments_of(SAM))
    for number in (1, 2):
        book(keeper, number, SAM)
    ledger = keeper.ledger
    ledger.age()
    assert ledger.reservation("h_2")
    assert ledger.contacts.get(SAM)
    ledger.age()
    with pytest.raises(NotLoaded) as lacking:
        ledger.appointments_of(SAM)
    assert lacking.value.needs == Needs(hold_ids={"h_1"})


def test_staff_load_names_all_that_it_needs_at_once() -> None:
    with pytest.raises(NotLoaded) as lacking:
        Ledger("o_1", 0, 0, 0).staff_load(STAFF, (EDGE - DAY, EDGE + DAY), NOW)
    assert lacking.value.needs == Needs(
        blocks={(staff_id, number) for staff_id in STAFF for number in (BEFORE, AFTER)},
        staff_ids={*STAFF},
    )


def test_staff_load_has_the_number_of_the_day_and_the_last_booking() -> None:
    keeper = Keeper(Model())

    def load() -> Sequence[tuple[int, int]]:
        day = (STARTS[1], STARTS[3])
        found = keeper.query(lambda ledger: ledger.staff_load(STAFF[:2], day, NOW))
        return [found[staff_id] for staff_id in STAFF[:2]]

    assert load() == [(0, 0), (0, 0)]
    for number in (1, 3, 5):
        request = SlotRequest(CUT.id, staff_id=STAFF[0])
        own = Hold(request, STARTS[number], f"h_{number}", f"x_{number}")
        keeper.do(own, TIMETABLE, NOW + number % 5)
    assert load() == [(1, NOW + 3), (0, 0)]


def test_booking_counts_once_though_its_buffer_begins_in_the_block_before() -> None:
    keeper = Keeper(Model())
    held = hold(keeper, SPA, EDGE, 1)
    assert keeper.model.sessions[held.session_id].busy[0] < EDGE
    day = (EDGE - DAY, EDGE + DAY)
    load = keeper.query(lambda ledger: ledger.staff_load(STAFF, day, NOW))
    assert load[held.staff_id] == (1, NOW)


def test_ledger_lacks_what_is_not_loaded_of_some_needs() -> None:
    model = Model()
    book(Keeper(model), 1, SAM, CUT)
    known = needs_of("1", STAFF[0], BEFORE)
    other = needs_of("2", STAFF[1], AFTER)
    both = Needs()
    both |= known
    both |= other
    ledger = Ledger("o_1", len(model.events), NOW, 0).with_loaded(model.load(known))
    assert ledger.lacks(both) == other
    assert not ledger.lacks(known)


def needs_of(number: str, staff_id: str, block: int) -> Needs:
    """One part of each kind."""
    return Needs(
        blocks={(staff_id, block)},
        group_blocks={("o_1", block)},
        hold_ids={f"h_{number}"},
        appointment_ids={f"a_{number}"},
        session_ids={f"x_{number}"},
        staff_ids={staff_id},
        contacts={SAM if number == "1" else "other@example.com"},
    )


def test_size_counts_each_list_with_what_is_in_it_and_each_entry_fourfold() -> None:
    model = Model()
    book(Keeper(model), 1, SAM, CUT)
    needs = needs_of("1", STAFF[0], BEFORE)
    needs.blocks.add((STAFF[1], AFTER))
    needs.group_blocks.add(("o_1", AFTER))
    ledger = Ledger("o_1", len(model.events), NOW, 0).with_loaded(model.load(needs))
    empty_lists, lists_of_one = 2, 3
    entries = 3
    assert ledger.size() == empty_lists + 2 * lists_of_one + 4 * entries


def test_merged_ledger_has_another_time_only_if_it_is_given() -> None:
    ledger = Ledger("o_1", 3, 5, 2)
    assert (ledger.merged().time, ledger.merged(9).time) == (5, 9)


def test_layer_has_the_changes_that_were_made_since_it_was_merged() -> None:
    empty: Layer[str, int] = new_layer()
    first = empty.with_changes({"a": 1})
    second = first.with_changes({"b": 2})
    assert (first.changes, second.changes) == ({"a": 1}, {"a": 1, "b": 2})
    assert first.with_changes({}) is first
    merged = second.merged()
    assert merged.changes == {}
    assert (merged.get("a"), merged.get("b"), merged.get("c")) == (1, 2, None)
    assert [*merged.base.values()] == [1, 2]
