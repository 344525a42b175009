"""Reading holds and appointments, and recording the expiry of holds."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from zimun.booking.reader import Reader
from zimun.booking.store import AppointmentFilter, HoldFilter, LedgerStore, ReservationChange
from zimun.booking.writer import Writer
from zimun.clock import Clock
from zimun.domain.commands import ExpireHold
from zimun.domain.identity import Caller
from zimun.domain.ledger.reservation import Reservation, as_of

MAX_EXPIRIES = 500
"""The most holds whose expiry is recorded at a time."""

PageKey = tuple[int, str]
"""Where a page begins: after the appointment with this (start, appointment_id), the hold with this
id, or the change that made this revision."""


async def get_appointment(reader: Reader, caller: Caller, appointment_id: str) -> Reservation:
    """One appointment; raises AppointmentNotFound."""
    return await reader.query(
        caller.org_id, lambda ledger, timetable, now: ledger.appointment(appointment_id)
    )


async def list_appointments(
    store: LedgerStore,
    caller: Caller,
    criteria: AppointmentFilter,
    size: int,
    after: PageKey | None,
) -> tuple[Sequence[Reservation], PageKey | None]:
    """A page of appointments by start, and the key after which the next one begins."""
    reservations = await store.appointments(caller.org_id, criteria, after, size + 1)
    page = reservations[:size]
    return page, key_of(page[-1]) if len(reservations) > size else None


def key_of(appointment: Reservation) -> PageKey:
    """The key after which a page begins that follows an appointment."""
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
    revision = after[0] if after else 0
    # The change before the page is read, too, as the first one is described by what it changed.
    changes = await store.appointment_changes(
        caller.org_id, appointment.hold_id, revision, size + 2
    )
    before = [None, *(change.reservation for change in changes)]
    described = [*map(DescribedChange, changes, before)][1 if after else 0 :]
    page = described[:size]
    return page, change_key_of(page[-1]) if len(described) > size else None


def change_key_of(described: DescribedChange) -> PageKey:
    """The key after which a page begins that follows a change."""
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
    holds = await store.holds(caller.org_id, criteria, now, after[1] if after else "", size + 1)
    page = holds[:size]
    return page, hold_key_of(page[-1]) if len(holds) > size else None


def hold_key_of(hold: Reservation) -> PageKey:
    """The key after which a page begins that follows a hold."""
    return 0, hold.hold_id


async def expire_holds(store: LedgerStore, writer: Writer, clock: Clock) -> int:
    """Record the expired holds of all organizations; returns how many holds that were.

    Nothing waits for it: a hold is over at its instant, recorded or not.
    """
    expired = await store.expired_holds(clock.now(), MAX_EXPIRIES)
    recorded = await asyncio.gather(
        *(writer.run(org_id, ExpireHold(hold_id)) for org_id, hold_id in expired)
    )
    return sum(recorded)
