"""Reading appointments, and recording what time alone has ended."""

import asyncio
from collections.abc import Sequence

from zimun.booking.reader import Reader
from zimun.booking.store import AppointmentFilter, LedgerStore
from zimun.booking.writer import Writer
from zimun.clock import Clock
from zimun.domain.commands import ExpireHold
from zimun.domain.identity import Caller
from zimun.domain.reservation import Reservation

MAX_EXPIRIES = 500
"""The most holds whose expiry is recorded at a time."""

PageKey = tuple[int, str]
"""Where a page begins: after the appointment with this (start, appointment_id)."""


async def get_appointment(reader: Reader, caller: Caller, appointment_id: str) -> Reservation:
    """One appointment; raises AppointmentNotFound."""
    return await reader.ask(
        caller.org_id, lambda ledger, timetable, now: ledger.appointment(appointment_id)
    )


async def list_appointments(
    store: LedgerStore, caller: Caller, wanted: AppointmentFilter, size: int, after: PageKey | None
) -> tuple[Sequence[Reservation], PageKey | None]:
    """A page of appointments in order of start, and the key after which the next one begins."""
    found = await store.appointments(caller.org_id, wanted, after, size + 1)
    page = found[:size]
    return page, key_of(page[-1]) if len(found) > size else None


def key_of(appointment: Reservation) -> PageKey:
    """The key after which a page begins that follows an appointment."""
    return appointment.start, appointment.appointment_id


async def expire_holds(store: LedgerStore, writer: Writer, clock: Clock) -> int:
    """Record what time alone has ended, in all organizations; answers how many holds that were.

    Nothing waits for it: a hold is over at its instant, recorded or not.
    """
    expired = await store.expired_holds(clock.now(), MAX_EXPIRIES)
    recorded = await asyncio.gather(
        *(writer.run(org_id, ExpireHold(hold_id)) for org_id, hold_id in expired)
    )
    return sum(recorded)
