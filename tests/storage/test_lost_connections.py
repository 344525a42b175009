"""Connections to PostgreSQL that do not answer, or whose call is cancelled, leave no traceback.

Nobody waits for the end of some of them; asyncio would log their errors.
"""

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from zimun.storage.postgresql.database import PostgresqlDatabase, Timeouts
from zimun.storage.urls import database_url

from ..support.postgres import emptied

HASTY = Timeouts(lock=0.2, idle=30, answer=0.5)


@asynccontextmanager
async def opened(caplog: pytest.LogCaptureFixture) -> AsyncIterator[PostgresqlDatabase]:
    """A database; once its connections have ended, asyncio must have logged nothing of them."""
    async with PostgresqlDatabase(database_url(emptied(), Path()), HASTY) as database:
        yield database
        await others_done()
        gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def others_done() -> None:
    """Return once no other task runs."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A backend that does not answer."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def backend(connection: Connection) -> int:
    pid: int = connection.scalar(text("SELECT pg_backend_pid()")) or 0
    return pid


def sleep(connection: Connection) -> None:
    connection.execute(text("SELECT pg_sleep(9)"))


async def test_a_connection_of_groups_that_does_not_answer_is_replaced(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with opened(caplog) as database:
        [[pid]] = await database.fetch("SELECT pg_backend_pid()")
        [[other]] = await database.fetch("SELECT pg_backend_pid()")
        assert other == pid
        with stopped(pid):
            await database.replace_connections()
            [[other]] = await database.fetch("SELECT pg_backend_pid()")
            assert other != pid
            await others_done()


async def test_a_read_that_is_cancelled_again_and_again_leaves_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with opened(caplog) as database:
        for number in range(12):
            reading = asyncio.create_task(database.read(sleep))
            for _ in range(number):
                await asyncio.sleep(0.002)
            while not reading.done():
                reading.cancel()
                await asyncio.sleep(0)
        assert await database.read(backend)
