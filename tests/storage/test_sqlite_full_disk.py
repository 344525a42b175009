"""A full disk: whoever cannot be served hears Overloaded, nothing is half done, and it passes."""

import asyncio
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from zimun.booking.reader import Reader
from zimun.booking.store import Append, AppointmentFilter
from zimun.clock import ManualClock
from zimun.domain.availability.busy_time import busy_time
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.entries import Resource, Service, StaffMember
from zimun.domain.errors import Overloaded
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.reservation import Reservation, State

from .appending import KEY, response
from .booking_client import BookingClient
from .engines import SqliteEngine
from .ledger_check import check_ledger
from .sample_catalog import CUT, KIOSK, NOW, ORG, SAM, at, create_salon, put_catalog

FREE_PAGES = 16
"""How many pages the disk has left when it is nearly full."""


class Disk:
    """The disk under every connection that is opened meanwhile, as large as it is told to be."""

    def __init__(self) -> None:
        self._connections: list[DBAPIConnection] = []

    def opened(self, connection: DBAPIConnection, _: object) -> None:
        self._connections.append(connection)

    def _each(self, pragma: str) -> Iterator[int]:
        for connection in self._connections:
            cursor = connection.cursor()
            cursor.execute(pragma)
            [[found]] = cursor.fetchall()
            cursor.close()
            yield found

    def nearly_full(self, free: int = FREE_PAGES) -> None:
        pages = max(self._each("PRAGMA page_count"))
        limits = list(self._each(f"PRAGMA max_page_count={pages + free}"))
        assert limits
        assert set(limits) == {pages + free}

    def has_space(self) -> None:
        limits = set(self._each("PRAGMA max_page_count=1000000"))
        assert limits == {1_000_000}


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
async def client(disk: Disk, sqlite_engine: SqliteEngine) -> AsyncIterator[BookingClient]:
    event.listen(Engine, "connect", disk.opened)
    clock = ManualClock(NOW)
    async with sqlite_engine.open(clock) as stores:
        event.remove(Engine, "connect", disk.opened)
        await create_salon(stores)
        yield BookingClient(stores, clock)
        check_ledger(sqlite_engine.tables(), clock.now())


Writing = Callable[[BookingClient, int], Awaitable[object]]


async def _hold(client: BookingClient, number: int) -> object:
    return await client.hold_bytes(at(24) + number * KIOSK.duration, KIOSK.id, key=f"key {number}")


async def _confirm(client: BookingClient, number: int) -> object:
    held = await client.hold(at(24) + number * KIOSK.duration, KIOSK.id)
    return await client.confirm(held.hold_id, replace(SAM, notes="x" * 5000))


async def _put_entry(client: BookingClient, number: int) -> object:
    entry = replace(CUT, id=f"s_{number}", description="x" * 20_000)
    await put_catalog(client.stores, entry)
    return entry


async def _grow_entry(client: BookingClient, number: int) -> object:
    entry = replace(CUT, description="x" * 10_000 * number)
    await put_catalog(client.stores, entry)
    return entry


async def _append_response(client: BookingClient, number: int) -> object:
    """A response by itself, appended to the store."""
    store = client.stores.ledgers
    head = (await store.heads([ORG]))[ORG]
    ledger = Ledger(ORG, *head)
    responses = {KEY._replace(key=f"{number}"): response(b"x" * 20_000)}
    return await store.append([Append(ledger, ledger, (), head.time, responses)])


WRITINGS: dict[str, Writing] = {
    "hold": _hold,
    "confirm": _confirm,
    "put": _put_entry,
    "grow": _grow_entry,
    "response": _append_response,
}


async def listed(client: BookingClient) -> Sequence[Reservation]:
    """The appointments, read on another connection than holds are."""
    return await client.stores.ledgers.appointments(ORG, AppointmentFilter(), None, 1000)


async def check_memory(client: BookingClient) -> None:
    """Assert that what is kept of the ledger in memory is what a reader without any finds."""
    fresh = Reader(client.stores.ledgers, client.clock)
    for service in (CUT, KIOSK):
        within = (at(0), at(24 * 30))

        def busy(ledger: Ledger, timetable: Timetable, now: int) -> object:
            own = timetable.catalog.entry(Service, service.id)  # noqa: B023 - asked at once
            return ledger.seq, busy_time(ledger, timetable.catalog, own, "", within, now)  # noqa: B023

        assert await client.stores.reader.query(ORG, busy) == await fresh.query(ORG, busy)
    known, read = await client.stores.reader.catalog(ORG), await fresh.catalog(ORG)
    assert known.organization == read.organization
    for kind in (Service, StaffMember, Resource):
        assert known.all(kind) == read.all(kind)


async def fill(client: BookingClient, write: Writing) -> int:
    """Write until the disk is full, and answer how often that went well."""
    for number in count():
        try:
            await write(client, number)
        except Overloaded:
            break
    return number


@pytest.mark.parametrize("what", WRITINGS)
async def test_writes_to_a_full_disk_are_overload_and_leave_nothing_half_done(
    client: BookingClient, disk: Disk, sqlite_engine: SqliteEngine, what: str
) -> None:
    write = WRITINGS[what]
    disk.nearly_full()
    done = await fill(client, write)
    assert done > 0  # it was the disk that ended it, and not the first try
    before = sqlite_engine.tables()
    for number in range(done + 1, done + 4):
        with pytest.raises(Overloaded):
            await write(client, number)
    check_ledger(sqlite_engine.tables(), NOW)
    await check_memory(client)
    if what != "confirm":  # there, a hold may still have fitted
        assert sqlite_engine.tables() == before


async def test_reads_go_on_while_the_disk_is_full_and_writes_once_there_is_room(
    client: BookingClient, disk: Disk
) -> None:
    disk.nearly_full()
    done = await fill(client, _hold)
    assert len(await client.slots(CUT.id)) == 48
    assert len(await listed(client)) == 0
    with pytest.raises(Overloaded):
        await put_catalog(client.stores, replace(CUT, description="x" * 99999))
    disk.has_space()
    # The key of the hold that was refused is free, and the hold is made now.
    assert await _hold(client, done)
    held = await client.hold(at(10), KIOSK.id)
    assert (await client.confirm(held.hold_id)).state is State.CONFIRMED


async def test_a_crowd_on_a_full_disk_is_answered_whole(
    client: BookingClient, disk: Disk, sqlite_engine: SqliteEngine
) -> None:
    disk.nearly_full(free=40)
    outcomes = await asyncio.gather(
        *(_confirm(client, number) for number in range(300)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert {type(outcome) for outcome in refused} == {Overloaded}
    tables = sqlite_engine.tables()
    check_ledger(tables, NOW)
    confirmed = [row for row in tables["reservations"] if row["state"] == "CONFIRMED"]
    assert len(confirmed) == 300 - len(refused)
    await check_memory(client)
    disk.has_space()
    assert await _confirm(client, 500)
    await check_memory(client)


async def test_recording_of_expiries_on_a_full_disk_is_overload_and_made_up_for_later(
    client: BookingClient, disk: Disk, sqlite_engine: SqliteEngine
) -> None:
    holds = [await client.hold(at(24) + n * KIOSK.duration, KIOSK.id) for n in range(200)]
    client.clock.instant = holds[-1].expires_at
    disk.nearly_full(free=1)
    with pytest.raises(Overloaded):
        await client.expire_holds()
    check_ledger(sqlite_engine.tables(), client.clock.now())
    assert at(0) in await client.slots(KIOSK.id)  # over all the same
    disk.has_space()
    await client.expire_holds()
    states = [row["state"] for row in sqlite_engine.tables()["reservations"]]
    assert states == ["EXPIRED"] * 200


@contextmanager
def no_file_grows_beyond(size: int) -> Iterator[None]:
    """Writes further out fail in this process, as they do on a disk that is truly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_commit_that_the_disk_refuses_is_overload_for_the_whole_group(
    client: BookingClient, sqlite_engine: SqliteEngine
) -> None:
    await _confirm(client, 0)
    wal = sqlite_engine.path.with_name(sqlite_engine.path.name + "-wal")
    before = sqlite_engine.tables()
    with no_file_grows_beyond(wal.stat().st_size):
        outcomes = await asyncio.gather(
            *(_hold(client, number) for number in range(1, 20)), return_exceptions=True
        )
        assert {type(outcome) for outcome in outcomes} == {Overloaded}
        assert len(await client.slots(CUT.id)) == 48
        assert len(await listed(client)) == 1
    assert sqlite_engine.tables() == before
    await check_memory(client)
    assert len({await _hold(client, number) for number in range(1, 20)}) == 19
