"""Callers that give up while a command or a read waits on SQLite."""

import asyncio
import gc
import sqlite3
from contextlib import suppress
from typing import Any

import pytest

from zimun.storage.sqlite import database
from zimun.stores import Stores

from .engines import SqliteEngine
from .sample_catalog import ORG
from .sqlite_commands import (
    AddLocation,
    begin,
    committed,
    list_appointments,
    locked,
    outcomes_of,
    run_ready,
    write_probe,
)


async def test_command_cancelled_before_it_is_decided_is_skipped(
    sqlite_engine: SqliteEngine, sqlite_stores: Stores
) -> None:
    ran: list[str] = []
    with locked(sqlite_engine):
        first = begin(sqlite_stores, AddLocation("l_first"))
        await run_ready()  # the first group waits for the lock, and these wait for it
        commands = [
            AddLocation(f"l_{n}", lambda catalog, n=n: ran.append(f"l_{n}"))  # type: ignore[misc]
            for n in range(6)
        ]
        tasks = begin(sqlite_stores, *commands)
        await run_ready()
        for task in tasks[::2]:
            task.cancel()
        await run_ready()
    outcomes = await outcomes_of([*first, *tasks])
    given_up = [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[1:]]
    assert given_up == [True, False] * 3
    assert ran == ["l_1", "l_3", "l_5"]
    assert committed(sqlite_engine) == {"l_first", "l_1", "l_3", "l_5"}


async def test_caller_that_gives_up_while_its_command_is_decided_does_not_disturb_others(
    sqlite_engine: SqliteEngine, sqlite_stores: Stores
) -> None:
    tasks = begin(
        sqlite_stores,
        AddLocation("l_own", lambda catalog: tasks[0].cancel()),
        AddLocation("l_other"),
    )
    own, other = await outcomes_of(tasks)
    assert isinstance(own, asyncio.CancelledError)
    assert other == "l_other"
    assert "l_other" in committed(sqlite_engine)
    # Memory and the file agree about what became of the other one.
    assert {*(await sqlite_stores.reader.catalog(ORG)).locations} == committed(sqlite_engine)


async def test_callers_that_give_up_while_their_group_waits_leave_memory_as_the_file_is(
    sqlite_engine: SqliteEngine, sqlite_stores: Stores
) -> None:
    with locked(sqlite_engine):
        tasks = begin(sqlite_stores, *(AddLocation(f"l_{n}") for n in range(3)))
        await run_ready()
        for task in tasks:
            task.cancel()
        await run_ready()
    assert await sqlite_stores.writer.run(ORG, AddLocation("l_after")) == "l_after"
    assert "l_after" in committed(sqlite_engine)
    assert {*(await sqlite_stores.reader.catalog(ORG)).locations} == committed(sqlite_engine)


async def test_write_that_is_cancelled_while_it_waits_leaves_no_transaction(
    sqlite_engine: SqliteEngine, sqlite_stores: Stores
) -> None:
    with locked(sqlite_engine):
        write = asyncio.ensure_future(write_probe(sqlite_stores))
        await run_ready()
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await write
    await write_probe(sqlite_stores)
    await sqlite_stores.writer.run(ORG, AddLocation("l_after"))
    assert committed(sqlite_engine) == {"l_after"}


async def test_caller_who_gives_up_in_the_middle_of_a_list_leaves_no_error(
    sqlite_stores: Stores,
) -> None:
    cut_short = 0
    for steps in range(200):
        listing = asyncio.create_task(list_appointments(sqlite_stores))
        for _ in range(1 + steps % 3):
            await asyncio.sleep(0)  # the list has begun and waits for its thread
        if listing.cancel():
            cut_short += 1
            with suppress(asyncio.CancelledError):
                await listing
    assert cut_short > 20
    assert await list_appointments(sqlite_stores) == []


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
