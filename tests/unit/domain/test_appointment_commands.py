"""Updates of an appointment, its outcome and its reopening, in every state it can have."""

from dataclasses import replace

import pytest

from zimun.domain.appointment_commands import UpdateAppointment
from zimun.domain.availability.timetable import Timetable
from zimun.domain.booking_errors import AppointmentNotStarted, NotChangeable, OutsideUndoWindow
from zimun.domain.errors import EtagMismatch, InvalidRequest
from zimun.domain.instant import DAY
from zimun.domain.ledger.events import EventType, ReservationEvent, Session, member_of
from zimun.domain.ledger.reservation import (
    OUTCOMES,
    Contact,
    Reservation,
    State,
    record_outcome,
    reopen,
    update,
)

from .build import appointment, service
from .build import catalog as build_catalog
from .ledger_model import Keeper, Model

START = appointment().start
EVERY_STATE = (State.CONFIRMED, State.CANCELLED, *OUTCOMES)
OTHER = Contact(name="Ada", email="ada@example.com", notes="Two\nlines")


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_outcome_is_recorded_from_the_start_on(outcome: State) -> None:
    kept = appointment()
    assert kept.outcome_time == 0
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


NAMED = Contact(name="Sam", phone="+49 30 1234")
"""A contact without an address, as appointments of earlier versions may have."""


def updated(kept: Contact, **changes: object) -> Contact:
    """The contact of an appointment after UpdateAppointment, from the `kept` one."""
    made = appointment(contact=kept)
    session = Session(
        *made[2:5], made.staff_id, made.resource_ids, made.start, made.end, (made.start, made.end),
        0, 1,
    ).with_members({made.hold_id: member_of(made)})  # fmt: skip
    model = Model([ReservationEvent(EventType.APPOINTMENT_CONFIRMED, "", made, [session])])
    command = UpdateAppointment(made.appointment_id, "", changes)
    timetable = Timetable(build_catalog(service(id=made.service_id)))
    decision = Keeper(model).query(lambda ledger: command.decide(ledger, timetable, START, "c_1"))
    after = decision.result
    assert isinstance(after, Reservation)
    return after.contact


@pytest.mark.parametrize("kept", [NAMED, Contact(), Contact(phone="+49 30 1234")])
@pytest.mark.parametrize("changes", [{"notes": "Door 2"}, {"metadata": {"crm": "1"}}])
def test_update_of_notes_or_metadata_needs_no_address(
    kept: Contact, changes: dict[str, object]
) -> None:
    assert updated(kept, **changes) == replace(kept, **changes)  # type: ignore[arg-type]


def test_name_and_phone_number_that_stay_need_no_address_and_may_be_sent_again() -> None:
    sent = {"name": NAMED.name, "phone": NAMED.phone, "notes": "Door 2"}
    assert updated(NAMED, **sent) == replace(NAMED, notes="Door 2")
    assert updated(NAMED, phone="") == Contact(name="Sam")
    with_address = {"name": "Ada", "email": "ada@example.com"}
    assert updated(NAMED, **with_address) == replace(NAMED, **with_address)  # type: ignore[arg-type]


@pytest.mark.parametrize("kept", [NAMED, Contact()])
@pytest.mark.parametrize("changes", [{"name": "Ada"}, {"phone": "+49 30 5678"}])
def test_new_name_or_phone_number_needs_an_address(
    kept: Contact, changes: dict[str, object]
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        updated(kept, **changes)
    assert refused.value.violations == {
        "contact_email": "is required beside another name or phone number"
    }
