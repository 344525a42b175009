"""Moves of appointments, and releases of holds: small cases on a ledger."""

from dataclasses import replace

import pytest

from zimun.domain.appointment_commands import BookAppointment
from zimun.domain.availability.slot_request import SlotRequest
from zimun.domain.availability.timetable import Timetable
from zimun.domain.booking_errors import (
    NotReschedulable,
    OutsideRescheduleWindow,
    SlotUnavailable,
)
from zimun.domain.catalog.entries import Service
from zimun.domain.commands import (
    CancelAppointment,
    Hold,
    ReleaseHold,
    RescheduleAppointment,
)
from zimun.domain.errors import EtagMismatch
from zimun.domain.ignored_rules import BookingRule
from zimun.domain.instant import HOUR, MINUTE
from zimun.domain.ledger.events import EventType
from zimun.domain.ledger.reservation import Contact, Reservation, State

from .ledger_model import Keeper, Model, check_nothing_sold_twice
from .test_ledger import CATALOG, CLASS, CUT, KIOSK, NOW, STARTS, TIMETABLE, hold

ADA, BEN = CUT.staff_ids


@pytest.fixture
def keeper() -> Keeper:
    return Keeper(Model())


def book(
    keeper: Keeper, service: Service, start: int, number: int, staff_id: str = "", seats: int = 1
) -> Reservation:
    request = SlotRequest(service.id, staff_id=staff_id, seats=seats)
    own = Hold(request, start, f"h_{number}", f"x_{number}")
    booked = keeper.do(BookAppointment(own, f"a_{number}", Contact()), TIMETABLE, NOW)
    assert isinstance(booked, Reservation)
    return booked


def move(
    keeper: Keeper,
    booked: Reservation,
    start: int,
    staff_id: str = "",
    timetable: Timetable = TIMETABLE,
    now: int = NOW,
) -> Reservation:
    command = RescheduleAppointment(booked.appointment_id, start, staff_id, "", "x_moved")
    moved = keeper.do(command, timetable, now)
    check_nothing_sold_twice(keeper.model)
    assert isinstance(moved, Reservation)
    return moved


def test_move_takes_the_new_time_and_frees_the_old_one(keeper: Keeper) -> None:
    booked = book(keeper, CUT, STARTS[0], 1)
    moved = move(keeper, booked, STARTS[2])
    assert (moved.start, moved.end) == (STARTS[2], STARTS[2] + CUT.duration)
    [session] = keeper.model.sessions.values()
    assert (session.session_id, session.start, session.end) == ("x_moved", moved.start, moved.end)
    assert session.busy == (STARTS[2], STARTS[2] + CUT.duration + CUT.buffer_after)
    assert session.booked_at == NOW


@pytest.mark.parametrize("staff_id", [ADA, BEN])
def test_moved_appointment_keeps_its_staff_member_who_is_free_whoever_has_fewer_bookings(
    keeper: Keeper, staff_id: str
) -> None:
    booked = book(keeper, CUT, STARTS[0], 1, staff_id)
    book(keeper, CUT, STARTS[6], 2, staff_id)
    assert move(keeper, booked, STARTS[2]).staff_id == staff_id


def test_moved_appointment_gets_another_staff_member_where_its_own_is_taken_or_one_is_named(
    keeper: Keeper,
) -> None:
    booked = book(keeper, CUT, STARTS[0], 1, ADA)
    book(keeper, CUT, STARTS[2], 2, ADA)
    assert move(keeper, booked, STARTS[2]).staff_id == BEN
    assert move(keeper, booked, STARTS[6], ADA).staff_id == ADA


def test_move_to_its_own_start_changes_nothing_while_the_catalogue_allows_it(
    keeper: Keeper,
) -> None:
    booked = book(keeper, CUT, STARTS[0], 1, ADA)
    seq = keeper.ledger.seq
    assert move(keeper, booked, STARTS[0]) == booked
    assert keeper.ledger.seq == seq
    archived = {**CATALOG.staff, ADA: replace(CATALOG.staff[ADA], active=False)}
    timetable = Timetable(replace(CATALOG, staff=archived))
    moved = move(keeper, booked, STARTS[0], timetable=timetable)
    assert (moved.start, moved.staff_id) == (STARTS[0], BEN)


def test_move_is_refused_by_state_etag_and_cutoff_unless_that_is_set_aside(keeper: Keeper) -> None:
    booked = book(keeper, CUT, STARTS[0], 1)
    late = replace(CUT, reschedule_cutoff=STARTS[0] - NOW - 1)
    timetable = Timetable(replace(CATALOG, services={CUT.id: late}))
    own = RescheduleAppointment("a_1", STARTS[2], "", booked.etag, "x_moved")
    with pytest.raises(EtagMismatch):
        keeper.do(replace(own, etag="other"), timetable, NOW)
    with pytest.raises(OutsideRescheduleWindow):
        keeper.do(own, timetable, NOW + 2)
    ignored = frozenset({BookingRule.CUTOFF})
    moved = keeper.do(replace(own, ignored=ignored), timetable, NOW + 2)
    assert moved.start == STARTS[2]
    assert keeper.model.events[-1].ignored_rules == (BookingRule.CUTOFF,)
    keeper.do(CancelAppointment("a_1", "", ""), TIMETABLE, NOW)
    with pytest.raises(NotReschedulable):
        keeper.do(replace(own, etag=""), timetable, NOW)


def test_move_to_a_taken_slot_is_refused_with_the_nearest_open_slots(keeper: Keeper) -> None:
    booked = book(keeper, KIOSK, STARTS[0], 1)
    book(keeper, KIOSK, STARTS[2], 2)
    with pytest.raises(SlotUnavailable) as refused:
        move(keeper, booked, STARTS[2])
    alternatives = [slot.start for slot in refused.value.alternatives]
    assert alternatives == [STARTS[1], STARTS[3], STARTS[0]]


def test_move_within_a_session_with_others_leaves_them_their_seats(keeper: Keeper) -> None:
    booked = book(keeper, CLASS, STARTS[2], 1, seats=2)
    other = book(keeper, CLASS, STARTS[2], 2)
    third = book(keeper, CLASS, STARTS[6], 3)
    moved = move(keeper, booked, STARTS[6])
    assert (moved.session_id, moved.seats) == (third.session_id, 2)
    seats = {key: session.seats_taken for key, session in keeper.model.sessions.items()}
    assert seats == {other.session_id: 1, third.session_id: 3}
    assert keeper.ledger.session(other.session_id).seats_taken == 1
    assert keeper.ledger.session(third.session_id).seats_taken == 3


def test_move_from_a_session_records_the_expiry_of_the_holds_in_it(keeper: Keeper) -> None:
    booked = book(keeper, CLASS, STARTS[2], 1)
    expired = hold(keeper, CLASS, STARTS[2], 2)
    move(keeper, booked, STARTS[6], now=expired.expires_at)
    types = [event.type for event in keeper.model.events[-2:]]
    assert types == [EventType.HOLD_EXPIRED, EventType.APPOINTMENT_RESCHEDULED]
    assert expired.session_id not in keeper.model.sessions


def test_release_of_an_expired_hold_records_its_expiry(keeper: Keeper) -> None:
    held = hold(keeper, KIOSK, STARTS[0], 1)
    release = ReleaseHold(held.hold_id)
    assert keeper.do(release, TIMETABLE, held.expires_at).state is State.EXPIRED
    event = keeper.model.events[-1]
    assert (event.type, event.client_id) == (EventType.HOLD_EXPIRED, "")
    assert keeper.do(release, TIMETABLE, held.expires_at + HOUR).state is State.EXPIRED
    assert keeper.model.events[-1] is event


def test_release_of_a_hold_records_who_released_it(keeper: Keeper) -> None:
    held = hold(keeper, KIOSK, STARTS[0], 1)
    assert keeper.do(ReleaseHold(held.hold_id), TIMETABLE, NOW + MINUTE).state is State.RELEASED
    event = keeper.model.events[-1]
    assert (event.type, event.client_id) == (EventType.HOLD_RELEASED, "c_1")
