"""Queries and clean-up of the ledgers that are the same on both engines."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Connection

from zimun.booking.store import AppointmentFilter, HoldFilter, ReservationChange
from zimun.domain.reservation import Reservation
from zimun.storage import ledgers, lists

T = TypeVar("T")


class Database(Protocol):
    """An engine's connections, with short reads, long reads and writes."""

    async def read(self, fn: Callable[[Connection], T]) -> T: ...
    async def scan(self, fn: Callable[[Connection], T]) -> T: ...
    async def write(self, fn: Callable[[Connection], T]) -> T: ...


DatabaseT = TypeVar("DatabaseT", bound=Database)


class LedgerQueries(Generic[DatabaseT]):
    """The part of a `booking.store.LedgerStore` that is the same on both engines."""

    def __init__(self, database: DatabaseT) -> None:
        self._database = database

    async def drop_responses(self, now: int, org_ids: Collection[str] = ()) -> None:
        """Start a transaction only where there is a response to drop."""
        if org_ids:
            await self._database.write(lambda tx: ledgers.drop_responses_of(tx, org_ids, now))
            return
        while over := await self._database.read(lambda tx: ledgers.responses_over(tx, now)):
            await self._database.write(partial(ledgers.drop_responses, keys=over, now=now))

    async def appointments(
        self,
        org_id: str,
        criteria: AppointmentFilter,
        after: tuple[int, str] | None,
        limit: int,
    ) -> Sequence[Reservation]:
        """Appointments in the order of the criteria, after a position."""
        return await self._database.scan(
            lambda tx: lists.appointments(tx, org_id, criteria, after, limit)
        )

    async def holds(
        self, org_id: str, criteria: HoldFilter, now: int, after: str, limit: int
    ) -> Sequence[Reservation]:
        """Holds in the order of their ids, after an id."""
        return await self._database.scan(
            lambda tx: lists.holds(tx, org_id, criteria, now, after, limit)
        )

    async def appointment_changes(
        self, org_id: str, hold_id: str, revision: int, limit: int
    ) -> Sequence[ReservationChange]:
        """Changes of an appointment, from a revision on."""
        return await self._database.scan(
            lambda tx: lists.appointment_changes(tx, org_id, hold_id, revision, limit)
        )

    async def organization_ids(self) -> Sequence[str]:
        """Every organization."""
        return await self._database.read(ledgers.organization_ids)
