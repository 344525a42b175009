"""Reading holds and appointments: one, or a page of them, and the changes of an appointment."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from zimun.booking.reader import Reader
from zimun.booking.store import AppointmentFilter, HoldFilter, LedgerStore, ReservationChange
from zimun.domain.identity import Caller
from zimun.domain.ledger.reservation import Reservation, as_of
from zimun.domain.memory_size import weight

MAX_PART = 100
"""The most reservations or changes that are read at a time."""

MAX_PAGE_BYTES = 4_000_000
"""Bytes of contacts (`weight`) after which no more of a page is read."""

T = TypeVar("T")

PageKey = tuple[int, str]
"""Where a page begins: after the appointment with this (start, appointment_id), the hold with this
id, or the change that made this revision."""


async def get_appointment(reader: Reader, caller: Caller, appointment_id: str) -> Reservation:
    """One appointment; raises AppointmentNotFound."""
    return await reader.query(
        caller.org_id, lambda ledger, timetable, now: ledger.appointment(appointment_id)
    )


async def _page(
    read: Callable[[PageKey | None, int], Awaitable[Sequence[T]]],
    key: Callable[[T], PageKey],
    reservation_of: Callable[[T], Reservation],
    size: int,
    after: PageKey | None,
) -> tuple[Sequence[T], PageKey | None]:
    """A page, read in parts until it is full or has MAX_PAGE_BYTES.

    `read` returns the next items after a key, up to a number.
    """
    page: list[T] = []
    bytes_left = MAX_PAGE_BYTES
    while bytes_left > 0 and len(page) < size:
        limit = min(MAX_PART, size - len(page))
        part = await read(after, limit + 1)
        page += part[:limit]
        if len(part) <= limit:
            return page, None
        after = key(page[-1])
        bytes_left -= sum(weight(reservation_of(item).contact) for item in part[:limit])
    return page, after


async def list_appointments(
    store: LedgerStore,
    caller: Caller,
    criteria: AppointmentFilter,
    size: int,
    after: PageKey | None,
) -> tuple[Sequence[Reservation], PageKey | None]:
    """A page of appointments by start, and the key after which the next one begins."""

    def read(after: PageKey | None, limit: int) -> Awaitable[Sequence[Reservation]]:
        return store.appointments(caller.org_id, criteria, after, limit)

    return await _page(read, key_of, lambda reservation: reservation, size, after)


def key_of(appointment: Reservation) -> PageKey:
    """The key of an appointment in its list, after which the next page begins."""
    return appointment.start, appointment.appointment_id


@dataclass(frozen=True, slots=True)
class DescribedChange:
    """A change of an appointment with the appointment before it; None when it was confirmed."""

    change: ReservationChange
    before: Reservation | None


async def list_changes(
    reader: Reader,
    store: LedgerStore,
    caller: Caller,
    appointment_id: str,
    size: int,
    after: PageKey | None,
) -> tuple[Sequence[DescribedChange], PageKey | None]:
    """A page of the changes of an appointment, oldest first; raises AppointmentNotFound."""
    appointment = await get_appointment(reader, caller, appointment_id)

    def read(after: PageKey | None, limit: int) -> Awaitable[Sequence[DescribedChange]]:
        revision = after[0] if after else 0
        return describe_changes(store, caller.org_id, appointment.hold_id, revision, limit)

    return await _page(
        read, change_key_of, lambda described: described.change.reservation, size, after
    )


async def describe_changes(
    store: LedgerStore, org_id: str, hold_id: str, revision: int, limit: int
) -> Sequence[DescribedChange]:
    """The next changes of a reservation after a revision."""
    # The change before them is read, too, as the first one is described by what it changed.
    skipped = 1 if revision else 0
    changes = await store.appointment_changes(org_id, hold_id, revision, limit + skipped)
    before = [None, *(change.reservation for change in changes)]
    return [*map(DescribedChange, changes, before)][skipped:]


def change_key_of(described: DescribedChange) -> PageKey:
    """The key of a change in its list, after which the next page begins."""
    return described.change.reservation.revision, ""


async def get_hold(reader: Reader, caller: Caller, hold_id: str) -> Reservation:
    """One hold as it stands now; raises HoldNotFound."""
    return await reader.query(
        caller.org_id,
        lambda ledger, timetable, now: as_of(ledger.reservation(hold_id), now),
    )


async def list_holds(
    reader: Reader,
    store: LedgerStore,
    caller: Caller,
    criteria: HoldFilter,
    size: int,
    after: PageKey | None,
) -> tuple[Sequence[Reservation], PageKey | None]:
    """A page of holds in order of id, as they stand now."""
    now = await reader.query(caller.org_id, lambda ledger, timetable, now: now)

    def read(after: PageKey | None, limit: int) -> Awaitable[Sequence[Reservation]]:
        return store.holds(caller.org_id, criteria, now, after[1] if after else "", limit)

    return await _page(read, hold_key_of, lambda reservation: reservation, size, after)


def hold_key_of(hold: Reservation) -> PageKey:
    """The key of a hold in its list, after which the next page begins."""
    return 0, hold.hold_id
