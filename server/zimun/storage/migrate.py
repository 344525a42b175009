"""Bring a database to the schema of this code."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection

from zimun.storage import dialect


class SchemaTooNew(Exception):
    """The database was migrated by a newer Zimun than this one."""


def migrate(url: URL, revision: str = "head") -> None:
    """Run the steps that the database lacks, all or none, one process at a time.

    An earlier `revision` makes a database as an earlier Zimun had it. Raises
    SchemaTooNew for a database at a revision that this code does not know.
    """
    if dialect.is_shared(url):
        # Whoever calls may have an event loop of their own.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _migrate_shared(url, revision)).result()
        return
    engine = dialect.open_engine(url)
    with engine.connect() as connection:
        dialect.share(connection)
        dialect.begin_write(connection)
        try:
            _upgrade(connection, revision)
        except BaseException:
            dialect.command(connection, "ROLLBACK")
            raise
        dialect.command(connection, "COMMIT")
    engine.dispose()


async def _migrate_shared(url: URL, revision: str) -> None:
    engine = dialect.open_shared_engine(url, connections=1)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(dialect.lock, ("migrate",))
            await connection.run_sync(_upgrade, revision)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    if current == script.get_current_head():
        return
    if current and current not in {step.revision for step in script.walk_revisions()}:
        raise SchemaTooNew(f"the database is at schema {current}, which this Zimun does not know")
    command.upgrade(config, revision)
