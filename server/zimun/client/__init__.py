"""Clients for services that call Zimun over gRPC. They need the light core of the package alone.

    from zimun.client import Client, ClientCredentials, SlotUnavailable

    tokens = ClientCredentials("https://book.example.com", client_id, client_secret)
    with Client("zimun.internal:50051", tokens) as client:
        slots = client.availability.next(service_id="s_123", count=3).slots
        try:
            hold = client.appointments.hold(
                service_id="s_123", appointment_time=slots[0].start_time
            )
        except SlotUnavailable as taken:
            print(taken.alternatives)

`AsyncClient` has the same methods for asyncio. Arguments are the fields of the request; times may
be datetimes, lengths timedeltas. Lists are iterated over all their pages. Every call has a token,
an Idempotency-Key and a deadline, and is repeated while nothing has happened (UNAVAILABLE), and
once with a new token where ClientCredentials' token is refused. Requests for tokens are part of
the call's timeout, are repeated while the token endpoint is not available, and raise ClientErrors.

`connect` makes a channel for generated stubs instead.

    ClientError                 a call failed
    ├── InvalidArgument         `violations`: what is wrong with each field
    ├── FailedPrecondition      a rule of booking forbids it
    ├── NotFound
    ├── Conflict                another change came first
    │   └── SlotUnavailable     `alternatives`: the nearest open slots
    ├── Unauthenticated         no token, or none that is accepted
    ├── PermissionDenied        the token lacks a scope
    ├── TooManyRequests
    ├── Unavailable             nothing was done
    └── OutcomeUnknown          repeat it with the same Idempotency-Key
"""

from .channel import connect, error_info, with_headers
from .clients import AsyncClient, Client
from .credentials import ClientCredentials
from .errors import (
    ClientError,
    Conflict,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    SlotUnavailable,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)

__all__ = [
    "AsyncClient",
    "Client",
    "ClientCredentials",
    "ClientError",
    "Conflict",
    "FailedPrecondition",
    "InvalidArgument",
    "NotFound",
    "OutcomeUnknown",
    "PermissionDenied",
    "SlotUnavailable",
    "TooManyRequests",
    "Unauthenticated",
    "Unavailable",
    "connect",
    "error_info",
    "with_headers",
]
