"""PostgreSQL behind a pooler: one that keeps sessions is used, one that shares them refused."""

from pathlib import Path

import pytest

from zimun.clock import ManualClock
from zimun.domain.errors import Overloaded
from zimun.storage.postgresql.database import PostgresqlDatabase, Timeouts
from zimun.storage.postgresql.sessions import SharedSessions
from zimun.storage.urls import database_url
from zimun.stores import open_database

from ..support.pooler import run_pooler
from ..support.postgres import emptied
from .sample_catalog import NOW

SETTINGS = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
SHOWN = "SELECT " + ", ".join(f"current_setting('{name}')" for name in SETTINGS)


@pytest.mark.parametrize("pooled", [False, True])
async def test_the_timeouts_of_a_session_are_set_with_and_without_a_pooler(pooled: bool) -> None:
    async with run_pooler(emptied(), "session") as url:
        where = database_url(url if pooled else emptied(), Path())
        async with PostgresqlDatabase(where, Timeouts(1, 2, 3)) as database:
            [group] = await database.fetch(SHOWN)
            assert tuple(group) == ("1s", "3s", "2s")
            [read] = await database.read(lambda tx: tx.exec_driver_sql(SHOWN).all())
            assert tuple(read) == ("1s", "3s", "2s")


async def test_a_pooler_that_keeps_sessions_is_used() -> None:
    async with (
        run_pooler(emptied(), "session") as url,
        open_database(database_url(url, Path()), ManualClock(NOW)) as stores,
    ):
        await stores.ledgers.probe()


async def test_a_pooler_that_shares_sessions_is_refused_at_the_start() -> None:
    async with run_pooler(emptied(), "transaction") as url:
        with pytest.raises(SharedSessions, match="pool_mode = session"):
            async with open_database(database_url(url, Path()), ManualClock(NOW)):
                pass


async def test_a_pooler_that_comes_to_share_sessions_is_a_refusal_that_health_shows() -> None:
    """Statements that one connection has prepared are missing, or there already, for another."""
    async with PostgresqlDatabase(database_url(emptied(), Path())) as database:
        await database.fetch("SELECT 1")

        async def ask() -> None:
            await database.fetch("DEALLOCATE ALL")
            await database.fetch("SELECT 1")

        with pytest.raises(Overloaded):
            await database.retry(ask)
        assert database.is_broken
        # On another connection.
        assert await database.fetch("SELECT 1")
