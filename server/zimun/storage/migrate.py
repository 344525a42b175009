"""Bring a database to the schema of this code."""

import asyncio
import importlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import URL, Connection, inspect

from zimun.storage.postgresql import database as postgresql
from zimun.storage.sqlite import database as sqlite
from zimun.storage.urls import is_postgresql

STEPS = Path(__file__).parent / "migrations" / "versions"


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
        if _lacks_steps(connection):
            _migrate_sqlite(connection, revision)
    engine.dispose()


def _migrate_sqlite(connection: Connection, revision: str) -> None:
    sqlite.begin_write(connection)
    try:
        _upgrade(connection, revision)
    except BaseException:
        sqlite.command(connection, "ROLLBACK")
        raise
    sqlite.command(connection, "COMMIT")


async def _migrate_postgresql(url: URL, revision: str) -> None:
    engine = postgresql.open_engine(url, timeouts=postgresql.NO_TIMEOUTS)
    try:
        async with engine.connect() as connection:
            if not await connection.run_sync(_lacks_steps):
                return
        async with engine.begin() as connection:
            # One process at a time; nothing else locks by such a number.
            await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(5714201)")
            await connection.run_sync(_upgrade, revision)
    finally:
        await engine.dispose()


def revisions() -> list[str]:
    """The schemas that this code knows, oldest first: the file of each step begins with its own."""
    return sorted(step.name.partition("_")[0] for step in STEPS.glob("[0-9]*_*.py"))


def newest_revision() -> str:
    """The schema of this code."""
    return revisions()[-1]


def current_revision(connection: Connection) -> str | None:
    """The schema of a database; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.exec_driver_sql(
        "SELECT version_num FROM alembic_version"
    ).scalar()
    return revision


def check_revision(revision: str) -> None:
    """Raise SchemaTooNew for a revision of the schema that this code does not know."""
    if revision not in revisions():
        raise SchemaTooNew(f"the database is at schema {revision}, which this Zimun does not know")


def _lacks_steps(connection: Connection) -> bool:
    """Whether a database is not at the schema of this code; if so, Alembic is imported.

    That is a tenth of a start, which most starts need not, and too long to do with a lock.
    """
    if current_revision(connection) == newest_revision():
        return False
    importlib.import_module("alembic.command")
    return True


def _upgrade(connection: Connection, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    current = current_revision(connection)
    if current == newest_revision():
        return
    if current:
        check_revision(current)
    config = Config()
    config.set_main_option("script_location", str(STEPS.parent))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
