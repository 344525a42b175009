"""Queries and clean-up of the ledgers that are the same on both engines."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from functools import partial
from time import monotonic
from typing import Generic, Protocol, TypeVar
from weakref import WeakValueDictionary

from sqlalchemy import Connection

from zimun.booking.pause import Pause
from zimun.booking.store import (
    AppointmentFilter,
    HoldFilter,
    ReadContact,
    ReservationChange,
    ResponseKey,
)
from zimun.domain.ledger.reservation import Reservation
from zimun.storage import contact_responses, contacts, ledgers, lists
from zimun.storage.schema import UNREAD_CONTACT

T = TypeVar("T")


class Database(Protocol):
    """An engine's connections, with short reads, long reads and writes."""

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """The result of a short read."""
        ...

    async def scan(self, fn: Callable[[Connection], T]) -> T:
        """The result of a read that may take long."""
        ...

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """The result of a transaction."""
        ...


DatabaseT = TypeVar("DatabaseT", bound=Database)


class LedgerQueries(Generic[DatabaseT]):
    """The part of a `booking.store.LedgerStore` that is the same on both engines.

    `max_scans` are the long reads of an organization that run at the same time.
    """

    max_scans = 1

    def __init__(self, database: DatabaseT) -> None:
        self._database = database
        self._scans: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def _scan(self, org_id: str, fn: Callable[[Connection], T]) -> T:
        """Run a long read, after others of its organization; while it waits for them, it is a step
        of a long call (`booking.pause`)."""
        scans = self._scans.setdefault(org_id, asyncio.Semaphore(self.max_scans))
        if scans.locked():
            await Pause().take()
        async with scans:
            return await self._database.scan(fn)

    async def drop_responses(self, now: int, keys: Collection[ResponseKey] = ()) -> None:
        """Start a transaction only where there is a response to drop."""
        if keys:
            await self._database.write(partial(ledgers.drop_responses, keys=keys, now=now))
            return
        while keys := await self._database.read(lambda tx: ledgers.responses_over(tx, now)):
            await self._database.write(partial(ledgers.drop_responses, keys=keys, now=now))

    async def appointments(
        self,
        org_id: str,
        criteria: AppointmentFilter,
        after: tuple[int, str] | None,
        limit: int,
    ) -> Sequence[Reservation]:
        """Appointments in the order of the criteria, after a position."""
        return await self._scan(
            org_id, lambda tx: lists.appointments(tx, org_id, criteria, after, limit)
        )

    async def holds(
        self, org_id: str, criteria: HoldFilter, now: int, after: str, limit: int
    ) -> Sequence[Reservation]:
        """Holds in the order of their ids, after an id."""
        return await self._scan(
            org_id, lambda tx: lists.holds(tx, org_id, criteria, now, after, limit)
        )

    async def appointment_changes(
        self, org_id: str, hold_id: str, revision: int, limit: int
    ) -> Sequence[ReservationChange]:
        """Changes of an appointment, from a revision on."""
        return await self._scan(
            org_id, lambda tx: lists.appointment_changes(tx, org_id, hold_id, revision, limit)
        )

    async def contact_holds(self, org_id: str, key: str, first: str, limit: int) -> Sequence[str]:
        """Found by an index of contacts, and among appointments that were updated."""
        return await self._scan(org_id, lambda tx: contacts.holds_of(tx, org_id, key, first, limit))

    async def upcoming_of_contact(
        self, org_id: str, key: str, now: int, limit: int
    ) -> Sequence[str]:
        """Found by the index of contacts."""
        return await self._database.read(lambda tx: contacts.upcoming(tx, org_id, key, now, limit))

    async def erase_contact(
        self,
        org_id: str,
        hold_ids: Collection[str],
        key: str,
        client_id: str,
        now: int,
        include_upcoming: bool,
    ) -> None:
        """One transaction, after others that each empty a few of the earlier events."""
        if not include_upcoming:
            hold_ids = await self._database.read(
                partial(contacts.without_upcoming, org_id=org_id, hold_ids=hold_ids, now=now)
            )
        of_contact = await self._earlier_emptied(org_id, hold_ids, key)
        await self._database.write(
            lambda tx: contacts.erase(
                tx, org_id, hold_ids, key, client_id, now, include_upcoming, of_contact
            )
        )

    async def _earlier_emptied(
        self, org_id: str, hold_ids: Collection[str], key: str
    ) -> contacts.EventsOfContact:
        """Empty all but the last of many events that have a contact; returns those left, too."""
        of_contact = await self._scan(
            org_id, lambda tx: contacts.events_of_contact(tx, org_id, hold_ids, key)
        )
        empty, size = contacts.empty_events, contacts.MAX_ROWS_READ
        for begin in range(0, len(of_contact.earlier), size):
            seqs = of_contact.earlier[begin : begin + size]
            await self._database.write(partial(empty, org_id=org_id, seqs=seqs, key=key))
        return of_contact

    async def empty_responses(
        self, org_id: str, key: str, read_contact: ReadContact, until: float
    ) -> bool:
        """A few at a time; before, the contacts of those that are unread are read."""
        read, empty = contact_responses.responses_of, contact_responses.empty_responses
        for sought in (UNREAD_CONTACT, key):
            after = contact_responses.FIRST
            while rows := await self._scan(
                org_id, partial(read, org_id=org_id, contact=sought, after=after)
            ):
                shown = [(row, read_contact(row.key.method, row.response)) for row in rows]
                await self._database.write(
                    partial(empty, org_id=org_id, contact=key, responses=shown)
                )
                if len(rows) < contact_responses.MAX_RESPONSES:
                    break
                if monotonic() > until:
                    return False
                after = rows[-1].key
        return True

    async def organizations_with_retention(self, after: str, limit: int) -> Sequence[str]:
        """One statement."""
        return await self._database.read(lambda tx: contacts.with_retention(tx, after, limit))

    async def erase_ended_contacts(self, org_id: str, now: int, limit: int) -> int:
        """A transaction only where there is a contact to erase."""
        appointments = await self._scan(org_id, lambda tx: contacts.ended(tx, org_id, now, limit))
        if appointments is None:
            return 0
        of_contact = await self._earlier_emptied(org_id, appointments.hold_ids, "")
        await self._database.write(
            lambda tx: contacts.erase_ended(tx, org_id, appointments, now, of_contact)
        )
        return len(appointments.hold_ids)

    async def organization_ids(self) -> Sequence[str]:
        """Every organization."""
        return await self._database.read(ledgers.organization_ids)
