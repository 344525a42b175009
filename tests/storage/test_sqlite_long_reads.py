"""Reads on SQLite that may be long: those of commands wait for no list, export or erasure."""

import asyncio
import threading

from zimun.booking.time_off import CreateTimeOff
from zimun.domain.catalog.time_off import TimeOff
from zimun.storage.sqlite.database import SqliteDatabase
from zimun.stores import Stores

from .sample_catalog import ORG, at
from .sqlite_commands import DEADLINE


async def test_time_off_of_an_organization_is_made_while_a_scan_goes_on(
    sqlite_stores: Stores,
) -> None:
    database, is_over = sqlite_stores.database, threading.Event()
    assert isinstance(database, SqliteDatabase)
    scan = asyncio.ensure_future(database.scan(lambda connection: is_over.wait()))
    closed = TimeOff(owner_id=ORG, start=at(9), end=at(17))
    try:
        async with asyncio.timeout(DEADLINE):
            await sqlite_stores.writer.run(ORG, CreateTimeOff(closed, allow_conflicts=False))
        assert not scan.done()
    finally:
        is_over.set()
        assert await scan
    [made] = (await sqlite_stores.reader.catalog(ORG)).time_off.values()
    assert (made.start, made.end) == (closed.start, closed.end)
