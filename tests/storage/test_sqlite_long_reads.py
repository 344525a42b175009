"""Reads on SQLite that may be long: those of commands wait for no list, export or erasure, and
those of an organization for no more than one of another."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection

from zimun.booking.pause import next_step
from zimun.booking.store import AppointmentFilter
from zimun.booking.time_off import CreateTimeOff
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.ledger.reservation import Reservation
from zimun.storage import lists
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


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[str], Callable[[], None]]]:
    """The organizations whose lists have begun, and what lets those of ORG end."""
    read, is_over = lists.appointments, threading.Event()
    org_ids: list[str] = []

    def noted(connection: Connection, org_id: str, *arguments: Any) -> Sequence[Reservation]:
        org_ids.append(org_id)
        if org_id == ORG:
            is_over.wait()
        return read(connection, org_id, *arguments)

    monkeypatch.setattr(lists, "appointments", noted)
    yield org_ids, is_over.set
    is_over.set()


def listing(stores: Stores, org_id: str) -> "asyncio.Task[Sequence[Reservation]]":
    return asyncio.create_task(stores.ledgers.appointments(org_id, AppointmentFilter(), None, 10))


async def test_lists_of_others_are_read_while_many_of_an_organization_take_long(
    sqlite_stores: Stores, begun: tuple[list[str], Callable[[], None]]
) -> None:
    org_ids, end = begun
    waits: list[str] = []

    async def step() -> None:
        waits.append("step of a long call")

    token = next_step.set(step)
    many = [listing(sqlite_stores, ORG) for _ in range(4)]
    next_step.reset(token)
    async with asyncio.timeout(DEADLINE):
        assert await listing(sqlite_stores, "o_other") == []
    assert (org_ids.count(ORG), len(waits)) == (1, 3)
    end()
    await asyncio.gather(*many)
    assert org_ids.count(ORG) == 4


async def test_cancelled_list_counts_until_its_statement_ends(
    sqlite_stores: Stores, begun: tuple[list[str], Callable[[], None]]
) -> None:
    org_ids, end = begun
    cancelled, next_one = listing(sqlite_stores, ORG), listing(sqlite_stores, ORG)
    async with asyncio.timeout(DEADLINE):
        await listing(sqlite_stores, "o_other")
        cancelled.cancel()
        await listing(sqlite_stores, "o_other")
    assert org_ids.count(ORG) == 1
    end()
    await next_one
    assert cancelled.cancelled() or (await asyncio.wait([cancelled]))[0]
    assert org_ids.count(ORG) == 2
