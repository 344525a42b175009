"""The write-ahead log of a SQLite file: copied into the file now and then, and never long."""

from secrets import token_bytes

from sqlalchemy import Connection, insert, update

from zimun.storage.schema import installation
from zimun.storage.sqlite.database import SqliteDatabase
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
