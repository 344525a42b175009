"""A full disk: whoever cannot be served hears Overloaded, nothing is half done, and it passes."""

import asyncio
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from zimun.booking.store import Answer
from zimun.domain.errors import Overloaded
from zimun.domain.instant import DAY
from zimun.domain.reservation import State

from .desk import CUT, KIOSK, NOW, ORG, SAM, Desk, Embedded, at, check_ledger, open_salon

ROOM = 12
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

    def nearly_full(self, room: int = ROOM) -> None:
        pages = max(self._each("PRAGMA page_count"))
        limits = list(self._each(f"PRAGMA max_page_count={pages + room}"))
        assert limits
        assert set(limits) == {pages + room}

    def has_room(self) -> None:
        limits = set(self._each("PRAGMA max_page_count=1000000"))
        assert limits == {1_000_000}


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
async def desk(disk: Disk, embedded: Embedded) -> AsyncIterator[Desk]:
    event.listen(Engine, "connect", disk.opened)
    async with embedded.open() as store:
        event.remove(Engine, "connect", disk.opened)
        await store.write(open_salon)
        opened = Desk(store)
        yield opened
        check_ledger(embedded.tables(), opened.clock.now())


Writing = Callable[[Desk, int], Awaitable[object]]


async def _hold(desk: Desk, number: int) -> object:
    return await desk.hold_bytes(at(24) + number * KIOSK.duration, KIOSK.id, key=f"key {number}")


async def _confirm(desk: Desk, number: int) -> object:
    held = await desk.hold(at(24) + number * KIOSK.duration, KIOSK.id)
    return await desk.confirm(held.hold_id, replace(SAM, notes="x" * 5000))


async def _put_entry(desk: Desk, number: int) -> object:
    entry = replace(CUT, id=f"s_{number}", description="x" * 20_000)
    return await desk.store.write(lambda tx: tx.put_entry(ORG, entry))


async def _grow_entry(desk: Desk, number: int) -> object:
    entry = replace(CUT, description="x" * 10_000 * number)
    return await desk.store.write(lambda tx: tx.put_entry(ORG, entry))


async def _remember(desk: Desk, number: int) -> object:
    answer = Answer(b"", b"x" * 20_000, NOW + DAY)
    return await desk.store.write(lambda tx: tx.remember(ORG, "c", "m", f"{number}", answer))


WRITINGS: dict[str, Writing] = {
    "hold": _hold,
    "confirm": _confirm,
    "put": _put_entry,
    "grow": _grow_entry,
    "remember": _remember,
}


async def fill(desk: Desk, write: Writing) -> int:
    """Write until the disk is full, and answer how often that went well."""
    for number in count():
        try:
            await write(desk, number)
        except Overloaded:
            break
    return number


@pytest.mark.parametrize("what", WRITINGS)
async def test_writes_to_a_full_disk_are_overload_and_leave_nothing_half_done(
    desk: Desk, disk: Disk, embedded: Embedded, what: str
) -> None:
    write = WRITINGS[what]
    disk.nearly_full()
    done = await fill(desk, write)
    assert done > 0  # it was the disk that ended it, and not the first try
    before = embedded.tables()
    for number in range(done + 1, done + 4):
        with pytest.raises(Overloaded):
            await write(desk, number)
    check_ledger(embedded.tables(), NOW)
    if what != "confirm":  # there, a hold may still have fitted
        assert embedded.tables() == before


async def test_reads_go_on_while_the_disk_is_full_and_writes_once_there_is_room(
    desk: Desk, disk: Disk
) -> None:
    disk.nearly_full()
    done = await fill(desk, _hold)
    assert len(await desk.slots(CUT.id)) == 48
    assert await desk.store.scan(lambda tx: tx.organization_ids()) == [ORG]
    with pytest.raises(Overloaded):
        await desk.store.write(
            lambda tx: tx.remember(ORG, "c", "m", "k", Answer(b"", b"x" * 99999, 1))
        )
    disk.has_room()
    # The key of the hold that was refused is free, and the hold is made now.
    assert await _hold(desk, done)
    held = await desk.hold(at(10), KIOSK.id)
    assert (await desk.confirm(held.hold_id)).state is State.CONFIRMED


async def test_a_crowd_on_a_full_disk_is_answered_whole(
    desk: Desk, disk: Disk, embedded: Embedded
) -> None:
    disk.nearly_full(room=40)
    outcomes = await asyncio.gather(
        *(_confirm(desk, number) for number in range(300)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert {type(outcome) for outcome in refused} == {Overloaded}
    tables = embedded.tables()
    check_ledger(tables, NOW)
    confirmed = [row for row in tables["reservations"] if row["state"] == "CONFIRMED"]
    assert len(confirmed) == 300 - len(refused)
    disk.has_room()
    assert await _confirm(desk, 500)


async def test_a_sweep_on_a_full_disk_is_overload_and_made_up_for_later(
    desk: Desk, disk: Disk, embedded: Embedded
) -> None:
    holds = [await desk.hold(at(24) + n * KIOSK.duration, KIOSK.id) for n in range(200)]
    desk.clock.instant = holds[-1].expires_at
    disk.nearly_full(room=1)
    with pytest.raises(Overloaded):
        await desk.sweep()
    check_ledger(embedded.tables(), desk.clock.now())
    assert at(0) in await desk.slots(KIOSK.id)  # over all the same
    disk.has_room()
    await desk.sweep()
    states = [row["state"] for row in embedded.tables()["reservations"]]
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
    desk: Desk, embedded: Embedded
) -> None:
    await _confirm(desk, 0)
    wal = embedded.path.with_name(embedded.path.name + "-wal")
    before = embedded.tables()
    with no_file_grows_beyond(wal.stat().st_size):
        outcomes = await asyncio.gather(
            *(_hold(desk, number) for number in range(1, 20)), return_exceptions=True
        )
        assert {type(outcome) for outcome in outcomes} == {Overloaded}
        assert len(await desk.slots(CUT.id)) == 48
        assert await desk.store.scan(lambda tx: tx.organization_ids()) == [ORG]
    assert embedded.tables() == before
    assert len({await _hold(desk, number) for number in range(1, 20)}) == 19
