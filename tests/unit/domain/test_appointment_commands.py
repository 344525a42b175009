"""Updates of an appointment, its outcome and its reopening, in every state it can have."""

from dataclasses import replace

import pytest

from zimun.domain.booking_errors import AppointmentNotStarted, NotChangeable, OutsideUndoWindow
from zimun.domain.errors import EtagMismatch
from zimun.domain.instant import DAY
from zimun.domain.ledger.reservation import (
    OUTCOMES,
    Contact,
    Reservation,
    State,
    record_outcome,
    reopen,
    update,
)

from .build import appointment

START = appointment().start
EVERY_STATE = (State.CONFIRMED, State.CANCELLED, *OUTCOMES)
OTHER = Contact(name="Ada", email="ada@example.com", notes="Two\nlines")


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_outcome_is_recorded_from_the_start_on(outcome: State) -> None:
    kept = appointment()
    with pytest.raises(AppointmentNotStarted):
        record_outcome(kept, START - 1, outcome, "")
    after = record_outcome(kept, START, outcome, kept.etag)
    assert (after.state, after.outcome_time, after.update_time) == (outcome, START, START)
    assert after.revision == kept.revision + 1
    assert record_outcome(after, START + 9, outcome, "other") is after


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("state", EVERY_STATE)
def test_outcome_is_recorded_of_a_confirmed_appointment_alone(state: State, outcome: State) -> None:
    kept = appointment(state=state)
    if state in (outcome, State.CONFIRMED):
        assert record_outcome(kept, START, outcome, "").state is outcome
        return
    with pytest.raises(NotChangeable) as refused:
        record_outcome(kept, START, outcome, "")
    assert refused.value.metadata["state"] == state


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_outcome_is_taken_back_until_a_day_later(outcome: State) -> None:
    done = record_outcome(appointment(), START, outcome, "")
    again = reopen(done, START + DAY, done.etag)
    assert (again.state, again.outcome_time) == (State.CONFIRMED, 0)
    assert again.etag != done.etag
    assert reopen(again, START + 9 * DAY, "other") is again
    with pytest.raises(OutsideUndoWindow):
        reopen(done, START + DAY + 1, "")


def test_cancelled_appointment_cannot_be_reopened() -> None:
    with pytest.raises(NotChangeable):
        reopen(appointment(state=State.CANCELLED), START, "")


@pytest.mark.parametrize("state", EVERY_STATE)
def test_contact_is_updated_in_every_state_and_seats_of_a_confirmed_one(state: State) -> None:
    kept = appointment(state=state)
    after = update(kept, START, OTHER, kept.seats, kept.etag)
    assert after == kept._replace(contact=OTHER, update_time=START, revision=kept.revision + 1)
    if state is State.CONFIRMED:
        assert update(kept, START, kept.contact, 3, "").seats == 3
        return
    with pytest.raises(NotChangeable):
        update(kept, START, kept.contact, 3, "")


def test_update_that_changes_nothing_keeps_the_etag() -> None:
    kept = appointment()
    assert update(kept, START, replace(kept.contact), kept.seats, "") is kept


def test_etag_of_another_version_is_refused_by_every_change() -> None:
    kept: Reservation = appointment()
    done = record_outcome(kept, START, State.COMPLETED, "")
    with pytest.raises(EtagMismatch):
        update(kept, START, OTHER, 1, "other")
    with pytest.raises(EtagMismatch):
        record_outcome(kept, START, State.NO_SHOW, "other")
    with pytest.raises(EtagMismatch):
        reopen(done, START, "other")
