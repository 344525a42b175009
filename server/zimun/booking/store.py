"""What booking asks of a store: transactions as functions.

A transaction is a plain synchronous function of a `Transaction`. Returning
commits, raising rolls back. Each kind of store implements this once; the
functions passed in never know which one runs them.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol, TypeVar

from zimun.domain.availability import Busy
from zimun.domain.booking import EventType, Reservation, State
from zimun.domain.catalog import (
    Catalog,
    Location,
    Organization,
    Override,
    Resource,
    Service,
    StaffMember,
)
from zimun.domain.intervals import Interval
from zimun.domain.timetable import Timetable

T = TypeVar("T")

Identity = tuple[str, str, str, str]
"""Of an Idempotency-Key: organization, client, method, key."""

CatalogEntry = Service | StaffMember | Resource | Location


@dataclass(frozen=True, slots=True)
class Answer:
    """What an Idempotency-Key was answered: the request's fingerprint and the response's bytes.

    The key is free again at `expires_at`.
    """

    fingerprint: bytes
    response: bytes
    expires_at: int


@dataclass(frozen=True, slots=True)
class AppointmentFilter:
    """Which appointments to list: starts in [start_from, start_before); empty and None mean any."""

    service_id: str = ""
    staff_id: str = ""
    state: State | None = None
    start_from: int | None = None
    start_before: int | None = None


class Transaction(Protocol):
    """The rows that booking decisions read and write. Times are instants in microseconds."""

    def timetable(self, org_id: str) -> Timetable:
        """The organization's catalogue as this transaction sees it.

        Raises TokenInvalid where there is no such organization: only a token
        names one.
        """

    def busy(
        self,
        catalog: Catalog,
        service: Service,
        within: Interval,
        now: int,
        leaving: Reservation | None = None,
    ) -> Busy:
        """What is taken, within an interval, of all that the service could take, at `now`.

        What the reservation `leaving` takes does not count.
        """

    def staff_load(
        self, org_id: str, staff_ids: Sequence[str], day: Interval, longest_span: int, now: int
    ) -> Mapping[str, tuple[int, int]]:
        """Each staff member's (bookings that start within the day, instant of the last booking).

        Nothing taken is longer than `longest_span`.
        """

    def lock(self, org_id: str, subjects: Iterable[tuple[str, Interval]]) -> bool:
        """Make others who lock one of the subjects, at some of its time, wait for the end of this
        transaction.

        Answers whether they may have written since it began: then what was read
        before must be read again. Whoever changes what is taken of a subject
        locks it first, and all that it will need at once.
        """

    def lock_catalog(self, org_id: str) -> None:
        """Make others who change the catalogue wait for the end of this transaction."""

    def run_out(
        self,
        org_id: str,
        subjects: Sequence[str],
        within: Interval,
        longest_span: int,
        now: int,
    ) -> list[str]:
        """The ids, in order, of holds that have run out and still take some of the subjects.

        Nothing taken is longer than `longest_span`.
        """

    def hold(self, org_id: str, hold_id: str) -> Reservation:
        """The reservation of a hold; raises HoldNotFound."""

    def appointment(self, org_id: str, appointment_id: str) -> Reservation:
        """The reservation of an appointment; raises AppointmentNotFound."""

    def appointments(
        self, org_id: str, wanted: AppointmentFilter, after: tuple[int, str] | None, limit: int
    ) -> list[Reservation]:
        """Appointments by (start, appointment_id), those after the key `after`, at most `limit`."""

    def stale_holds(self, org_id: str, now: int, limit: int) -> list[str]:
        """The ids of holds whose time has run out and is not recorded to have, oldest first."""

    def add(self, event: EventType, reservation: Reservation, client_id: str) -> None:
        """Keep a new reservation, and the event that made it."""

    def change(
        self, event: EventType, before: Reservation, after: Reservation, client_id: str
    ) -> None:
        """Replace a reservation, and append the event of its new revision.

        `client_id` is empty for what time brought about. Its seats are given
        back to the session that it leaves.
        """

    def allocate(
        self,
        reservation: Reservation,
        subjects: Iterable[str],
        taken: Interval,
        booked_at: int,
        capacity: int,
    ) -> None:
        """Take the subjects for the reservation's new session until the reservation's hold expires.

        The session has `capacity` seats.
        """

    def join(self, reservation: Reservation, capacity: int) -> None:
        """Take seats for a reservation in its session, which runs already."""

    def settle(self, org_id: str, session_id: str) -> None:
        """Make a session's allocations last as long as its last reservation, or end them.

        Those of a hold that has run out stay, without taking anything, until that is recorded.
        """

    def recall(
        self, org_id: str, client_id: str, method: str, key: str, locking: bool = False
    ) -> Answer | None:
        """What the Idempotency-Key was answered, if it is kept.

        With `locking` others who do the same wait for the end of this transaction.
        """

    def answered(self, identities: Collection[Identity]) -> Set[Identity]:
        """Those Idempotency-Keys, each with whose and what for it is, that have an answer kept."""

    def remember(self, org_id: str, client_id: str, method: str, key: str, answer: Answer) -> None:
        """Keep an answer for its Idempotency-Key."""

    def forgettable(self, org_id: str, now: int) -> bool:
        """Whether there is an answer whose lifetime is over."""

    def forget(self, org_id: str, now: int) -> None:
        """Drop the answers whose lifetime is over."""

    def prune(self, org_id: str, before: int, limit: int) -> int:
        """Delete bookings that ended before an instant, with their events; at most so many.

        Answers how many there were. A hold that is not recorded to be over stays.
        """

    def organization_ids(self) -> list[str]:
        """Every organization."""

    def put_organization(self, organization: Organization) -> None:
        """Insert or replace the organization."""

    def put_entry(self, org_id: str, entry: CatalogEntry) -> None:
        """Insert or replace a catalogue entry."""

    def put_override(self, org_id: str, override: Override) -> None:
        """Insert or replace the override of this owner and date."""

    def delete_override(self, org_id: str, override_id: str) -> None:
        """Delete the override of this id."""

    def touch(self) -> None:
        """Change a row that means nothing, to learn whether the store can be written."""


class Store(Protocol):
    """Where everything is kept.

    `shared` says that transactions run side by side, and may wait for each other.
    """

    @property
    def shared(self) -> bool: ...

    def version(self) -> int | None:
        """A number that is another one once anybody has committed anything; None if unknown."""

    async def read(self, fn: Callable[[Transaction], T]) -> T:
        """Run a short `fn` on one consistent snapshot.

        Raises Overloaded when the store cannot be read.
        """

    async def scan(self, fn: Callable[[Transaction], T]) -> T:
        """As `read`, for an `fn` whose statements may take longer than a few milliseconds."""

    async def write(self, fn: Callable[[Transaction], T]) -> T:
        """Run `fn` as one serializable transaction; when this returns, its effect is on disk.

        `fn` may run more than once and must do nothing but talk to its
        transaction. Raises what `fn` raises, after rolling back, and Overloaded
        when the store cannot be written (nothing was done).
        """
