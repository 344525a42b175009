"""States of a reservation and their transitions: pure functions of (reservation, now).

    HELD ── confirm ──> CONFIRMED <── reopen ──> COMPLETED or NO_SHOW
     ├── release ──> RELEASED  └── cancel ──> CANCELLED
     └── time ─────> EXPIRED

An appointment with an outcome keeps its time: it counts for daily limits, and can be reopened
without losing its place. A hold and the appointment it becomes are one reservation, so confirming
cannot lose the slot. A hold is valid while now < expires_at, whether or not its expiry has been
recorded (`as_of`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

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
from zimun.domain.catalog.entries import Service
from zimun.domain.errors import EtagMismatch
from zimun.domain.ignored_rules import NO_RULES, BookingRule, IgnoredRules
from zimun.domain.instant import DAY
from zimun.domain.memory_size import ROW_BYTES, weight

HOLD_LIMIT = 3
"""The most hold lengths for which a hold lasts in all, however often it is extended."""


UNDO_WINDOW = DAY
"""How long after its outcome was recorded an appointment can be reopened."""


class State(StrEnum):
    """The state of a reservation."""

    HELD = "HELD"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"
    CONFIRMED = "CONFIRMED"
    CANCELLED = "CANCELLED"
    COMPLETED = "COMPLETED"
    NO_SHOW = "NO_SHOW"


OUTCOMES = (State.COMPLETED, State.NO_SHOW)
"""The states that say how an appointment went."""

LIVE = (State.HELD, State.CONFIRMED, *OUTCOMES)
"""The states that keep their time busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """The person for whom an appointment is made, with notes and metadata."""

    name: str = ""
    email: str = ""
    phone: str = ""
    notes: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The bytes of notes and metadata in memory, about."""
        return weight(self.notes) + weight(self.metadata) if self.notes or self.metadata else 0


def contact_key(email: str) -> str:
    """The key by which appointments of a contact are found and counted: the address,
    case-folded."""
    return email.casefold()


class Reservation(NamedTuple):
    """A hold and, from confirmation on, the appointment it became. Times are instants.

    Reservations of one group session share its `session_id`. `revision` counts
    the changes; an appointment's etag is made of it. `outcome_time` is when one
    of OUTCOMES was recorded, else 0.
    """

    org_id: str
    hold_id: str
    session_id: str
    service_id: str
    location_id: str
    staff_id: str
    resource_ids: tuple[str, ...]
    seats: int
    start: int
    end: int
    state: State
    expires_at: int
    create_time: int
    update_time: int
    revision: int = 1
    appointment_id: str = ""
    confirm_time: int = 0
    contact: Contact = Contact()
    cancel_reason: str = ""
    outcome_time: int = 0

    @property
    def etag(self) -> str:
        """A value, opaque to callers, that changes with every change of the reservation."""
        return f"{self.revision}"


ENTRY_ROWS = 4
"""Rows (ROW_BYTES) that a reservation or a session takes in memory."""


def rows_of(reservation: Reservation) -> int:
    """Rows that a reservation takes in memory, with the notes and metadata of its contact."""
    return ENTRY_ROWS + reservation.contact.size // ROW_BYTES


def as_of(reservation: Reservation, now: int) -> Reservation:
    """The reservation as it is at `now`: a hold whose time has run out is EXPIRED.

    That holds before its expiry is recorded, which a command does that needs its place
    (`commands.expiries`), or `booking.expiry.expire_holds` within a second.
    """
    if reservation.state is State.HELD and now >= reservation.expires_at:
        return _changed(reservation, reservation.expires_at, state=State.EXPIRED)
    return reservation


def extend(reservation: Reservation, now: int, hold_length: int) -> Reservation:
    """Extend a hold to its length from now, within its limit.

    Raises HoldExpired, HoldReleased, HoldConfirmed or HoldLimitReached.
    """
    _require_held(reservation, now)
    if reservation.appointment_id:
        raise HoldConfirmed(reservation.hold_id, reservation.appointment_id)
    limit = reservation.create_time + HOLD_LIMIT * hold_length
    if reservation.expires_at >= limit:
        raise HoldLimitReached(reservation.hold_id, limit)
    # Never earlier than before: calls may be carried out in another order than they arrived.
    until = max(reservation.expires_at, min(now + hold_length, limit))
    return _changed(reservation, now, expires_at=until)


def release(reservation: Reservation, now: int) -> Reservation:
    """Release a hold; an expired or released hold stays as it is. Raises HoldConfirmed."""
    reservation = as_of(reservation, now)
    if reservation.appointment_id:
        raise HoldConfirmed(reservation.hold_id, reservation.appointment_id)
    if reservation.state is not State.HELD:
        return reservation
    return _changed(reservation, now, state=State.RELEASED)


def confirm(
    reservation: Reservation, now: int, appointment_id: str, contact: Contact
) -> Reservation:
    """Make a hold an appointment; a confirmed hold stays as it is.

    Raises HoldExpired or HoldReleased.
    """
    if reservation.appointment_id:
        return reservation
    _require_held(reservation, now)
    return _changed(
        reservation,
        now,
        state=State.CONFIRMED,
        appointment_id=appointment_id,
        confirm_time=now,
        contact=contact,
    )


def cancel(
    reservation: Reservation,
    now: int,
    service: Service,
    reason: str,
    etag: str,
    ignored: IgnoredRules = NO_RULES,
) -> Reservation:
    """Cancel an appointment; a cancelled one stays as it is.

    Raises NotCancellable, EtagMismatch or OutsideCancellationWindow.
    """
    if reservation.state is State.CANCELLED:
        return reservation
    if reservation.state is not State.CONFIRMED:
        raise NotCancellable(reservation.appointment_id, reservation.state)
    _require_etag(reservation, etag)
    until = reservation.start - service.cancellation_cutoff
    if now > until and BookingRule.CUTOFF not in ignored:
        raise OutsideCancellationWindow(reservation.appointment_id, until)
    return _changed(reservation, now, state=State.CANCELLED, cancel_reason=reason)


def record_outcome(reservation: Reservation, now: int, outcome: State, etag: str) -> Reservation:
    """Record the outcome of an appointment; without a change it stays as it is.

    Raises NotChangeable, EtagMismatch or AppointmentNotStarted.
    """
    if reservation.state is outcome:
        return reservation
    if reservation.state is not State.CONFIRMED:
        raise NotChangeable(reservation.appointment_id, reservation.state)
    _require_etag(reservation, etag)
    if now < reservation.start:
        raise AppointmentNotStarted(reservation.appointment_id, reservation.start)
    return _changed(reservation, now, state=outcome, outcome_time=now)


def reopen(reservation: Reservation, now: int, etag: str) -> Reservation:
    """Take back the outcome of an appointment; without an outcome it stays as it is.

    Raises NotChangeable, EtagMismatch or OutsideUndoWindow.
    """
    if reservation.state is State.CONFIRMED:
        return reservation
    if reservation.state not in OUTCOMES:
        raise NotChangeable(reservation.appointment_id, reservation.state)
    _require_etag(reservation, etag)
    until = reservation.outcome_time + UNDO_WINDOW
    if now > until:
        raise OutsideUndoWindow(reservation.appointment_id, until)
    return _changed(reservation, now, state=State.CONFIRMED, outcome_time=0)


def update(
    reservation: Reservation, now: int, contact: Contact, seats: int, etag: str
) -> Reservation:
    """Change the contact, the notes and the seats; without a new value it stays as it is.

    Raises EtagMismatch, and NotChangeable for seats of an appointment that is not CONFIRMED.
    """
    _require_etag(reservation, etag)
    if seats != reservation.seats and reservation.state is not State.CONFIRMED:
        raise NotChangeable(reservation.appointment_id, reservation.state)
    if (contact, seats) == (reservation.contact, reservation.seats):
        return reservation
    return _changed(reservation, now, contact=contact, seats=seats)


def check_movable(
    reservation: Reservation,
    now: int,
    service: Service,
    etag: str,
    ignored: IgnoredRules = NO_RULES,
) -> None:
    """Raise NotReschedulable, EtagMismatch or OutsideRescheduleWindow where it may not move."""
    if reservation.state is not State.CONFIRMED:
        raise NotReschedulable(reservation.appointment_id, reservation.state)
    _require_etag(reservation, etag)
    until = reservation.start - service.reschedule_cutoff
    if now > until and BookingRule.CUTOFF not in ignored:
        raise OutsideRescheduleWindow(reservation.appointment_id, until)


def move(
    reservation: Reservation,
    now: int,
    start: int,
    end: int,
    session_id: str,
    staff_id: str,
    resource_ids: tuple[str, ...],
) -> Reservation:
    """The appointment at its new time; its id stays."""
    return _changed(
        reservation,
        now,
        start=start,
        end=end,
        session_id=session_id,
        staff_id=staff_id,
        resource_ids=resource_ids,
    )


def _changed(reservation: Reservation, now: int, **changes: object) -> Reservation:
    return reservation._replace(
        update_time=now,
        revision=reservation.revision + 1,
        **changes,  # type: ignore[arg-type]
    )


def _require_held(reservation: Reservation, now: int) -> None:
    state = as_of(reservation, now).state
    if state is State.EXPIRED:
        raise HoldExpired(reservation.hold_id, reservation.expires_at)
    if state is State.RELEASED:
        raise HoldReleased(reservation.hold_id)


def _require_etag(reservation: Reservation, etag: str) -> None:
    if etag and etag != reservation.etag:
        raise EtagMismatch("appointment_id", reservation.appointment_id)
