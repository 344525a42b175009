"""Every way in which Zimun refuses a call.

    ZimunError
    ├── InvalidRequest              a field is missing, malformed or out of range
    ├── ResponseTooLarge            the response would exceed its maximum size
    ├── TokenInvalid                no good bearer token
    ├── ScopeMissing                a good token without the method's scope
    ├── McpAccessDenied             the organization does not allow agents to do this
    ├── McpNotInstalled             the installation lacks what agents need
    ├── NotFound
    │   ├── OrganizationNotFound
    │   ├── ServiceNotFound
    │   ├── LocationNotFound
    │   ├── StaffNotFound
    │   ├── ResourceNotFound
    │   ├── OverrideNotFound
    │   ├── TimeOffNotFound
    │   ├── HoldNotFound
    │   └── AppointmentNotFound
    ├── Refused                     the state of things forbids it
    │   ├── HoldExpired
    │   ├── HoldReleased
    │   ├── HoldConfirmed
    │   ├── HoldLimitReached
    │   ├── WrongState
    │   │   ├── NotCancellable
    │   │   ├── NotReschedulable
    │   │   └── NotChangeable
    │   ├── AppointmentNotStarted
    │   ├── OutsideBookingWindow
    │   ├── OutsideCancellationWindow
    │   ├── OutsideRescheduleWindow
    │   ├── OutsideUndoWindow
    │   ├── ContactHasAppointments
    │   ├── ContactRetentionOver
    │   ├── CatalogLimitReached
    │   ├── TimeOffHasConflicts
    │   ├── LimitReached
    │   └── NotASlot
    ├── Conflict                    another change came first; read again and retry
    │   ├── SlotUnavailable
    │   └── EtagMismatch
    ├── AlreadyExists
    │   ├── IdempotencyKeyReused
    │   ├── IdTaken
    │   └── OverrideExists
    ├── Overloaded                  nothing was done; try again later
    └── OutcomeUnknown              it may or may not have been done

A class's `reason` is a name of zimun.v1.ErrorReason, which documents it with an
example; `metadata` are the facts beside it, as strings.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from zimun.domain.instant import SECOND, rfc3339

if TYPE_CHECKING:
    from zimun.domain.booking_limit import AppliedLimit
    from zimun.domain.reservation import Reservation
    from zimun.domain.slots import Slot


class ZimunError(Exception):
    """A refusal that callers can act on: a reason for programs, a message for people."""

    reason: ClassVar[str]

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata


class InvalidRequest(ZimunError):
    """Some fields of the request are wrong; `violations` maps each to what it should be."""

    reason = "INVALID_FIELD"

    def __init__(self, violations: dict[str, str]) -> None:
        field, description = next(iter(violations.items()))
        super().__init__(f"{field}: {description}", field=field)
        self.violations = violations


class ResponseTooLarge(ZimunError):
    """The answer would exceed its maximum size; `violations` names the field to narrow."""

    reason = "REQUEST_REFUSED"

    def __init__(self, field: str, max_bytes: int) -> None:
        too_much = f"asks for more than {max_bytes >> 20} MiB"
        narrow = f"{too_much}: name fewer dates, a staff_id, or the view BASIC"
        super().__init__(f"{field}: {narrow}", field=field)
        self.violations = {field: narrow}


class TokenInvalid(ZimunError):
    """The bearer token is missing, malformed, expired, or of another issuer, audience or key."""

    reason = "TOKEN_INVALID"


class ScopeMissing(ZimunError):
    """The token does not carry the scope that the method declares."""

    reason = "SCOPE_MISSING"

    def __init__(self, scope: str) -> None:
        super().__init__(f"the token lacks the scope {scope}", scope=scope)


class McpAccessDenied(ZimunError):
    """The organization does not allow agents to do this."""

    reason = "MCP_ACCESS_DENIED"

    def __init__(self, mcp_access: str) -> None:
        super().__init__(
            f"the organization's mcp_access is {mcp_access}; PATCH /api/v1/organization changes it",
            mcp_access=mcp_access,
        )


class McpNotInstalled(ZimunError):
    """The installation lacks the package that speaks the protocol of agents."""

    reason = "MCP_NOT_INSTALLED"

    def __init__(self) -> None:
        super().__init__("the server has no package for agents: install zimun[mcp] there")


class NotFound(ZimunError):
    """No such id in the caller's organization; another organization's id reads the same."""

    noun: ClassVar[str]
    field: ClassVar[str]

    def __init__(self, identifier: str) -> None:
        super().__init__(f"no {self.noun} {identifier}", **{self.field: identifier})


class OrganizationNotFound(NotFound):
    """No organization of the caller has the id."""

    reason, noun, field = "ORGANIZATION_NOT_FOUND", "organization", "org_id"


class ServiceNotFound(NotFound):
    """No service has the id."""

    reason, noun, field = "SERVICE_NOT_FOUND", "service", "service_id"


class LocationNotFound(NotFound):
    """No location has the id."""

    reason, noun, field = "LOCATION_NOT_FOUND", "location", "location_id"


class StaffNotFound(NotFound):
    """No staff member has the id."""

    reason, noun, field = "STAFF_NOT_FOUND", "staff member", "staff_id"


class ResourceNotFound(NotFound):
    """No resource has the id."""

    reason, noun, field = "RESOURCE_NOT_FOUND", "resource", "resource_id"


class OverrideNotFound(NotFound):
    """No override has the id."""

    reason, noun, field = "OVERRIDE_NOT_FOUND", "override", "override_id"


class TimeOffNotFound(NotFound):
    """No time off has the id."""

    reason, noun, field = "TIME_OFF_NOT_FOUND", "time off", "time_off_id"


class HoldNotFound(NotFound):
    """No hold has the id."""

    reason, noun, field = "HOLD_NOT_FOUND", "hold", "hold_id"


class AppointmentNotFound(NotFound):
    """No appointment has the id."""

    reason, noun, field = "APPOINTMENT_NOT_FOUND", "appointment", "appointment_id"


class Refused(ZimunError):
    """The request is well formed, but the state of things forbids it; retrying will not help."""


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
    """`rule` is LEAD_TIME or HORIZON; the window is the closed interval of allowed starts.

    It is told in whole seconds: starts are at whole minutes.
    """

    reason = "OUTSIDE_BOOKING_WINDOW"

    def __init__(self, rule: str, opens: int, closes: int) -> None:
        first, last = -(-opens // SECOND) * SECOND, closes // SECOND * SECOND
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


class CatalogLimitReached(Refused):
    """The catalogue would exceed a limit; `of` is its unit, `entries` or `bytes`."""

    reason = "CATALOG_LIMIT_REACHED"

    def __init__(self, of: str, limit: int) -> None:
        message = f"an organization's catalogue has at most {limit} {of}"
        super().__init__(message, of=of, limit=str(limit))


class TimeOffHasConflicts(Refused):
    """The time off overlaps appointments or live holds: `reservations` are the first of them."""

    reason = "TIME_OFF_CONFLICTS"

    def __init__(self, owner_id: str, reservations: "Sequence[Reservation]", count: int) -> None:
        message = f"{count} appointments and holds of {owner_id} overlap this time off"
        super().__init__(message, owner_id=owner_id, total_size=str(count))
        self.reservations = reservations


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


class Conflict(ZimunError):
    """The state has changed since the caller read it: read again, then retry."""


class SlotUnavailable(Conflict):
    """Everything that could serve this time is taken.

    `alternatives` are the nearest open slots, their place being in `time_zone`.
    """

    reason = "SLOT_UNAVAILABLE"

    def __init__(
        self, service_id: str, alternatives: "Sequence[Slot]" = (), time_zone: str = "UTC"
    ) -> None:
        super().__init__("this time is not open any more", service_id=service_id)
        self.alternatives = alternatives
        self.time_zone = time_zone

    def copy(self) -> "SlotUnavailable":
        """The same refusal for another caller: an exception keeps who raised it."""
        return SlotUnavailable(self.metadata["service_id"], self.alternatives, self.time_zone)


class EtagMismatch(Conflict):
    """The entry or appointment has changed since the caller read it."""

    reason = "ETAG_MISMATCH"

    def __init__(self, field: str, identifier: str) -> None:
        super().__init__(f"{identifier} has changed since it was read", **{field: identifier})


class AlreadyExists(ZimunError):
    """A name that must be used once has been used."""


class IdempotencyKeyReused(AlreadyExists):
    """The Idempotency-Key was used for a different request."""

    reason = "IDEMPOTENCY_KEY_REUSED"

    def __init__(self, method: str) -> None:
        super().__init__("this Idempotency-Key was used for another request", method=method)


class IdTaken(AlreadyExists):
    """The id that the caller chose is in use."""

    reason = "ID_TAKEN"

    def __init__(self, identifier: str) -> None:
        super().__init__(f"the id {identifier} is in use", id=identifier)


class OverrideExists(AlreadyExists):
    """The owner has an override of the date already."""

    reason = "OVERRIDE_EXISTS"

    def __init__(self, override_id: str, owner_id: str, day: str) -> None:
        super().__init__(
            f"{owner_id} has an override of {day} already",
            override_id=override_id,
            owner_id=owner_id,
            date=day,
        )


class Overloaded(ZimunError):
    """Nothing was done, as the store cannot take the call; try again in `retry_after` seconds."""

    reason = "OVERLOADED"

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OutcomeUnknown(ZimunError):
    """A change may or may not have happened; repeated with its Idempotency-Key it tells which."""

    reason = "DEADLINE_EXCEEDED"
