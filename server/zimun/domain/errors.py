"""Every error of Zimun: why a call is refused.

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
    │   ├── CatalogLimitReached
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
    │   ├── TimeOffHasConflicts
    │   ├── TooManyBookings
    │   ├── LimitReached
    │   └── NotASlot
    ├── Conflict                    another change came first; read again and retry
    │   ├── EtagMismatch
    │   └── SlotUnavailable
    ├── AlreadyExists
    │   ├── IdempotencyKeyReused
    │   ├── IdTaken
    │   └── OverrideExists
    ├── Overloaded                  nothing was done; try again later
    └── OutcomeUnknown              it may or may not have been done

Refusals of holds, appointments and slots are in `booking_errors`, all other errors here.
A class's `reason` is a name of zimun.v1.ErrorReason, which documents it with an
example; `metadata` are the facts beside it, as strings.
"""

from typing import ClassVar


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
    """The caller's organization has no such id; ids of other organizations get this error, too."""

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
    """The request is valid, but the present state forbids it; a retry will fail, too."""


class CatalogLimitReached(Refused):
    """The catalogue would exceed a limit; `of` is its unit, `entries` or `bytes`."""

    reason = "CATALOG_LIMIT_REACHED"

    def __init__(self, of: str, limit: int) -> None:
        message = f"an organization's catalogue has at most {limit} {of}"
        super().__init__(message, of=of, limit=str(limit))


class Conflict(ZimunError):
    """The state has changed since the caller read it: read again, then retry."""


class EtagMismatch(Conflict):
    """The entry or appointment has changed since the caller read it."""

    reason = "ETAG_MISMATCH"

    def __init__(self, field: str, identifier: str) -> None:
        super().__init__(f"{identifier} has changed since it was read", **{field: identifier})


class AlreadyExists(ZimunError):
    """An id, a key or a date that must be unique is in use."""


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
