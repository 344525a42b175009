"""Commands on appointments beside those of `commands`: booking in one step, changes, outcomes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from zimun.domain.availability.nearest_slots import slot_unavailable
from zimun.domain.availability.slot_refusal import check_no_time_off
from zimun.domain.availability.slot_request import SlotRequest, resolve
from zimun.domain.availability.tallies import check_customer
from zimun.domain.availability.timetable import Timetable
from zimun.domain.booking_errors import ContactRetentionOver
from zimun.domain.catalog.entries import Service
from zimun.domain.commands import (
    ConfirmHold,
    Decision,
    Hold,
    evolved,
    expiries,
    reservation_decision,
)
from zimun.domain.errors import InvalidRequest
from zimun.domain.ledger import reservation as rules
from zimun.domain.ledger.events import EventType, ReservationEvent
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.reservation import Contact, Reservation, State, contact_key


@dataclass(frozen=True, slots=True)
class BookAppointment:
    """Hold a slot and confirm it at once; the events are those of the two steps."""

    hold: Hold
    appointment_id: str
    contact: Contact

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises what `Hold` raises."""
        held, _, _ = self.hold.decide(ledger, timetable, now, client_id)
        ignored = self.hold.request.ignored
        confirm = ConfirmHold(self.hold.hold_id, self.appointment_id, self.contact, ignored)
        confirmed = confirm.decide(evolved(ledger, held), timetable, now, client_id)
        return confirmed._replace(events=[*held, *confirmed.events])


@dataclass(frozen=True, slots=True)
class UpdateAppointment:
    """Change the contact, the notes and the seats of an appointment.

    `contact` has the new values of fields of Contact; `seats` is None where they stay.
    """

    appointment_id: str
    etag: str
    contact: Mapping[str, object] = field(default_factory=dict)
    seats: int | None = None

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises AppointmentNotFound, what `reservation.update` raises, InvalidRequest for seats
        that the service does not have, SlotUnavailable where they are taken, NotASlot for more
        while place or staff member has time off, LimitReached for another contact of an
        appointment that is to come, and ContactRetentionOver."""
        before = ledger.appointment(self.appointment_id)
        contact = replace(before.contact, **self.contact)  # type: ignore[arg-type]
        seats = before.seats if self.seats is None else self.seats
        after = rules.update(before, now, contact, seats, self.etag)
        if _has_another_contact(before, after) and now < after.start:
            check_customer(ledger, timetable.catalog, after, now)
        retention = timetable.catalog.organization.contact_retention
        if retention and contact != before.contact and now >= before.end + retention:
            raise ContactRetentionOver(before.appointment_id, before.end + retention)
        _require_address(before.contact, contact)
        if seats <= before.seats:
            return reservation_decision(
                ledger, EventType.APPOINTMENT_UPDATED, client_id, before, after
            )
        return self._with_more_seats(ledger, timetable, now, client_id, after)

    def _with_more_seats(
        self, ledger: Ledger, timetable: Timetable, now: int, client_id: str, after: Reservation
    ) -> Decision:
        capacity = timetable.catalog.entry(Service, after.service_id).capacity
        if after.seats > capacity:
            raise InvalidRequest({"seats": f"service {after.service_id} has 1 to {capacity}"})
        request = SlotRequest(
            after.service_id, seats=after.seats, ignore_appointment_id=after.appointment_id
        )
        resolved = resolve(ledger, timetable, request)
        check_no_time_off(resolved.without_bookings(now), after.staff_id, after.start)
        events = expiries(ledger, [ledger.session(after.session_id)], now)
        session = evolved(ledger, events).session(after.session_id)
        session = session._replace(capacity=capacity).joined_by(after)
        if session.seats_taken > capacity:
            raise slot_unavailable(ledger, resolved, now, after.start)
        event = ReservationEvent(EventType.APPOINTMENT_UPDATED, client_id, after, (session,))
        return Decision([*events, event], after)


def _require_address(before: Contact, after: Contact) -> None:
    """Raise InvalidRequest for another name or phone number without the address, by which contacts
    are found; what an appointment of an earlier version has may stay."""
    is_new = after.name not in ("", before.name) or after.phone not in ("", before.phone)
    loses_address = before.email and (after.name or after.phone)
    if not after.email and (is_new or loses_address):
        raise InvalidRequest({"contact_email": "is required beside another name or phone number"})


def _has_another_contact(before: Reservation, after: Reservation) -> bool:
    keys = {contact_key(reservation.contact.email) for reservation in (before, after)}
    return after.state is State.CONFIRMED and len(keys) > 1


@dataclass(frozen=True, slots=True)
class CompleteAppointment:
    """Record that an appointment has taken place; `etag`, where given, must be the present one."""

    appointment_id: str
    etag: str
    outcome: ClassVar[State] = State.COMPLETED
    event_type: ClassVar[EventType] = EventType.APPOINTMENT_COMPLETED

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises AppointmentNotFound and what `reservation.record_outcome` raises."""
        before = ledger.appointment(self.appointment_id)
        after = rules.record_outcome(before, now, self.outcome, self.etag)
        return reservation_decision(ledger, self.event_type, client_id, before, after)


@dataclass(frozen=True, slots=True)
class MarkNoShow(CompleteAppointment):
    """Record that the contact of an appointment did not come."""

    outcome = State.NO_SHOW
    event_type = EventType.APPOINTMENT_NO_SHOW


@dataclass(frozen=True, slots=True)
class ReopenAppointment:
    """Take back what CompleteAppointment or MarkNoShow recorded."""

    appointment_id: str
    etag: str

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises AppointmentNotFound and what `reservation.reopen` raises."""
        before = ledger.appointment(self.appointment_id)
        after = rules.reopen(before, now, self.etag)
        return reservation_decision(
            ledger, EventType.APPOINTMENT_REOPENED, client_id, before, after
        )
