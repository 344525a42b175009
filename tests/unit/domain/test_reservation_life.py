"""The diagram of a reservation's states as a state machine, beside a model."""

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
    OutsideCancellationWindow,
    OutsideUndoWindow,
)
from zimun.domain.catalog.entries import HOLD_LENGTH
from zimun.domain.errors import EtagMismatch, ZimunError
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.ledger.reservation import (
    HOLD_LIMIT,
    OUTCOMES,
    Reservation,
    State,
    as_of,
    cancel,
    confirm,
    extend,
    record_outcome,
    release,
    reopen,
)

from ...support.profiles import examples
from .build import CONTACT, reservation, service

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
