"""The write-ahead log of a SQLite file: copied into the file now and then, and never long."""

import sqlite3
from contextlib import closing
from secrets import token_bytes

from sqlalchemy import Connection, insert, update

from zimun.storage.schema import installation
from zimun.storage.sqlite.database import CHECKPOINT_ROWS, SqliteDatabase
from zimun.storage.sqlite.database_file import beside

from .engines import SqliteEngine

MEGABYTE = 1 << 20


async def test_log_is_copied_into_the_file_after_many_commits(sqlite_engine: SqliteEngine) -> None:
    path, log = sqlite_engine.path, beside(sqlite_engine.path, "-wal")

    def rewrite(connection: Connection) -> None:
        value = token_bytes(4 * MEGABYTE)
        connection.execute(update(installation).values(value=value))

    async with SqliteDatabase(sqlite_engine.url) as database:
        await database.write(
            lambda connection: connection.execute(
                insert(installation).values(name="probe", value=b"")
            )
        )
        size = path.stat().st_size
        for _ in range(6):
            await database.write(rewrite)
        assert path.stat().st_size == size
        assert log.stat().st_size > 24 * MEGABYTE
        for _ in range(12):
            await database.write(rewrite)
        assert path.stat().st_size > size
        assert log.stat().st_size < 40 * MEGABYTE


async def test_log_is_copied_into_the_file_after_many_changed_rows_while_it_is_short(
    sqlite_engine: SqliteEngine,
) -> None:
    path, log = sqlite_engine.path, beside(sqlite_engine.path, "-wal")
    size = path.stat().st_size

    def insert_rows(connection: Connection) -> None:
        rows = [{"name": token_bytes(8).hex(), "value": bytes(1000)} for _ in range(100)]
        connection.execute(insert(installation), rows)

    # While another connection is open, the last one of the database copies nothing as it closes.
    with closing(sqlite3.connect(path)) as other:
        other.execute("SELECT 1 FROM sqlite_schema")
        async with SqliteDatabase(sqlite_engine.url) as database:
            for _ in range(CHECKPOINT_ROWS // 100 + 1):
                await database.write(insert_rows)
        assert path.stat().st_size > size + CHECKPOINT_ROWS * 500
        assert log.stat().st_size < 4 * MEGABYTE
