"""Every transition of a reservation in every state, and the diagram as a state machine."""

from collections.abc import Callable
from copy import deepcopy

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from zimun.domain.booking_errors import (
    AppointmentNotStarted,
    HoldConfirmed,
    HoldExpired,
    HoldLimitReached,
    HoldReleased,
    NotCancellable,
    NotChangeable,
    NotReschedulable,
    OutsideCancellationWindow,
    OutsideRescheduleWindow,
    OutsideUndoWindow,
)
from zimun.domain.catalog.entries import HOLD_LENGTH
from zimun.domain.errors import EtagMismatch, ZimunError
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.ledger.reservation import (
    HOLD_LIMIT,
    LIVE,
    OUTCOMES,
    Contact,
    Reservation,
    State,
    as_of,
    cancel,
    check_movable,
    confirm,
    extend,
    move,
    record_outcome,
    release,
    reopen,
)

from ...support.profiles import examples
from .build import appointment, reservation, service

NOW = 100 * HOUR + 5 * MINUTE
CONTACT = Contact(name="Grace", email="grace@example.com", metadata={"k": "v"})
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


ARROWS = {
    (State.HELD, State.CONFIRMED),
    (State.HELD, State.RELEASED),
    (State.HELD, State.EXPIRED),
    (State.CONFIRMED, State.COMPLETED),
    (State.CONFIRMED, State.NO_SHOW),
    (State.CONFIRMED, State.CANCELLED),
    (State.COMPLETED, State.CONFIRMED),
    (State.NO_SHOW, State.CONFIRMED),
}
"""The diagram in the docstring of `reservation`."""

CUTOFF = 2 * HOUR


class Life(RuleBasedStateMachine):
    """One reservation at a time, beside a model that knows its state, expiry and revision only."""

    @initialize(ahead=st.integers(0, 4))
    def hold(self, ahead: int) -> None:
        self.now = self.made = 100 * HOUR
        self.start = self.now + ahead * HOUR
        self.kept = reservation(start=self.start, end=self.start + HOUR)
        self.state, self.expires, self.revision = State.HELD, self.now + HOLD_LENGTH, 1
        self.seen, self.recorded = self.state, 0

    @rule(by=st.sampled_from([1, MINUTE, 9 * MINUTE, 10 * MINUTE - 1, 10 * MINUTE, HOUR]))
    def time_moves(self, by: int) -> None:
        self.now += by
        self._expire()

    @rule(beside=st.sampled_from([-1, 0, 1]), cutoff=st.booleans())
    def time_comes_to_a_boundary(self, beside: int, cutoff: bool) -> None:
        boundary = self.start - CUTOFF if cutoff else self.expires
        self.now = max(self.now, boundary + beside)
        self._expire()

    def _expire(self) -> None:
        if self.state is State.HELD and self.now >= self.expires:
            self.state = State.EXPIRED

    @rule()
    def extend(self) -> None:
        limit = self.made + HOLD_LIMIT * HOLD_LENGTH
        refusal = {
            State.HELD: HoldLimitReached if self.expires == limit else None,
            State.EXPIRED: HoldExpired,
            State.RELEASED: HoldReleased,
        }.get(self.state, HoldConfirmed)
        if self._attempt(refusal, lambda: extend(self.kept, self.now, HOLD_LENGTH)):
            self.expires = min(self.now + HOLD_LENGTH, limit)
            self.revision += 1

    @rule()
    def release(self) -> None:
        refusal = HoldConfirmed if self.kept.appointment_id else None
        if self._attempt(refusal, lambda: release(self.kept, self.now)):
            self._become(State.HELD, State.RELEASED)

    @rule()
    def confirm(self) -> None:
        refusal = {State.EXPIRED: HoldExpired, State.RELEASED: HoldReleased}.get(self.state)
        if self._attempt(refusal, lambda: confirm(self.kept, self.now, "a_1", CONTACT)):
            self._become(State.HELD, State.CONFIRMED)

    @rule(etag=st.sampled_from(["", "right", "wrong"]))
    def cancel(self, etag: str) -> None:
        sent = self.kept.etag if etag == "right" else etag
        given = service(cancellation_cutoff=CUTOFF)
        refusal = self._why_not_cancel(etag)
        if self._attempt(refusal, lambda: cancel(self.kept, self.now, given, "ill", sent)):
            self._become(State.CONFIRMED, State.CANCELLED)

    def _why_not_cancel(self, etag: str) -> type[ZimunError] | None:
        if self.state is State.CANCELLED:
            return None
        if self.state is not State.CONFIRMED:
            return NotCancellable
        if etag == "wrong":
            return EtagMismatch
        return OutsideCancellationWindow if self.now > self.start - CUTOFF else None

    @rule(outcome=st.sampled_from(OUTCOMES), etag=st.sampled_from(["", "right", "wrong"]))
    def record_outcome(self, outcome: State, etag: str) -> None:
        sent = self.kept.etag if etag == "right" else etag
        refusal = self._why_no_outcome(outcome, etag)
        if self._attempt(refusal, lambda: record_outcome(self.kept, self.now, outcome, sent)):
            self.recorded = self.now if self.state is State.CONFIRMED else self.recorded
            self._become(State.CONFIRMED, outcome)

    def _why_no_outcome(self, outcome: State, etag: str) -> type[ZimunError] | None:
        if self.state is outcome:
            return None
        if self.state is not State.CONFIRMED:
            return NotChangeable
        if etag == "wrong":
            return EtagMismatch
        return AppointmentNotStarted if self.now < self.start else None

    @rule(etag=st.sampled_from(["", "right", "wrong"]))
    def reopen(self, etag: str) -> None:
        sent = self.kept.etag if etag == "right" else etag
        refusal = self._why_not_reopen(etag)
        if self._attempt(refusal, lambda: reopen(self.kept, self.now, sent)):
            self._become(self.state if self.state in OUTCOMES else None, State.CONFIRMED)

    def _why_not_reopen(self, etag: str) -> type[ZimunError] | None:
        if self.state is State.CONFIRMED:
            return None
        if self.state not in OUTCOMES:
            return NotChangeable
        if etag == "wrong":
            return EtagMismatch
        return OutsideUndoWindow if self.now > self.recorded + DAY else None

    @rule(beside=st.sampled_from([-1, 0, 1]))
    def time_comes_to_the_start_or_the_end_of_the_undo_window(self, beside: int) -> None:
        boundary = self.recorded + DAY if self.state in OUTCOMES else self.start
        self.now = max(self.now, boundary + beside)
        self._expire()

    @precondition(lambda self: self.state not in (State.HELD, State.CONFIRMED))
    @rule(ahead=st.integers(0, 4))
    def hold_another(self, ahead: int) -> None:
        self.hold(ahead)

    def _attempt(
        self, refusal: type[ZimunError] | None, transition: Callable[[], Reservation]
    ) -> bool:
        """Keep what the transition answers, as a store would, and say whether it went through."""
        kept = deepcopy(self.kept)
        before = self.kept
        if refusal:
            with pytest.raises(ZimunError) as refused:
                transition()
            assert type(refused.value) is refusal
        else:
            self.kept = transition()
        assert before == kept
        return refusal is None

    def _become(self, source: State | None, target: State) -> None:
        if self.state is source:
            self.state = target
            self.revision += 1

    @invariant()
    def the_reservation_stands_where_the_diagram_says(self) -> None:
        stands = as_of(self.kept, self.now)
        assert stands.state is self.state
        assert stands.expires_at == self.expires <= self.made + HOLD_LIMIT * HOLD_LENGTH
        assert stands.revision == self.revision + (self.state is State.EXPIRED)
        assert bool(stands.appointment_id) == (
            self.state not in (State.HELD, State.EXPIRED, State.RELEASED)
        )
        assert stands.update_time <= self.now

    @invariant()
    def only_arrows_of_the_diagram_are_taken(self) -> None:
        stands = as_of(self.kept, self.now).state
        began_again = stands is State.HELD and self.seen not in (State.HELD, State.CONFIRMED)
        assert stands is self.seen or (self.seen, stands) in ARROWS or began_again
        self.seen = stands


TestLife = Life.TestCase
TestLife.settings = settings(examples(80), stateful_step_count=40)
