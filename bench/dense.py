"""`python -m bench.dense`: what others notice of an organization with very many appointments.

One organization has 300,000 appointments of a minute in eight days, all of one contact. Beside each
of its calls below, eight other organizations hold slots, each with short rests. Told are, in
milliseconds of processor time of the process: the longest step of the event loop, the longest that
a hold of the others took, and the call itself; last the most seconds of a hold of the others by the
clock, which has what a database server takes, too, and whatever else the machine does.
"""

import argparse
import asyncio
import tempfile
import time
from asyncio.events import Handle
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import URL

from bench.catalogue import book
from tests.support.postgres import run_postgres
from zimun.app import tune_garbage_collector
from zimun.booking import expiry
from zimun.booking.catalog import CreateOrganization
from zimun.booking.change_request import new_id
from zimun.booking.time_off import CreateTimeOff
from zimun.clock import ManualClock
from zimun.domain.appointment_commands import BookAppointment
from zimun.domain.availability.slot_request import SlotRequest
from zimun.domain.catalog.booking_limit import BookingLimit, LimitPeriod, LimitSubject
from zimun.domain.catalog.entries import Organization, Service, StaffMember
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.commands import Hold
from zimun.domain.errors import ZimunError
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.ledger.events import CatalogEntry, EventType, ReservationEvent, Session
from zimun.domain.ledger.loading import BLOCK
from zimun.domain.ledger.reservation import Contact, Reservation, State
from zimun.storage.migrate import migrate
from zimun.storage.postgresql.database import Timeouts
from zimun.storage.urls import database_url
from zimun.stores import Stores, open_database

DENSE = "o_dense"
OTHERS = tuple(f"o_other_{n}" for n in range(8))
LATE = "o_late"
STAFF = tuple(f"t_{n}" for n in range(27))
FIRST = 2_600 * BLOCK
"""When the appointments begin, with a block of the ledger: in 2026."""

NOW = FIRST - DAY
FREE = FIRST + BLOCK - MINUTE
"""A free minute, in the same block."""

SAM = Contact(name="Sam", email="sam@example.com")
EXPIRED = 5_000
"""Holds of the organization that expire at the same moment as one of another."""


def entries() -> Iterator[CatalogEntry]:
    """People who are there day and night, and services of a minute; two have limits."""
    always = dict.fromkeys(range(7), ((0, 24 * 60),))
    for staff_id in STAFF:
        yield StaffMember(id=staff_id, name=staff_id, time_zone="UTC", weekly_hours=always)
    plain = Service(
        id="s_plain",
        name="Plain",
        duration=MINUTE,
        slot_step=MINUTE,
        horizon=1_000 * DAY,
        staff_ids=STAFF,
    )
    for service_id, per in (("s_customer", LimitSubject.CUSTOMER), ("s_all", LimitSubject.SERVICE)):
        limit = BookingLimit(max_bookings=100_000, period=LimitPeriod.UPCOMING, per=per)
        yield replace(plain, id=service_id, name=service_id, booking_limits=(limit,))
    yield plain


def appointments(bookings: int) -> Iterator[ReservationEvent]:
    """Minute after minute of all staff members but the last; every third of a limited service."""
    for number in range(bookings):
        minute, person = divmod(number, len(STAFF) - 1)
        service_id = "s_plain" if number % 3 else "s_all"
        start = FIRST + minute * MINUTE
        yield booking(f"{number}", service_id, STAFF[person], start, State.CONFIRMED)


def holds(count: int) -> Iterator[ReservationEvent]:
    """Holds of long after that expire in a minute."""
    for number in range(count):
        start = FIRST + 20 * DAY + number * MINUTE
        yield booking(f"held_{number}", "s_plain", STAFF[0], start, State.HELD)


def booking(
    name: str, service_id: str, staff_id: str, start: int, state: State
) -> ReservationEvent:
    """A reservation of a minute as it is recorded."""
    is_held = state is State.HELD
    reservation = Reservation(
        org_id=DENSE,
        hold_id=f"h_{name}",
        session_id=f"x_{name}",
        service_id=service_id,
        location_id="",
        staff_id=staff_id,
        resource_ids=(),
        seats=1,
        start=start,
        end=start + MINUTE,
        state=state,
        expires_at=NOW + MINUTE,
        create_time=NOW,
        update_time=NOW,
        appointment_id="" if is_held else f"a_{name}",
        confirm_time=0 if is_held else NOW,
        contact=Contact() if is_held else SAM,
    )
    session = Session(
        session_id=reservation.session_id,
        service_id=service_id,
        location_id="",
        staff_id=staff_id,
        resource_ids=(),
        start=start,
        end=reservation.end,
        busy=(start, reservation.end),
        booked_at=NOW,
        capacity=1,
    ).joined_by(reservation)
    kind = EventType.HOLD_CREATED if is_held else EventType.APPOINTMENT_CONFIRMED
    return ReservationEvent(kind, "", reservation, (session,))


async def seed(stores: Stores, bookings: int) -> None:
    """Make all organizations, and what the dense one has booked."""
    for org_id in (DENSE, LATE, *OTHERS):
        organization = Organization(id=org_id, name=org_id, time_zone="UTC")
        creation = CreateOrganization(organization, tuple(entries()))
        await stores.writer.run(org_id, creation, creates=True)
    await book(stores.writer, appointments(bookings), DENSE)


def hold(start: int, service_id: str = "s_plain", staff_id: str = "") -> Hold:
    """A hold of a minute."""
    request = SlotRequest(service_id=service_id, staff_id=staff_id)
    return Hold(request, start, new_id("h"), new_id("x"))


def appointment(start: int, service_id: str) -> BookAppointment:
    """An appointment of a minute, of the contact that all have."""
    return BookAppointment(hold(start, service_id), new_id("a"), SAM)


def time_off(owner_id: str, begin: int, end: int) -> CreateTimeOff:
    """Time off that leaves the appointments which it meets."""
    return CreateTimeOff(TimeOff(owner_id=owner_id, start=begin, end=end), allow_conflicts=True)


@dataclass
class Noticed:
    """What was noticed beside a call: seconds of processor time, the last of the clock."""

    step: float = 0.0
    wait: float = 0.0
    call: float = 0.0
    waited: float = 0.0


@asynccontextmanager
async def watched(stores: Stores, minute: int) -> AsyncIterator[Noticed]:
    """Others book beside what runs in the context; each finds what it needs in memory."""
    noticed, run = Noticed(), Handle._run

    def timed(handle: Handle) -> None:
        begin = time.thread_time()
        run(handle)
        noticed.step = max(noticed.step, time.thread_time() - begin)

    async def other(org_id: str) -> None:
        for number in range(1_000_000):
            command = hold(FIRST + (minute * 2_000 + number) * MINUTE, staff_id=STAFF[number % 27])
            begin, begun = time.process_time(), time.perf_counter()
            await stores.writer.run(org_id, command)
            if number > 5:
                noticed.wait = max(noticed.wait, time.process_time() - begin)
                noticed.waited = max(noticed.waited, time.perf_counter() - begun)
            await asyncio.sleep(0.02)

    tasks = [asyncio.create_task(other(org_id)) for org_id in OTHERS]
    await asyncio.sleep(0.5)
    Handle._run = timed  # type: ignore[method-assign,assignment]
    try:
        begin = time.process_time()
        yield noticed
        noticed.call = time.process_time() - begin
        await asyncio.sleep(0.3)
    finally:
        Handle._run = run  # type: ignore[method-assign]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


Call = Callable[[], Awaitable[object]]


async def measure(url: URL, bookings: int) -> None:
    """Seed a database, and print a line for each call."""
    clock = ManualClock(NOW)
    async with open_database(url, clock, timeouts=Timeouts(None, None, None)) as stores:
        await seed(stores, bookings)
        tune_garbage_collector()
        run = stores.writer.run
        calls: dict[str, Call] = {
            "nothing": lambda: asyncio.sleep(0),
            "a hold, nothing in memory": lambda: run(DENSE, hold(FREE)),
            "the same in memory": lambda: run(DENSE, hold(FREE + MINUTE)),
            "a hold of a taken time": lambda: run(DENSE, hold(FIRST + HOUR, staff_id=STAFF[1])),
            "limit of a customer": lambda: run(DENSE, appointment(FREE + HOUR, "s_customer")),
            "the same in memory ": lambda: run(DENSE, appointment(FREE + 2 * HOUR, "s_customer")),
            "limit of a service": lambda: run(DENSE, appointment(FREE + 3 * HOUR, "s_all")),
            "the same in memory  ": lambda: run(DENSE, appointment(FREE + 4 * HOUR, "s_all")),
            "time off of a person": lambda: run(DENSE, time_off(STAFF[2], FIRST, FIRST + BLOCK)),
            "time off of all, an hour": lambda: run(DENSE, time_off(DENSE, FIRST, FIRST + HOUR)),
            "time off of all, 30 days": lambda: run(
                DENSE, time_off(DENSE, FIRST - 5 * DAY, FIRST + 25 * DAY)
            ),
        }
        for number, (name, call) in enumerate(calls.items()):
            if "in memory" not in name or "nothing" in name:
                stores.reader.forget()
            async with watched(stores, number) as noticed:
                outcome = "done"
                try:
                    await call()
                except ZimunError as error:
                    outcome = f"{error.reason}"
            figures = (noticed.step, noticed.wait, noticed.call)
            text = "".join(f"{seconds * 1000:>10,.0f}" for seconds in figures)
            print(f"{name.strip():<28}{text}{noticed.waited:>10.2f}  {outcome}", flush=True)
        await expiries(stores, clock)


async def expiries(stores: Stores, clock: ManualClock) -> None:
    """Print how often expiries are recorded until that of another's hold is."""
    await book(stores.writer, holds(EXPIRED), DENSE)
    clock.instant = NOW + 1
    held = await stores.writer.run(LATE, hold(FIRST))
    clock.instant = NOW + HOUR
    rounds = 0
    while (LATE, held.hold_id) in await stores.ledgers.expired_holds(clock.now(), 1_000_000):
        rounds += 1
        await expiry.expire_holds(stores.ledgers, stores.writer, clock)
    print(f"another's expiry is recorded in round {rounds} after {EXPIRED:,} holds of this one")


def main(stores: str, bookings: int) -> None:
    """Measure the stores, one after the other."""
    print(f"{'milliseconds':<28}{'step':>10}{'others':>10}{'call':>10}{'clock/s':>10}")
    if stores != "PostgreSQL":
        with tempfile.TemporaryDirectory() as directory:
            url = database_url("", Path(directory))
            migrate(url)
            print("SQLite")
            asyncio.run(measure(url, bookings))
    if stores != "SQLite":
        with run_postgres() as server:
            url = database_url(server.url(server.create()), Path())
            migrate(url)
            print("PostgreSQL")
            asyncio.run(measure(url, bookings))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.dense", description=__doc__)
    parser.add_argument("--stores", choices=("SQLite", "PostgreSQL", "both"), default="both")
    parser.add_argument("--bookings", type=int, default=300_000)
    main(**vars(parser.parse_args()))
