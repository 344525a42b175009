"""A writer on SQLite that is closed, or that has as many commands as may wait."""

import asyncio

import pytest

from zimun.booking import writer
from zimun.booking.writer import MAX_GROUP, MAX_WAITING
from zimun.domain.errors import Overloaded
from zimun.stores import Stores

from .engines import SqliteEngine
from .sample_catalog import ORG, create_salon
from .sqlite_commands import (
    AddLocation,
    begin,
    committed,
    list_appointments,
    locked,
    outcomes_of,
    run_ready,
)


async def test_closing_commits_the_commands_that_wait(sqlite_engine: SqliteEngine) -> None:
    wanted = [f"l_{n}" for n in range(3 * MAX_GROUP)]
    async with sqlite_engine.open() as stores:
        await create_salon(stores)
        tasks = begin(stores, *map(AddLocation, wanted))
        await run_ready()
    assert committed(sqlite_engine) == {*wanted}
    assert await outcomes_of(tasks) == wanted


async def test_writer_that_is_closing_or_closed_is_overloaded(sqlite_engine: SqliteEngine) -> None:
    async with sqlite_engine.open() as stores:
        await create_salon(stores)
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
        await create_salon(stores)
        await stores.writer.run(ORG, AddLocation("l_1"))
        await list_appointments(stores)
    names = [path.name for path in sqlite_engine.path.parent.iterdir()]
    assert names == [sqlite_engine.path.name]
    assert committed(sqlite_engine) == {"l_1"}


async def test_command_beyond_those_that_may_wait_is_refused_at_once_and_the_others_are_done(
    sqlite_engine: SqliteEngine, sqlite_stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_WAITING", 100)
    assert MAX_WAITING > 100
    with locked(sqlite_engine):
        first = begin(sqlite_stores, AddLocation("l_first"))
        await run_ready()  # it has left the queue and waits for the lock
        waiting = begin(sqlite_stores, *(AddLocation(f"l_{n}") for n in range(100)))
        await run_ready()
        with pytest.raises(Overloaded):
            await sqlite_stores.writer.run(ORG, AddLocation("l_too_many"))
        assert not any(task.done() for task in (*first, *waiting))
    wanted = ["l_first", *(f"l_{n}" for n in range(100))]
    assert await outcomes_of([*first, *waiting]) == wanted
    assert await sqlite_stores.writer.run(ORG, AddLocation("l_after")) == "l_after"
    assert committed(sqlite_engine) == {*wanted, "l_after"}
