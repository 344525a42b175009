"""The errors of holds, appointments and slots; `errors` has the tree of all errors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zimun.domain.errors import Conflict, Refused
from zimun.domain.instant import SECOND, rfc3339

if TYPE_CHECKING:
    from zimun.domain.availability.slots import Slot
    from zimun.domain.catalog.booking_limit import AppliedLimit
    from zimun.domain.ledger.reservation import Reservation


class HoldExpired(Refused):
    """The hold expired before the call."""

    reason = "HOLD_EXPIRED"

    def __init__(self, hold_id: str, expires_at: int) -> None:
        until = rfc3339(expires_at)
        super().__init__(f"hold {hold_id} expired at {until}", hold_id=hold_id, expires_at=until)


class HoldReleased(Refused):
    """The hold was released before the call."""

    reason = "HOLD_RELEASED"

    def __init__(self, hold_id: str) -> None:
        super().__init__(f"hold {hold_id} was released", hold_id=hold_id)


class HoldConfirmed(Refused):
    """The hold was confirmed: it has become an appointment."""

    reason = "HOLD_CONFIRMED"

    def __init__(self, hold_id: str, appointment_id: str) -> None:
        super().__init__(
            f"hold {hold_id} has become appointment {appointment_id}",
            hold_id=hold_id,
            appointment_id=appointment_id,
        )


class HoldLimitReached(Refused):
    """The hold has been extended as far as it may be."""

    reason = "HOLD_LIMIT_REACHED"

    def __init__(self, hold_id: str, limit: int) -> None:
        until = rfc3339(limit)
        super().__init__(f"hold {hold_id} cannot last beyond {until}", hold_id=hold_id, limit=until)


class WrongState(Refused):
    """The state of the appointment forbids it."""

    def __init__(self, appointment_id: str, state: str) -> None:
        super().__init__(
            f"appointment {appointment_id} is {state}", appointment_id=appointment_id, state=state
        )


class NotCancellable(WrongState):
    """The state of the appointment allows no cancellation."""

    reason = "NOT_CANCELLABLE"


class NotReschedulable(WrongState):
    """The state of the appointment allows no reschedule."""

    reason = "NOT_RESCHEDULABLE"


class NotChangeable(WrongState):
    """The state of the appointment allows no such change."""

    reason = "NOT_CHANGEABLE"


class AppointmentNotStarted(Refused):
    """An outcome can be recorded from the start of the appointment on."""

    reason = "APPOINTMENT_NOT_STARTED"

    def __init__(self, appointment_id: str, start: int) -> None:
        begins = rfc3339(start)
        super().__init__(
            f"appointment {appointment_id} starts at {begins}",
            appointment_id=appointment_id,
            start_time=begins,
        )


class OutsideBookingWindow(Refused):
    """The start is too soon (`rule` LEAD_TIME) or too far ahead (HORIZON).

    The window from the earliest to the latest start, both included, is given in whole seconds,
    as starts are at whole minutes.
    """

    reason = "OUTSIDE_BOOKING_WINDOW"

    def __init__(self, rule: str, earliest_start: int, latest_start: int) -> None:
        first, last = -(-earliest_start // SECOND) * SECOND, latest_start // SECOND * SECOND
        window = {"opens": rfc3339(first), "closes": rfc3339(last)}
        super().__init__(
            f"starts can be booked from {window['opens']} to {window['closes']}",
            rule=rule,
            **window,
        )


class OutsideCancellationWindow(Refused):
    """The service's cut-off for cancellations has passed."""

    reason = "OUTSIDE_CANCELLATION_WINDOW"

    def __init__(self, appointment_id: str, until: int) -> None:
        last = rfc3339(until)
        super().__init__(
            f"appointment {appointment_id} could be cancelled until {last}",
            appointment_id=appointment_id,
            until=last,
        )


class OutsideRescheduleWindow(Refused):
    """The service's cut-off for reschedules has passed."""

    reason = "OUTSIDE_RESCHEDULE_WINDOW"

    def __init__(self, appointment_id: str, until: int) -> None:
        last = rfc3339(until)
        super().__init__(
            f"appointment {appointment_id} could be rescheduled until {last}",
            appointment_id=appointment_id,
            until=last,
        )


class OutsideUndoWindow(Refused):
    """The outcome was recorded too long ago to be taken back."""

    reason = "OUTSIDE_UNDO_WINDOW"

    def __init__(self, appointment_id: str, until: int) -> None:
        last = rfc3339(until)
        super().__init__(
            f"appointment {appointment_id} could be reopened until {last}",
            appointment_id=appointment_id,
            until=last,
        )


class ContactHasAppointments(Refused):
    """Some appointments of the contact are yet to end."""

    reason = "CONTACT_HAS_APPOINTMENTS"

    def __init__(self, appointment_ids: Sequence[str]) -> None:
        named = ", ".join(appointment_ids)
        super().__init__(f"the contact has appointments to come: {named}", appointment_ids=named)


class ContactRetentionOver(Refused):
    """The organization keeps no contact of an appointment that ended so long ago."""

    reason = "CONTACT_RETENTION_OVER"

    def __init__(self, appointment_id: str, until: int) -> None:
        kept = rfc3339(until)
        super().__init__(
            f"contacts of appointment {appointment_id} were kept until {kept}",
            appointment_id=appointment_id,
            until=kept,
        )


class TimeOffHasConflicts(Refused):
    """The time off overlaps appointments or live holds: `reservations` are the first of them."""

    reason = "TIME_OFF_CONFLICTS"

    def __init__(self, owner_id: str, reservations: "Sequence[Reservation]", count: int) -> None:
        message = f"{count} appointments and holds of {owner_id} overlap this time off"
        super().__init__(message, owner_id=owner_id, total_size=str(count))
        self.reservations = reservations


class TooManyBookings(Refused):
    """What is asked concerns more bookings than one decision looks at; `what` are they."""

    reason = "TOO_MANY_BOOKINGS"

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"{what} are more than {limit:,}", limit=str(limit))


class LimitReached(Refused):
    """A limit of bookings is reached until `ends`; `owner_id` is what sets it."""

    reason = "LIMIT_REACHED"

    def __init__(self, applied: "AppliedLimit", message: str, ends: int) -> None:
        limit, owner_id, subject_id = applied
        super().__init__(
            message,
            per=limit.per.value,
            period=limit.period.value,
            max_bookings=str(limit.max_bookings),
            owner_id=owner_id,
            **({"subject_id": subject_id} if subject_id else {}),
            ends=rfc3339(ends),
        )


class NotASlot(Refused):
    """The service is never offered at this time; `rule` names what forbids it."""

    reason = "NOT_A_SLOT"

    def __init__(self, rule: str, message: str, note: str = "") -> None:
        super().__init__(message, rule=rule, **({"note": note} if note else {}))


class SlotUnavailable(Conflict):
    """Everything that could serve this time is taken.

    `alternatives` are the nearest open slots, their place being in `time_zone`. Unless something
    is booked or changed, the same time is refused alike before `stands_until`.
    """

    reason = "SLOT_UNAVAILABLE"

    def __init__(
        self,
        service_id: str,
        alternatives: "Sequence[Slot]" = (),
        time_zone: str = "UTC",
        stands_until: int = 0,
    ) -> None:
        super().__init__("this time is not open any more", service_id=service_id)
        self.alternatives = alternatives
        self.time_zone = time_zone
        self.stands_until = stands_until

    def copy(self) -> "SlotUnavailable":
        """A copy for another caller: an exception keeps the traceback of where it was raised."""
        service_id = self.metadata["service_id"]
        return SlotUnavailable(service_id, self.alternatives, self.time_zone, self.stands_until)
