"""Every transition of a reservation in every state."""

from collections.abc import Callable
from copy import deepcopy

import pytest

from zimun.domain.booking_errors import (
    HoldConfirmed,
    HoldExpired,
    HoldLimitReached,
    HoldReleased,
    NotCancellable,
    NotReschedulable,
    OutsideCancellationWindow,
    OutsideRescheduleWindow,
)
from zimun.domain.catalog.entries import HOLD_LENGTH
from zimun.domain.errors import EtagMismatch, ZimunError
from zimun.domain.instant import HOUR, MINUTE
from zimun.domain.ledger.reservation import (
    HOLD_LIMIT,
    LIVE,
    Contact,
    Reservation,
    State,
    as_of,
    cancel,
    check_movable,
    confirm,
    extend,
    move,
    release,
)

from .build import CONTACT, appointment, reservation, service

NOW = 100 * HOUR + 5 * MINUTE


SERVICE = service(cancellation_cutoff=2 * HOUR, reschedule_cutoff=3 * HOUR)


WAYS: dict[str, Reservation] = {
    "held": reservation(),
    "run out": reservation(expires_at=NOW),
    "expired": reservation(state=State.EXPIRED, expires_at=NOW - 1),
    "released": reservation(state=State.RELEASED),
    "confirmed": appointment(),
    "cancelled": appointment(state=State.CANCELLED),
    "completed": appointment(state=State.COMPLETED),
    "no-show": appointment(state=State.NO_SHOW),
}
"""How a reservation can stand at NOW."""


SAME = "same"


Outcome = str | State | type[ZimunError]
"""The same object, a change to a state, or a refusal."""


def checked(one: Reservation) -> Reservation:
    check_movable(one, NOW, SERVICE, "")
    return one


TRANSITIONS: dict[str, Callable[[Reservation], Reservation]] = {
    "standing": lambda one: as_of(one, NOW),
    "extend": lambda one: extend(one, NOW, HOLD_LENGTH),
    "release": lambda one: release(one, NOW),
    "confirm": lambda one: confirm(one, NOW, "a_2", CONTACT),
    "cancel": lambda one: cancel(one, NOW, SERVICE, "ill", ""),
    "check_movable": checked,
}


OVER: dict[str, Outcome] = {
    "standing": SAME,
    "extend": HoldConfirmed,
    "release": HoldConfirmed,
    "confirm": SAME,
    "cancel": NotCancellable,
    "check_movable": NotReschedulable,
}


TABLE: dict[str, dict[str, Outcome]] = {
    "held": {
        "standing": SAME,
        "extend": State.HELD,
        "release": State.RELEASED,
        "confirm": State.CONFIRMED,
        "cancel": NotCancellable,
        "check_movable": NotReschedulable,
    },
    "run out": {
        "standing": State.EXPIRED,
        "extend": HoldExpired,
        "release": State.EXPIRED,
        "confirm": HoldExpired,
        "cancel": NotCancellable,
        "check_movable": NotReschedulable,
    },
    "expired": {
        "standing": SAME,
        "extend": HoldExpired,
        "release": SAME,
        "confirm": HoldExpired,
        "cancel": NotCancellable,
        "check_movable": NotReschedulable,
    },
    "released": {
        "standing": SAME,
        "extend": HoldReleased,
        "release": SAME,
        "confirm": HoldReleased,
        "cancel": NotCancellable,
        "check_movable": NotReschedulable,
    },
    "confirmed": {
        "standing": SAME,
        "extend": HoldConfirmed,
        "release": HoldConfirmed,
        "confirm": SAME,
        "cancel": State.CANCELLED,
        "check_movable": SAME,
    },
    "cancelled": {
        "standing": SAME,
        "extend": HoldConfirmed,
        "release": HoldConfirmed,
        "confirm": SAME,
        "cancel": SAME,
        "check_movable": NotReschedulable,
    },
    "completed": OVER,
    "no-show": OVER,
}


CELLS = [(way, name, outcome) for way, row in TABLE.items() for name, outcome in row.items()]


def changes(before: Reservation, after: Reservation) -> dict[str, object]:
    """The fields that differ, as they are afterwards."""
    return {
        name: getattr(after, name)
        for name in Reservation._fields
        if getattr(after, name) != getattr(before, name)
    }


def test_new_hold_was_never_confirmed_and_has_no_outcome() -> None:
    held = reservation()
    assert (held.confirm_time, held.outcome_time, held.revision) == (0, 0, 1)


@pytest.mark.parametrize(("way", "name", "outcome"), CELLS)
def test_every_transition_of_every_state_has_its_one_outcome(
    way: str, name: str, outcome: Outcome
) -> None:
    before = WAYS[way]
    if isinstance(outcome, type):
        with pytest.raises(ZimunError) as refused:
            TRANSITIONS[name](before)
        assert type(refused.value) is outcome
        return
    after = TRANSITIONS[name](before)
    if outcome == SAME:
        assert after is before
    else:
        assert after.state is outcome
        assert after.revision == before.revision + 1
        assert after.etag != before.etag


@pytest.mark.parametrize("way", WAYS)
def test_no_transition_changes_what_it_is_given(way: str) -> None:
    before = WAYS[way]
    kept = deepcopy(before)
    for transition in TRANSITIONS.values():
        try:
            transition(before)
        except ZimunError:
            assert before == kept
    move(before, NOW, 1, 2, "x_2", "t_2", ())
    assert before == kept


def test_a_reservation_cannot_be_changed_in_place() -> None:
    with pytest.raises(AttributeError):
        reservation().state = State.CONFIRMED  # type: ignore[misc]


def test_holds_and_appointments_that_were_not_called_off_keep_their_time_busy() -> None:
    assert set(LIVE) == {State.HELD, State.CONFIRMED, State.COMPLETED, State.NO_SHOW}


def test_a_hold_is_valid_to_the_last_microsecond() -> None:
    hold = reservation()
    last = hold.expires_at - 1
    assert as_of(hold, last) is hold
    assert confirm(hold, last, "a_1", CONTACT).state is State.CONFIRMED
    assert extend(hold, last, HOLD_LENGTH).state is State.HELD
    assert release(hold, last).state is State.RELEASED


def test_a_hold_is_over_at_the_instant_it_expires() -> None:
    hold = reservation()
    over = as_of(hold, hold.expires_at)
    assert changes(hold, over) == {
        "state": State.EXPIRED,
        "update_time": hold.expires_at,
        "revision": 2,
    }
    assert as_of(hold, hold.expires_at + HOUR) == over
    assert release(hold, hold.expires_at) == over
    with pytest.raises(HoldExpired) as refused:
        confirm(hold, hold.expires_at, "a_1", CONTACT)
    assert refused.value.metadata == {"hold_id": "h_1", "expires_at": "1970-01-05T04:10:00Z"}
    with pytest.raises(HoldExpired):
        extend(hold, hold.expires_at, HOLD_LENGTH)


def test_an_appointment_does_not_expire_with_the_hold_it_was() -> None:
    booked = appointment()
    assert as_of(booked, booked.expires_at + HOUR) is booked
    assert confirm(booked, booked.expires_at + HOUR, "a_2", Contact()) is booked


def test_an_extension_starts_the_ten_minutes_again() -> None:
    hold = reservation()
    assert changes(hold, extend(hold, NOW, HOLD_LENGTH)) == {
        "expires_at": NOW + HOLD_LENGTH,
        "update_time": NOW,
        "revision": 2,
    }


def test_extensions_end_at_the_limit_of_thirty_minutes() -> None:
    hold = reservation()
    assert (HOLD_LENGTH, HOLD_LIMIT) == (10 * MINUTE, 3)
    limit = hold.create_time + 30 * MINUTE
    for minute, lasts in ((9, 19), (18, 28), (20, 30)):
        hold = extend(hold, hold.create_time + minute * MINUTE, HOLD_LENGTH)
        assert hold.expires_at == hold.create_time + lasts * MINUTE
    with pytest.raises(HoldLimitReached) as refused:
        extend(hold, limit - 1, HOLD_LENGTH)
    assert refused.value.metadata == {"hold_id": "h_1", "limit": "1970-01-05T04:30:00Z"}


def test_an_extension_is_cut_to_the_limit() -> None:
    late = reservation(expires_at=100 * HOUR + 30 * MINUTE - 1)
    extended = extend(late, 100 * HOUR + 29 * MINUTE, HOLD_LENGTH)
    assert extended.expires_at == 100 * HOUR + 30 * MINUTE


def test_releasing_again_is_the_same_release() -> None:
    hold = reservation()
    released = release(hold, NOW)
    assert changes(hold, released) == {
        "state": State.RELEASED,
        "update_time": NOW,
        "revision": 2,
    }
    assert release(released, NOW + HOUR) is released


def test_a_released_hold_stays_released_after_its_time() -> None:
    released = release(reservation(), NOW)
    assert as_of(released, released.expires_at + HOUR) is released
    with pytest.raises(HoldReleased):
        confirm(released, released.expires_at + HOUR, "a_1", CONTACT)


def test_a_confirmation_keeps_the_slot_and_adds_who_comes() -> None:
    hold = reservation()
    booked = confirm(hold, NOW, "a_1", CONTACT)
    assert changes(hold, booked) == {
        "state": State.CONFIRMED,
        "appointment_id": "a_1",
        "confirm_time": NOW,
        "contact": CONTACT,
        "update_time": NOW,
        "revision": 2,
    }
    assert confirm(booked, NOW + 1, "a_2", Contact(name="Mallory")) is booked


def test_a_hold_that_became_an_appointment_names_it() -> None:
    for transition in (TRANSITIONS["extend"], TRANSITIONS["release"]):
        with pytest.raises(HoldConfirmed) as refused:
            transition(appointment())
        assert refused.value.metadata == {"hold_id": "h_1", "appointment_id": "a_1"}


def test_a_cancellation_keeps_its_reason_and_cancelling_again_changes_nothing() -> None:
    booked = appointment()
    cancelled = cancel(booked, NOW, SERVICE, "ill", booked.etag)
    assert changes(booked, cancelled) == {
        "state": State.CANCELLED,
        "cancel_reason": "ill",
        "update_time": NOW,
        "revision": 3,
    }
    assert cancel(cancelled, 300 * HOUR, SERVICE, "other", booked.etag) is cancelled


def test_cancelling_is_possible_until_exactly_the_cutoff() -> None:
    booked = appointment()
    until = booked.start - SERVICE.cancellation_cutoff
    assert cancel(booked, until, SERVICE, "", "").state is State.CANCELLED
    with pytest.raises(OutsideCancellationWindow) as refused:
        cancel(booked, until + 1, SERVICE, "", "")
    assert refused.value.metadata == {"appointment_id": "a_1", "until": "1970-01-09T06:00:00Z"}


def test_rescheduling_is_possible_until_exactly_the_cutoff() -> None:
    booked = appointment()
    until = booked.start - SERVICE.reschedule_cutoff
    check_movable(booked, until, SERVICE, "")
    with pytest.raises(OutsideRescheduleWindow) as refused:
        check_movable(booked, until + 1, SERVICE, "")
    assert refused.value.metadata == {"appointment_id": "a_1", "until": "1970-01-09T05:00:00Z"}


def test_without_a_cutoff_an_appointment_can_be_called_off_until_it_starts() -> None:
    booked = appointment()
    assert cancel(booked, booked.start, service(), "", "").state is State.CANCELLED
    with pytest.raises(OutsideCancellationWindow):
        cancel(booked, booked.start + 1, service(), "", "")


def test_an_etag_must_match_where_it_is_sent() -> None:
    booked = appointment()
    for etag in ("1", "3", "x"):
        with pytest.raises(EtagMismatch):
            cancel(booked, NOW, SERVICE, "", etag)
        with pytest.raises(EtagMismatch):
            check_movable(booked, NOW, SERVICE, etag)
    check_movable(booked, NOW, SERVICE, booked.etag)
    assert cancel(booked, NOW, SERVICE, "", booked.etag).state is State.CANCELLED


def test_an_etag_of_before_a_change_does_not_match_after_it() -> None:
    booked = appointment()
    moved = move(booked, NOW, 210 * HOUR, 211 * HOUR, "x_2", "t_2", ())
    with pytest.raises(EtagMismatch):
        cancel(moved, NOW, SERVICE, "", booked.etag)
    assert cancel(moved, NOW, SERVICE, "", moved.etag).state is State.CANCELLED


def test_what_is_over_says_so_before_etag_and_cutoff_are_looked_at() -> None:
    done = appointment(state=State.COMPLETED)
    with pytest.raises(NotCancellable) as refused:
        cancel(done, done.end, SERVICE, "", "stale")
    assert refused.value.metadata == {"appointment_id": "a_1", "state": "COMPLETED"}
    with pytest.raises(NotReschedulable) as fixed:
        check_movable(appointment(state=State.CANCELLED), done.end, SERVICE, "stale")
    assert fixed.value.metadata == {"appointment_id": "a_1", "state": "CANCELLED"}


def test_a_stale_etag_is_told_before_a_missed_cutoff() -> None:
    booked = appointment()
    with pytest.raises(EtagMismatch):
        cancel(booked, booked.start, SERVICE, "", "stale")
    with pytest.raises(EtagMismatch):
        check_movable(booked, booked.start, SERVICE, "stale")


def test_a_move_keeps_everything_but_time_people_and_things() -> None:
    booked = appointment()
    moved = move(booked, NOW, 210 * HOUR, 211 * HOUR, "x_2", "t_2", ("r_2",))
    assert changes(booked, moved) == {
        "start": 210 * HOUR,
        "end": 211 * HOUR,
        "session_id": "x_2",
        "staff_id": "t_2",
        "resource_ids": ("r_2",),
        "update_time": NOW,
        "revision": 3,
    }
