"""Bring a database to the schema of this code."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection

from zimun.storage.postgresql import database as postgresql
from zimun.storage.sqlite import database as sqlite
from zimun.storage.urls import is_postgresql


class SchemaTooNew(Exception):
    """The database was migrated by a newer Zimun than this one."""


def migrate(url: URL, revision: str = "head") -> None:
    """Run the steps that the database lacks, all or none, one process at a time.

    An earlier `revision` makes a database as an earlier Zimun had it. Raises
    SchemaTooNew for a database at a revision that this code does not know.
    """
    if is_postgresql(url):
        # The caller may run an event loop.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _migrate_postgresql(url, revision)).result()
        return
    engine = sqlite.open_engine(url)
    with engine.connect() as connection:
        sqlite.use_write_ahead_log(connection)
        sqlite.begin_write(connection)
        try:
            _upgrade(connection, revision)
        except BaseException:
            sqlite.command(connection, "ROLLBACK")
            raise
        sqlite.command(connection, "COMMIT")
    engine.dispose()


async def _migrate_postgresql(url: URL, revision: str) -> None:
    engine = postgresql.open_engine(url, timeouts=postgresql.NO_TIMEOUTS)
    try:
        async with engine.begin() as connection:
            # One process at a time; nothing else locks by such a number.
            await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(5714201)")
            await connection.run_sync(_upgrade, revision)
    finally:
        await engine.dispose()


def check_revision(revision: str) -> None:
    """Raise SchemaTooNew for a revision of the schema that this code does not know."""
    script = ScriptDirectory.from_config(_config())
    if revision not in {step.revision for step in script.walk_revisions()}:
        raise SchemaTooNew(f"the database is at schema {revision}, which this Zimun does not know")


def newest_revision() -> str:
    """The schema of this code."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def _upgrade(connection: Connection, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    current = MigrationContext.configure(connection).get_current_revision()
    if current == ScriptDirectory.from_config(config).get_current_head():
        return
    if current:
        check_revision(current)
    command.upgrade(config, revision)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
