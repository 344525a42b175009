"""What booking asks of a store: one protocol for each role.

Times are instants in microseconds. Every method may raise Overloaded when the
store cannot be used; then nothing was done.
"""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from zimun.domain.catalog.catalog import Catalog
from zimun.domain.ignored_rules import BookingRule
from zimun.domain.ledger.events import Event, EventType
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import Loaded, Needs
from zimun.domain.ledger.reservation import Reservation, State


class Head(NamedTuple):
    """The head of an organization's ledger.

    It has the number of the last event, ledger time, and the number of the catalogue's last
    change.
    """

    seq: int
    time: int
    catalog_version: int


class IdempotencyKey(NamedTuple):
    """The key of a stored response within its organization."""

    client_id: str
    method: str
    key: str


ResponseKey = tuple[str, str, str, str]
"""The key of a stored response: (org_id, client_id, method, key)."""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The response stored under an Idempotency-Key, and the fingerprint of its request.

    The key is free again at `expires_at`. `contact_key` is that of the contact that the response
    shows; empty where it shows none.
    """

    fingerprint: bytes
    response: bytes
    expires_at: int
    contact_key: str = ""


@dataclass(frozen=True, slots=True)
class LedgerRead:
    """A read of an organization: what is new since `seq`, and the parts that its ledger needs.

    `seq` and `catalog_version` are those that the caller has; None where it has nothing.
    """

    org_id: str
    seq: int | None = None
    catalog_version: int | None = None
    needs: Needs = field(default_factory=Needs)
    keys: Collection[IdempotencyKey] = ()


@dataclass(frozen=True, slots=True)
class LedgerUpdate:
    """What was read, all of it at `head`, which is None where there is no such organization.

    `events` are those since the requested number, None where there are too many or some have been
    pruned. `catalog` is set where its version is not the requested one.
    """

    head: Head | None
    events: Sequence[Event] | None
    catalog: Catalog | None
    loaded: Loaded
    responses: Mapping[IdempotencyKey, StoredResponse]


@dataclass(frozen=True, slots=True)
class Append:
    """What a group of commands adds to one organization's ledger.

    `before` is the ledger that they were decided on, `after` what it evolved
    to by `events`; `time` is the ledger time of the decision. `longest_span` is
    the longest that a session of the group takes its subjects, where that is
    longer than the catalogue tells, else 0.
    """

    before: Ledger
    after: Ledger
    events: Sequence[Event]
    time: int
    responses: Mapping[IdempotencyKey, StoredResponse]
    longest_span: int = 0


class AppendRejected(Exception):
    """The store wrote nothing of a group: it violates a constraint, or met another transaction.

    The constraints are unique keys, no overlaps and no more seats than there are. The message
    has the cause.
    """


@dataclass(frozen=True, slots=True)
class AppointmentFilter:
    """Which appointments to list: starts in [start_from, start_before); empty and None mean any.

    `descending` is the order of starts and ids.
    """

    service_id: str = ""
    staff_id: str = ""
    state: State | None = None
    start_from: int | None = None
    start_before: int | None = None
    contact_email: str = ""
    location_id: str = ""
    resource_id: str = ""
    update_from: int | None = None
    descending: bool = False


@dataclass(frozen=True, slots=True)
class HoldFilter:
    """Which holds to list; empty and None mean any."""

    service_id: str = ""
    staff_id: str = ""
    location_id: str = ""
    state: State | None = None


class ReservationChange(NamedTuple):
    """A recorded change of a reservation; `reservation` is the state after it.

    `ignored_rules` are those that the change set aside; for a confirmation, those of its hold, too.
    """

    time: int
    type: EventType
    client_id: str
    reservation: Reservation
    ignored_rules: Sequence[BookingRule] = ()


class ShownContact(NamedTuple):
    """The contact that a stored response shows, of a revision of a reservation.

    `emptied` is the response without it.
    """

    contact_key: str
    hold_id: str
    revision: int
    emptied: bytes


ReadContact = Callable[[str, bytes], ShownContact | None]
"""The contact that the response of a method shows; None where it shows none."""


class LedgerStore(Protocol):
    """The ledgers of all organizations.

    The properties are constants of the engine.
    """

    @property
    def lanes(self) -> int:
        """How many groups may be written side by side."""
        ...

    @property
    def shares_transactions(self) -> bool:
        """Whether one group may hold commands of several organizations."""
        ...

    async def heads(self, org_ids: Collection[str]) -> Mapping[str, Head]:
        """The heads of organizations, of those that exist, read after this was called."""

    async def read(self, reads: Sequence[LedgerRead]) -> Sequence[LedgerUpdate]:
        """New events and what was requested, in the order of `reads`, each at one number.

        Each read is of another organization.
        """

    async def append(self, appends: Sequence[Append]) -> Set[str]:
        """Write a group in one transaction, to each ledger whose head is where it was read.

        Returns the ids of the organizations that were written; a ledger whose head has moved, or
        that has a response under one of the new keys, gets nothing. Raises AppendRejected, and
        OutcomeUnknown where the store was lost before it answered.
        """

    async def expired_holds(
        self, now: int, limit: int, others: Collection[str] = ()
    ) -> Sequence[tuple[str, str]]:
        """The (org_id, hold_id) of holds that have expired and are not recorded to have, oldest
        first, at most `limit`; without those of some `others`."""

    async def drop_responses(self, now: int, keys: Collection[ResponseKey] = ()) -> None:
        """Delete the stored responses whose lifetime is over: of some keys, or all of them."""

    async def appointments(
        self,
        org_id: str,
        criteria: AppointmentFilter,
        after: tuple[int, str] | None,
        limit: int,
    ) -> Sequence[Reservation]:
        """Appointments by (start, appointment_id), those after the key `after`, at most `limit`."""

    async def holds(
        self, org_id: str, criteria: HoldFilter, now: int, after: str, limit: int
    ) -> Sequence[Reservation]:
        """Holds by id, those after the id `after`, at most `limit`, in their states at `now`."""

    async def appointment_changes(
        self, org_id: str, hold_id: str, revision: int, limit: int
    ) -> Sequence[ReservationChange]:
        """The changes since a reservation became an appointment, from a revision on."""

    async def contact_holds(self, org_id: str, key: str, first: str, limit: int) -> Sequence[str]:
        """The ids of the reservations that the contact of a key has, or has had, in order, from
        the id `first` on, at most `limit`."""

    async def upcoming_of_contact(
        self, org_id: str, key: str, now: int, limit: int
    ) -> Sequence[str]:
        """The ids of some confirmed appointments of a contact that are yet to end."""

    async def erase_contact(
        self,
        org_id: str,
        hold_ids: Collection[str],
        key: str,
        client_id: str,
        now: int,
        include_upcoming: bool,
    ) -> None:
        """Erase the contact of a key from reservations and their events, and record it.

        Appointments that are yet to end are left out unless they are included.
        """

    async def empty_responses(
        self, org_id: str, key: str, read_contact: ReadContact, until: float
    ) -> bool:
        """Empty the stored responses that show the contact of a key, where the event does no
        longer, until an instant of `time.monotonic`; returns whether none is left."""

    async def organizations_with_retention(self, after: str, limit: int) -> Sequence[str]:
        """Organizations after an id that keep contacts for a time only, in order."""

    async def erase_ended_contacts(self, org_id: str, now: int, limit: int) -> int:
        """Erase contacts that the organization keeps no longer; returns how many."""

    async def prune(self, org_id: str, before: int, limit: int) -> int:
        """Delete bookings that ended before an instant, with their events; at most so many.

        Returns how many there were. A hold whose expiry is not recorded stays, with
        its session.
        """

    async def organization_ids(self) -> Sequence[str]:
        """Every organization."""

    async def probe(self) -> None:
        """Return if the store can be written."""
