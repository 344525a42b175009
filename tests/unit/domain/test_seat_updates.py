"""Appointments that get more seats, another contact or an outcome, on a ledger."""

from dataclasses import replace
from typing import Any

import pytest

from zimun.domain import commands
from zimun.domain.appointment_commands import (
    BookAppointment,
    CompleteAppointment,
    MarkNoShow,
    ReopenAppointment,
    UpdateAppointment,
)
from zimun.domain.availability.slot_request import SlotRequest
from zimun.domain.booking_errors import (
    ContactRetentionOver,
    LimitReached,
    NotASlot,
    SlotUnavailable,
)
from zimun.domain.commands import ExpireHold, Hold
from zimun.domain.errors import InvalidRequest, Overloaded
from zimun.domain.ignored_rules import BookingRule
from zimun.domain.instant import DAY, HOUR
from zimun.domain.ledger.events import Event, EventType
from zimun.domain.ledger.evolve import evolve
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.reservation import Contact, Reservation, State

from . import build
from .test_limit_rules import EVE, MONDAY, NOW, SAM, Salon, cut, limit

LIMITS = frozenset({BookingRule.LIMITS})


def group(seats: int = 3, **changes: Any) -> Salon:
    """Sessions of some seats, by a staff member; one in an hour."""
    return Salon(
        build.catalog(cut(capacity=seats, staff_ids=("t_1",)), staff=[build.member()], **changes)
    )


def update(known: Salon, booked: Reservation, **fields: Any) -> Reservation:
    return known.run(UpdateAppointment(booked.appointment_id, "", **fields))


def last_types(known: Salon, number: int) -> list[EventType]:
    return [event.type for event in known.keeper.model.events[-number:]]


def test_booking_in_one_step_is_a_hold_and_its_confirmation() -> None:
    known = group()
    booked = known.book(MONDAY, seats=2)
    assert (booked.state, booked.seats, booked.contact) == (State.CONFIRMED, 2, SAM)
    assert last_types(known, 2) == [EventType.HOLD_CREATED, EventType.APPOINTMENT_CONFIRMED]


def test_booking_that_sets_limits_aside_does_so_for_its_customer_and_its_events_tell() -> None:
    known = Salon(build.catalog(cut(booking_limits=(limit("DAY", "CUSTOMER"),))))
    known.book(MONDAY)
    with pytest.raises(LimitReached):
        known.book(MONDAY + HOUR)
    known.book(MONDAY + HOUR, ignored=LIMITS)
    for event in known.keeper.model.events[-2:]:
        assert event.ignored_rules == (BookingRule.LIMITS,)


def test_more_seats_are_taken_in_the_session_and_fewer_are_given_back() -> None:
    known = group()
    booked = known.book(MONDAY)
    assert update(known, booked, seats=3).seats == 3
    assert last_types(known, 1) == [EventType.APPOINTMENT_UPDATED]
    with pytest.raises(SlotUnavailable) as refused:
        known.hold(MONDAY)
    assert [slot.start for slot in refused.value.alternatives][:2] == [MONDAY - HOUR, MONDAY + HOUR]
    assert update(known, booked, seats=2).seats == 2
    known.hold(MONDAY)
    [session] = known.keeper.model.sessions.values()
    assert (session.seats_taken, session.capacity) == (3, 3)


def test_more_seats_than_the_service_has_are_refused_and_none_than_are_left() -> None:
    known = group()
    booked = known.book(MONDAY)
    with pytest.raises(InvalidRequest) as refused:
        update(known, booked, seats=4)
    assert refused.value.violations == {"seats": "service s_1 has 1 to 3"}
    known.book(MONDAY, contact=EVE)
    assert update(known, booked, seats=2).seats == 2
    with pytest.raises(SlotUnavailable) as taken:
        update(known, booked, seats=3)
    assert [slot.start for slot in taken.value.alternatives][:2] == [MONDAY - HOUR, MONDAY + HOUR]


def test_more_seats_than_the_service_had_are_taken_once_it_has_more() -> None:
    known = group()
    booked = known.book(MONDAY)
    known.catalog = build.catalog(cut(capacity=9, staff_ids=("t_1",)), staff=[build.member()])
    update(known, booked, seats=9)
    [session] = known.keeper.model.sessions.values()
    assert (session.seats_taken, session.capacity) == (9, 9)


def test_more_seats_take_those_of_an_expired_hold_whose_expiry_is_recorded_first() -> None:
    known = group()
    booked = known.book(MONDAY)
    held = known.hold(MONDAY, seats=2)
    known.now = held.expires_at - 1
    with pytest.raises(SlotUnavailable):
        update(known, booked, seats=3)
    known.now = held.expires_at
    assert update(known, booked, seats=3).seats == 3
    assert last_types(known, 2) == [EventType.HOLD_EXPIRED, EventType.APPOINTMENT_UPDATED]


def test_each_expiry_of_a_session_is_evolved_once_to_be_decided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = group(seats=20)
    holds = [known.hold(MONDAY) for _ in range(20)]
    known.now = holds[-1].expires_at
    evolved: list[Event] = []

    def noted(ledger: Ledger, event: Event) -> Ledger:
        evolved.append(event)
        return evolve(ledger, event)

    monkeypatch.setattr(commands, "evolve", noted)
    known.hold(MONDAY, seats=20)
    assert last_types(known, 21) == [*[EventType.HOLD_EXPIRED] * 20, EventType.HOLD_CREATED]
    # Once for the expiries, once for the session that the new hold joins.
    assert len(evolved) == 2 * 20


def test_hold_waits_until_most_of_very_many_expiries_are_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commands, "MAX_EXPIRIES", 2)
    known = group()
    holds = [known.hold(MONDAY) for _ in range(3)]
    known.now = holds[-1].expires_at
    with pytest.raises(Overloaded):
        known.hold(MONDAY)
    known.run(ExpireHold(holds[0].hold_id))
    assert known.hold(MONDAY).state is State.HELD


@pytest.mark.parametrize("owner_id", ["o_1", "t_1"])
def test_more_seats_while_place_or_staff_member_has_time_off_are_refused(owner_id: str) -> None:
    known = group()
    booked = known.book(MONDAY, seats=2)
    off = build.time_off(owner_id, MONDAY + HOUR - 1, MONDAY + HOUR)
    known.catalog = replace(known.catalog, time_off={off.id: off})
    with pytest.raises(NotASlot) as refused:
        update(known, booked, seats=3)
    rule = "TIME_OFF" if owner_id == "o_1" else "STAFF_TIME_OFF"
    assert refused.value.metadata == {"rule": rule, "note": "Training"}
    assert update(known, booked, seats=1).seats == 1
    later = build.time_off(owner_id, MONDAY + HOUR, MONDAY + 2 * HOUR)
    known.catalog = replace(known.catalog, time_off={later.id: later})
    assert update(known, booked, seats=2).seats == 2


def test_another_contact_is_limited_until_the_start_and_the_same_in_another_case_is_not() -> None:
    known = Salon(build.catalog(cut(booking_limits=(limit("DAY", "CUSTOMER"),))))
    known.book(MONDAY, contact=SAM)
    booked = known.book(MONDAY + HOUR, contact=EVE)
    update(known, booked, contact={"email": "EVE@example.com"})
    with pytest.raises(LimitReached):
        update(known, booked, contact={"email": "SAM@example.com"})
    known.now = booked.start - 1
    with pytest.raises(LimitReached):
        update(known, booked, contact={"email": SAM.email})
    known.now = booked.start
    assert update(known, booked, contact={"email": SAM.email}).contact == SAM


def test_contact_of_an_appointment_that_ended_before_the_retention_cannot_change() -> None:
    known = group(organization=build.organization(contact_retention=7 * DAY))
    booked = known.book(MONDAY)
    known.now = booked.end + 7 * DAY - 1
    named = update(known, booked, contact={"name": "Sam"})
    known.now += 1
    assert update(known, booked, contact={"name": "Sam"}) == named
    with pytest.raises(ContactRetentionOver) as refused:
        update(known, booked, contact={"name": "Ada"})
    assert refused.value.metadata["until"] == "2026-01-12T10:00:00Z"
    known.catalog = group().catalog
    assert update(known, booked, contact={"name": "Ada"}).contact.name == "Ada"


def test_name_needs_the_address_that_it_came_with() -> None:
    known = group()
    booked = known.book(MONDAY, contact=Contact(name="Sam", email="sam@example.com"))
    with pytest.raises(InvalidRequest):
        update(known, booked, contact={"email": ""})
    cleared = update(known, booked, contact={"email": "", "name": ""})
    assert cleared.contact == Contact()


@pytest.mark.parametrize(
    ("command", "state", "kind"),
    [
        (CompleteAppointment, State.COMPLETED, EventType.APPOINTMENT_COMPLETED),
        (MarkNoShow, State.NO_SHOW, EventType.APPOINTMENT_NO_SHOW),
    ],
)
def test_outcome_and_reopening_are_events_of_their_own(
    command: type[CompleteAppointment], state: State, kind: EventType
) -> None:
    known = group()
    booked = known.book(MONDAY)
    known.now = booked.start
    done = known.run(command(booked.appointment_id, booked.etag))
    assert (done.state, last_types(known, 1)) == (state, [kind])
    count = len(known.keeper.model.events)
    assert known.run(command(booked.appointment_id, "")) == done
    assert len(known.keeper.model.events) == count
    again = known.run(ReopenAppointment(booked.appointment_id, done.etag))
    assert again.state is State.CONFIRMED
    assert last_types(known, 1) == [EventType.APPOINTMENT_REOPENED]


def test_booking_of_a_slot_that_is_taken_confirms_nothing() -> None:
    known = group()
    known.book(MONDAY, seats=3)
    count = len(known.keeper.model.events)
    own = Hold(SlotRequest("s_1"), MONDAY, "h_9", "x_9")
    with pytest.raises(SlotUnavailable):
        known.run(BookAppointment(own, "a_9", EVE))
    assert len(known.keeper.model.events) == count
    assert known.now == NOW


def test_notes_of_a_customer_beyond_the_limit_can_change() -> None:
    known = Salon(build.catalog(cut(booking_limits=(limit("DAY", "CUSTOMER"),))))
    known.book(MONDAY)
    booked = known.book(MONDAY + HOUR, ignored=LIMITS)
    assert update(known, booked, contact={"notes": "Door 2"}).contact.notes == "Door 2"
