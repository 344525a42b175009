"""What the SQLite store promises of its own: grouped commits, cancelled callers, closing, locks."""

import asyncio
import gc
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from zimun.booking import writer
from zimun.booking.catalog_changes import catalog_decision
from zimun.booking.store import AppointmentFilter, LedgerRead
from zimun.booking.writer import MAX_GROUP, MAX_WAITING
from zimun.clock import ManualClock
from zimun.domain.availability.timetable import Timetable
from zimun.domain.booking_errors import SlotUnavailable
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Location, Service
from zimun.domain.commands import Decision
from zimun.domain.errors import Overloaded
from zimun.domain.ledger.ledger import Ledger
from zimun.storage import ledgers
from zimun.storage.sqlite import database
from zimun.storage.sqlite import database as sqlite
from zimun.stores import Stores

from .salon import (
    CLASS,
    CUT,
    KIOSK,
    NOW,
    ORG,
    SalonClient,
    SqliteEngine,
    at,
    check_ledger,
    open_salon,
    put_catalog,
)

DEADLINE = 20.0
"""Seconds after which a test that waits for another thread is taken to hang."""


@pytest.fixture
async def salon(sqlite_engine: SqliteEngine) -> AsyncIterator[Stores]:
    """Stores on a file with the salon in it."""
    async with sqlite_engine.open() as stores:
        await open_salon(stores)
        yield stores
    check_ledger(sqlite_engine.tables(), NOW)


@dataclass
class AddLocation:
    """A command with a small effect: a location of this id.

    `run` is called with the catalogue when it is decided, and may raise.
    """

    location_id: str
    run: Callable[[Catalog], object] = field(default=lambda catalog: None)

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        self.run(timetable.catalog)
        location = Location(id=self.location_id, name="Place", time_zone="UTC")
        return catalog_decision(timetable.catalog, client_id, [location], self.location_id)


def refuse(error: BaseException) -> Callable[[Catalog], object]:
    def run(catalog: Catalog) -> object:
        raise error

    return run


def committed(engine: SqliteEngine) -> set[str]:
    """The locations that another connection sees."""
    with closing(sqlite3.connect(engine.path)) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM locations")}


@contextmanager
def locked(engine: SqliteEngine) -> Iterator[sqlite3.Connection]:
    """Another process has the file's write lock: who writes meanwhile waits for its end."""
    with closing(sqlite3.connect(engine.path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        if connection.in_transaction:
            connection.execute("COMMIT")


def begin(stores: Stores, *commands: AddLocation) -> "list[asyncio.Task[Any]]":
    return [asyncio.ensure_future(stores.writer.run(ORG, command)) for command in commands]


async def run_ready() -> None:
    """Let everything that can run on the loop run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def outcomes_of(tasks: "list[asyncio.Task[Any]]") -> list[Any]:
    async with asyncio.timeout(DEADLINE):
        return await asyncio.gather(*tasks, return_exceptions=True)


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


# Groups.


async def test_refused_command_is_refused_alone_and_its_group_is_committed(
    sqlite_engine: SqliteEngine, salon: Stores
) -> None:
    commands = [
        AddLocation(f"l_{n}", refuse(LookupError(n)) if n % 3 == 0 else lambda catalog: None)
        for n in range(MAX_GROUP // 2)
    ]
    outcomes = await outcomes_of(begin(salon, *commands))
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
        await open_salon(stores)
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
        await open_salon(stores)
        before = trace.count("COMMIT")
        commands = [AddLocation(f"l_{n}", look) for n in range(3)]
        await outcomes_of(begin(stores, *commands))
        writes = [one for one in trace.statements if one == "BEGIN IMMEDIATE"]
        assert len(writes) == 2  # the salon, and the group
        assert trace.count("COMMIT") > before
    assert seen == [(set(), set()), ({"l_0"}, set()), ({"l_0", "l_1"}, set())]
    assert committed(sqlite_engine) == {"l_0", "l_1", "l_2"}


async def test_refusal_does_not_hide_from_later_commands_what_earlier_ones_did(
    salon: Stores,
) -> None:
    client = SalonClient(salon, ManualClock(NOW))
    calls = [client.hold(at(10), KIOSK.id) for _ in range(3)]
    calls.append(client.hold(at(11), KIOSK.id))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refused = [isinstance(outcome, SlotUnavailable) for outcome in outcomes]
    assert refused == [False, True, True, False]


async def test_commands_are_decided_in_the_order_in_which_they_were_submitted(
    salon: Stores,
) -> None:
    ran: list[int] = []
    commands = [
        AddLocation(f"l_{n}", lambda catalog, n=n: ran.append(n))  # type: ignore[misc]
        for n in range(3 * MAX_GROUP)
    ]
    await outcomes_of(begin(salon, *commands))
    assert ran == [*range(3 * MAX_GROUP)]


async def test_class_refuses_only_who_finds_too_few_seats_when_it_is_their_turn(
    salon: Stores,
) -> None:
    client = SalonClient(salon, ManualClock(NOW))
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
    sqlite_engine: SqliteEngine, salon: Stores
) -> None:
    seen: list[set[str]] = []

    def last(catalog: Catalog) -> None:
        assert not any(task.done() for task in tasks)
        assert committed(sqlite_engine) == set()

    with locked(sqlite_engine):
        tasks = begin(salon, *(AddLocation(f"l_{n}") for n in range(3)), AddLocation("l_3", last))
        for task in tasks:
            task.add_done_callback(lambda task: seen.append(committed(sqlite_engine)))
        await run_ready()
        assert not any(task.done() for task in tasks)
    assert await outcomes_of(tasks) == ["l_0", "l_1", "l_2", "l_3"]
    await run_ready()
    assert seen == [{"l_0", "l_1", "l_2", "l_3"}] * 4


async def test_memory_has_nothing_of_a_group_before_it_is_committed(
    sqlite_engine: SqliteEngine, salon: Stores
) -> None:
    assert not (await salon.reader.catalog(ORG)).locations
    with locked(sqlite_engine):
        [task] = begin(salon, AddLocation("l_1"))
        for _ in range(20):
            await run_ready()
            assert not (await salon.reader.catalog(ORG)).locations
        assert not task.done()
    await task
    assert {*(await salon.reader.catalog(ORG)).locations} == {"l_1"}


async def test_answered_command_is_visible_to_every_other_connection(
    sqlite_engine: SqliteEngine, salon: Stores
) -> None:
    async with sqlite_engine.open() as other:
        for n in range(20):
            await salon.writer.run(ORG, AddLocation(f"l_{n}"))
            assert f"l_{n}" in committed(sqlite_engine)
            for stores in (salon, other):
                assert f"l_{n}" in (await stores.reader.catalog(ORG)).locations


# Callers that give up.


async def test_caller_that_gives_up_before_its_turn_is_skipped(
    sqlite_engine: SqliteEngine, salon: Stores
) -> None:
    ran: list[str] = []
    with locked(sqlite_engine):
        first = begin(salon, AddLocation("l_first"))
        await run_ready()  # the first group waits for the lock, and these wait for it
        commands = [
            AddLocation(f"l_{n}", lambda catalog, n=n: ran.append(f"l_{n}"))  # type: ignore[misc]
            for n in range(6)
        ]
        tasks = begin(salon, *commands)
        await run_ready()
        for task in tasks[::2]:
            task.cancel()
        await run_ready()
    outcomes = await outcomes_of([*first, *tasks])
    given_up = [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[1:]]
    assert given_up == [True, False] * 3
    assert ran == ["l_1", "l_3", "l_5"]
    assert committed(sqlite_engine) == {"l_first", "l_1", "l_3", "l_5"}


async def test_caller_that_gives_up_while_its_command_is_decided_disturbs_nobody(
    sqlite_engine: SqliteEngine, salon: Stores
) -> None:
    tasks = begin(
        salon, AddLocation("l_own", lambda catalog: tasks[0].cancel()), AddLocation("l_other")
    )
    own, other = await outcomes_of(tasks)
    assert isinstance(own, asyncio.CancelledError)
    assert other == "l_other"
    assert "l_other" in committed(sqlite_engine)
    # Memory and the file agree about what became of the other one.
    assert {*(await salon.reader.catalog(ORG)).locations} == committed(sqlite_engine)


async def test_callers_that_give_up_while_their_group_waits_leave_memory_as_the_file_is(
    sqlite_engine: SqliteEngine, salon: Stores
) -> None:
    with locked(sqlite_engine):
        tasks = begin(salon, *(AddLocation(f"l_{n}") for n in range(3)))
        await run_ready()
        for task in tasks:
            task.cancel()
        await run_ready()
    assert await salon.writer.run(ORG, AddLocation("l_after")) == "l_after"
    assert "l_after" in committed(sqlite_engine)
    assert {*(await salon.reader.catalog(ORG)).locations} == committed(sqlite_engine)


async def test_write_that_is_cancelled_while_it_waits_leaves_no_transaction(
    sqlite_engine: SqliteEngine, salon: Stores
) -> None:
    with locked(sqlite_engine):
        write = asyncio.ensure_future(_touch(salon))
        await run_ready()
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await write
    await _touch(salon)
    await salon.writer.run(ORG, AddLocation("l_after"))
    assert committed(sqlite_engine) == {"l_after"}


async def _touch(stores: Stores) -> None:
    await stores.database.write(ledgers.write_probe)


# Reads beside the writer.


async def test_another_process_that_writes_delays_a_command_and_no_read(
    sqlite_engine: SqliteEngine, salon: Stores
) -> None:
    await salon.writer.run(ORG, AddLocation("l_before"))
    client = SalonClient(salon, ManualClock(NOW))
    assert len(await client.slots(CUT.id)) == 48
    with locked(sqlite_engine) as other:
        [task] = begin(salon, AddLocation("l_delayed"))
        await run_ready()
        other.execute("INSERT INTO installation VALUES ('theirs', x'00')")
        for _ in range(20):
            assert {*(await salon.reader.catalog(ORG)).locations} == {"l_before"}
            assert len(await client.slots(CUT.id)) == 48
            assert await salon.ledgers.heads([ORG])
            assert await salon.ledgers.appointments(ORG, AppointmentFilter(), None, 10) == []
        assert not task.done()
    assert await task == "l_delayed"
    assert committed(sqlite_engine) == {"l_before", "l_delayed"}


async def test_read_sees_one_snapshot_while_another_process_commits(
    sqlite_engine: SqliteEngine, salon: Stores
) -> None:
    def read(connection: Connection) -> tuple[list[str], list[str]]:
        before = ledgers.organization_ids(connection)
        with closing(sqlite3.connect(sqlite_engine.path, timeout=DEADLINE)) as other:
            other.execute("INSERT INTO ledgers VALUES ('o_later', 0, 1, 0)")
            other.commit()
        return before, ledgers.organization_ids(connection)

    assert await salon.database.read(read) == ([ORG], [ORG])
    assert sorted(await salon.ledgers.organization_ids()) == ["o_later", ORG]


async def test_caller_who_gives_up_in_the_middle_of_a_list_leaves_no_error(salon: Stores) -> None:
    cut_short = 0
    for steps in range(200):
        listing = asyncio.create_task(_list(salon))
        for _ in range(1 + steps % 3):
            await asyncio.sleep(0)  # the list has begun and waits for its thread
        if listing.cancel():
            cut_short += 1
            with suppress(asyncio.CancelledError):
                await listing
    assert cut_short > 20
    assert await _list(salon) == []


async def _list(stores: Stores) -> object:
    return await stores.ledgers.appointments(ORG, AppointmentFilter(), None, 10)


async def test_many_lists_at_once_are_all_answered(salon: Stores) -> None:
    assert await asyncio.gather(*(_list(salon) for _ in range(60))) == [[]] * 60


@pytest.mark.parametrize("way", ["read", "write"])
async def test_function_that_raises_does_no_harm_to_those_that_come_after(
    sqlite_engine: SqliteEngine, salon: Stores, way: str
) -> None:
    run = getattr(salon.database, way)

    def fail(connection: Connection) -> None:
        if way == "write":
            ledgers.write_probe(connection)
        raise LookupError("mine")

    before = sqlite_engine.tables()
    for _ in range(20):
        with pytest.raises(LookupError, match="mine"):
            await run(fail)
    assert sqlite_engine.tables() == before
    assert await run(ledgers.organization_ids) == [ORG]
    await salon.writer.run(ORG, AddLocation("l_after"))
    assert committed(sqlite_engine) == {"l_after"}


async def test_read_cannot_write(sqlite_engine: SqliteEngine, salon: Stores) -> None:
    before = sqlite_engine.tables()
    with pytest.raises(Overloaded):
        await salon.database.read(ledgers.write_probe)
    assert sqlite_engine.tables() == before
    await _touch(salon)


# Closing, and too much of everything.


async def test_closing_finishes_what_waits(sqlite_engine: SqliteEngine) -> None:
    wanted = [f"l_{n}" for n in range(3 * MAX_GROUP)]
    async with sqlite_engine.open() as stores:
        await open_salon(stores)
        tasks = begin(stores, *map(AddLocation, wanted))
        await run_ready()
    assert committed(sqlite_engine) == {*wanted}
    assert await outcomes_of(tasks) == wanted


async def test_writer_that_is_closing_or_closed_is_overloaded(sqlite_engine: SqliteEngine) -> None:
    async with sqlite_engine.open() as stores:
        await open_salon(stores)
        with locked(sqlite_engine):
            [waiting] = begin(stores, AddLocation("l_waiting"))
            await run_ready()
            closing_ = asyncio.ensure_future(stores.writer.__aexit__())
            await run_ready()
            with pytest.raises(Overloaded):
                await stores.writer.run(ORG, AddLocation("l_late"))
            assert not closing_.done()
        await closing_
        assert await waiting == "l_waiting"
        with pytest.raises(Overloaded):
            await stores.writer.run(ORG, AddLocation("l_later"))
    assert committed(sqlite_engine) == {"l_waiting"}


async def test_closing_leaves_one_whole_file_behind(sqlite_engine: SqliteEngine) -> None:
    async with sqlite_engine.open() as stores:
        await open_salon(stores)
        await stores.writer.run(ORG, AddLocation("l_1"))
        await _list(stores)
    names = [path.name for path in sqlite_engine.path.parent.iterdir()]
    assert names == [sqlite_engine.path.name]
    assert committed(sqlite_engine) == {"l_1"}


async def test_command_beyond_those_that_may_wait_is_refused_at_once_and_the_others_are_done(
    sqlite_engine: SqliteEngine, salon: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_WAITING", 100)
    assert MAX_WAITING > 100
    with locked(sqlite_engine):
        first = begin(salon, AddLocation("l_first"))
        await run_ready()  # it has left the queue and waits for the lock
        waiting = begin(salon, *(AddLocation(f"l_{n}") for n in range(100)))
        await run_ready()
        with pytest.raises(Overloaded):
            await salon.writer.run(ORG, AddLocation("l_too_many"))
        assert not any(task.done() for task in (*first, *waiting))
    wanted = ["l_first", *(f"l_{n}" for n in range(100))]
    assert await outcomes_of([*first, *waiting]) == wanted
    assert await salon.writer.run(ORG, AddLocation("l_after")) == "l_after"
    assert committed(sqlite_engine) == {*wanted, "l_after"}


# Several processes on one file.


async def test_two_servers_on_one_file_see_each_others_catalogue_changes_at_once(
    sqlite_engine: SqliteEngine,
) -> None:
    async with sqlite_engine.open() as first, sqlite_engine.open() as second:
        await open_salon(first)
        for number in range(10):
            for one, other in ((first, second), (second, first)):
                wanted = f"{number} {one is first}"
                await put_catalog(one, replace(CUT, name=wanted))
                for stores in (other, one):
                    catalog = await stores.reader.catalog(ORG)
                    assert catalog.entry(Service, CUT.id).name == wanted
                    seen: list[str] = []
                    await stores.writer.run(ORG, AddLocation("l_1", _note_name(seen)))
                    assert seen[-1:] == [wanted]


def _note_name(seen: list[str]) -> Callable[[Catalog], object]:
    return lambda catalog: seen.append(catalog.entry(Service, CUT.id).name)


async def test_another_process_that_does_not_stop_writing_overloads_the_store_until_it_does(
    sqlite_engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT", 0.05)
    async with sqlite_engine.open() as stores:
        await open_salon(stores)
        client = SalonClient(stores, ManualClock(NOW))
        with locked(sqlite_engine):
            tasks = begin(stores, *(AddLocation(f"l_{n}") for n in range(5)))
            for outcome in await outcomes_of(tasks):
                assert isinstance(outcome, Overloaded)
            with pytest.raises(Overloaded):
                await client.hold(at(10))
            with pytest.raises(Overloaded):
                await stores.ledgers.probe()
            assert (await stores.ledgers.heads([ORG]))[ORG].seq > 0
            assert len(await client.slots(CUT.id)) == 48
        assert committed(sqlite_engine) == set()
        assert not (await stores.reader.catalog(ORG)).locations
        assert await stores.writer.run(ORG, AddLocation("l_after")) == "l_after"
        assert (await client.hold(at(10))).start == at(10)
        await stores.ledgers.probe()
    assert committed(sqlite_engine) == {"l_after"}
    check_ledger(sqlite_engine.tables(), NOW)


READS: dict[str, Callable[[Stores], Awaitable[object]]] = {
    "heads": lambda stores: stores.ledgers.heads([ORG]),
    "read": lambda stores: stores.ledgers.read([LedgerRead(ORG)]),
    "organization_ids": lambda stores: stores.ledgers.organization_ids(),
    "catalog": lambda stores: stores.reader.catalog(ORG),
    "command": lambda stores: stores.writer.run(ORG, AddLocation("l_1")),
}


@pytest.mark.parametrize("what", READS)
async def test_store_that_cannot_be_read_is_overloaded_and_serves_again_when_it_can(
    sqlite_engine: SqliteEngine, what: str
) -> None:
    async with sqlite_engine.open() as stores:
        await open_salon(stores)
        with closing(sqlite3.connect(sqlite_engine.path)) as connection:
            connection.execute("ALTER TABLE ledgers RENAME TO gone")
        for _ in range(2):
            with pytest.raises(Overloaded):
                await READS[what](stores)
        with closing(sqlite3.connect(sqlite_engine.path)) as connection:
            connection.execute("ALTER TABLE gone RENAME TO ledgers")
        assert await READS[what](stores)
        assert await stores.writer.run(ORG, AddLocation("l_after")) == "l_after"


async def test_failure_on_the_thread_after_a_cancellation_is_not_logged_by_asyncio() -> None:
    loop, logged = asyncio.get_running_loop(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _, context: logged.append(context))
    failing: asyncio.Future[None] = loop.create_future()
    caller = asyncio.create_task(database._finished(failing))
    await run_ready()
    caller.cancel()
    await run_ready()
    failing.set_exception(sqlite3.OperationalError("database is locked"))
    await asyncio.wait([caller])
    assert caller.cancelled()
    del failing, caller
    gc.collect()
    assert logged == []
