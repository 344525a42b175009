"""Groups of commands on SQLite: one commit, in order, each command refused alone."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from zimun.booking.writer import MAX_GROUP
from zimun.clock import ManualClock
from zimun.domain.booking_errors import SlotUnavailable
from zimun.domain.catalog.catalog import Catalog
from zimun.stores import Stores

from .booking_client import BookingClient
from .engines import SqliteEngine
from .sample_catalog import CLASS, KIOSK, NOW, ORG, at, create_salon
from .sqlite_commands import AddLocation, begin, committed, locked, outcomes_of, run_ready


def refuse(error: BaseException) -> Callable[[Catalog], object]:
    def run(catalog: Catalog) -> object:
        raise error

    return run


class Trace:
    """The statements of every connection that is opened meanwhile."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def opened(self, connection: DBAPIConnection, _: object) -> None:
        assert isinstance(connection, sqlite3.Connection)
        connection.set_trace_callback(self.statements.append)

    def count(self, statement: str) -> int:
        return self.statements.count(statement)


@pytest.fixture
def trace() -> Iterator[Trace]:
    found = Trace()
    event.listen(Engine, "connect", found.opened)
    yield found
    event.remove(Engine, "connect", found.opened)


async def test_refused_command_is_refused_alone_and_its_group_is_committed(
    sqlite_engine: SqliteEngine, sqlite_stores: Stores
) -> None:
    commands = [
        AddLocation(f"l_{n}", refuse(LookupError(n)) if n % 3 == 0 else lambda catalog: None)
        for n in range(MAX_GROUP // 2)
    ]
    outcomes = await outcomes_of(begin(sqlite_stores, *commands))
    for n, outcome in enumerate(outcomes):
        if n % 3 == 0:
            assert isinstance(outcome, LookupError)
            assert outcome.args == (n,)
        else:
            assert outcome == f"l_{n}"
    assert committed(sqlite_engine) == {f"l_{n}" for n in range(MAX_GROUP // 2) if n % 3}


async def test_group_of_refused_commands_writes_nothing(
    trace: Trace, sqlite_engine: SqliteEngine
) -> None:
    async with sqlite_engine.open() as stores:
        await create_salon(stores)
        before = trace.count("BEGIN IMMEDIATE")
        tasks = begin(stores, *(AddLocation("l_1", refuse(LookupError())) for _ in range(5)))
        assert {type(outcome) for outcome in await outcomes_of(tasks)} == {LookupError}
        assert trace.count("BEGIN IMMEDIATE") == before


async def test_commands_of_one_group_share_one_commit_and_see_each_other(
    trace: Trace, sqlite_engine: SqliteEngine
) -> None:
    seen: list[tuple[set[str], set[str]]] = []

    def look(catalog: Catalog) -> None:
        seen.append(({*catalog.locations}, committed(sqlite_engine)))

    async with sqlite_engine.open() as stores:
        await create_salon(stores)
        before = trace.count("COMMIT")
        commands = [AddLocation(f"l_{n}", look) for n in range(3)]
        await outcomes_of(begin(stores, *commands))
        writes = [one for one in trace.statements if one == "BEGIN IMMEDIATE"]
        assert len(writes) == 2  # the sqlite_stores, and the group
        assert trace.count("COMMIT") > before
    assert seen == [(set(), set()), ({"l_0"}, set()), ({"l_0", "l_1"}, set())]
    assert committed(sqlite_engine) == {"l_0", "l_1", "l_2"}


async def test_refusal_does_not_hide_from_later_commands_what_earlier_ones_did(
    sqlite_stores: Stores,
) -> None:
    client = BookingClient(sqlite_stores, ManualClock(NOW))
    calls = [client.hold(at(10), KIOSK.id) for _ in range(3)]
    calls.append(client.hold(at(11), KIOSK.id))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refused = [isinstance(outcome, SlotUnavailable) for outcome in outcomes]
    assert refused == [False, True, True, False]


async def test_commands_are_decided_in_the_order_in_which_they_were_submitted(
    sqlite_stores: Stores,
) -> None:
    ran: list[int] = []
    commands = [
        AddLocation(f"l_{n}", lambda catalog, n=n: ran.append(n))  # type: ignore[misc]
        for n in range(3 * MAX_GROUP)
    ]
    await outcomes_of(begin(sqlite_stores, *commands))
    assert ran == [*range(3 * MAX_GROUP)]


async def test_class_refuses_holds_for_more_seats_than_are_left_when_they_are_decided(
    sqlite_stores: Stores,
) -> None:
    client = BookingClient(sqlite_stores, ManualClock(NOW))
    sizes = [1 + n * n % 3 for n in range(100)]
    outcomes = await asyncio.gather(
        *(client.hold(at(10), CLASS.id, seats=n) for n in sizes), return_exceptions=True
    )
    free = CLASS.capacity
    for seats, outcome in zip(sizes, outcomes, strict=True):
        if isinstance(outcome, SlotUnavailable):
            assert free < seats
        else:
            free -= seats
    assert free == 0


async def test_nobody_is_answered_before_the_whole_group_is_committed(
    sqlite_engine: SqliteEngine, sqlite_stores: Stores
) -> None:
    seen: list[set[str]] = []

    def last(catalog: Catalog) -> None:
        assert not any(task.done() for task in tasks)
        assert committed(sqlite_engine) == set()

    with locked(sqlite_engine):
        tasks = begin(
            sqlite_stores, *(AddLocation(f"l_{n}") for n in range(3)), AddLocation("l_3", last)
        )
        for task in tasks:
            task.add_done_callback(lambda task: seen.append(committed(sqlite_engine)))
        await run_ready()
        assert not any(task.done() for task in tasks)
    assert await outcomes_of(tasks) == ["l_0", "l_1", "l_2", "l_3"]
    await run_ready()
    assert seen == [{"l_0", "l_1", "l_2", "l_3"}] * 4


async def test_memory_has_nothing_of_a_group_before_it_is_committed(
    sqlite_engine: SqliteEngine, sqlite_stores: Stores
) -> None:
    assert not (await sqlite_stores.reader.catalog(ORG)).locations
    with locked(sqlite_engine):
        [task] = begin(sqlite_stores, AddLocation("l_1"))
        for _ in range(20):
            await run_ready()
            assert not (await sqlite_stores.reader.catalog(ORG)).locations
        assert not task.done()
    await task
    assert {*(await sqlite_stores.reader.catalog(ORG)).locations} == {"l_1"}


async def test_answered_command_is_visible_to_every_other_connection(
    sqlite_engine: SqliteEngine, sqlite_stores: Stores
) -> None:
    async with sqlite_engine.open() as other:
        for n in range(20):
            await sqlite_stores.writer.run(ORG, AddLocation(f"l_{n}"))
            assert f"l_{n}" in committed(sqlite_engine)
            for stores in (sqlite_stores, other):
                assert f"l_{n}" in (await stores.reader.catalog(ORG)).locations
