"""The engines that every test of the store runs on, and the rows of their tables."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from sqlalchemy import select

from zimun.booking.reader import MAX_ROWS
from zimun.clock import ManualClock
from zimun.storage.migrate import migrate
from zimun.storage.schema import metadata
from zimun.storage.urls import database_url
from zimun.stores import Stores, open_database

from ..support.postgres import emptied, shared_session
from .sample_catalog import NOW

Row = dict[str, Any]
Tables = dict[str, list[Row]]


class Engine(Protocol):
    """A kind of database, with one empty and migrated one of it at hand."""

    def open(
        self, clock: ManualClock | None = None, max_rows: int = MAX_ROWS
    ) -> AbstractAsyncContextManager[Stores]:
        """Stores on the database, as one server has them; several may be open at once.

        Without a clock they have one of their own that stands at NOW.
        """

    def tables(self) -> Tables:
        """Every row of every table by its key, read without the stores."""

    def execute(self, sql: str) -> None:
        """Run a statement without the stores."""


class SqliteEngine:
    """A SQLite file in a directory, made where there is none."""

    def __init__(self, directory: Path) -> None:
        self.url = database_url("", directory)
        self.path = Path(self.url.database or "")
        if not self.path.exists():
            self.path.write_bytes(_migrated())

    def open(
        self, clock: ManualClock | None = None, max_rows: int = MAX_ROWS
    ) -> AbstractAsyncContextManager[Stores]:
        return open_database(self.url, clock or ManualClock(NOW), max_rows)

    def tables(self) -> Tables:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN")
            return {
                table.name: [dict(row) for row in connection.execute(query)]
                for table, query in _QUERIES.items()
            }

    def execute(self, sql: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute(sql)


_QUERIES = {
    table: str(select(table).order_by(*table.primary_key)) for table in metadata.sorted_tables
}


@cache
def _migrated() -> bytes:
    """The bytes of a SQLite file that was just migrated: copying it is quicker."""
    with TemporaryDirectory() as directory:
        url = database_url("", Path(directory))
        migrate(url)
        return Path(url.database or "").read_bytes()


class PostgresqlEngine:
    """The database of a server that the whole run shares, emptied."""

    def __init__(self, _: Path) -> None:
        self.url = database_url(emptied(), Path())

    def open(
        self, clock: ManualClock | None = None, max_rows: int = MAX_ROWS
    ) -> AbstractAsyncContextManager[Stores]:
        return open_database(self.url, clock or ManualClock(NOW), max_rows)

    def tables(self) -> Tables:
        found: Tables = json.loads(shared_session().value(_AS_JSON))
        return found

    def execute(self, sql: str) -> None:
        shared_session().execute(sql)


_AS_JSON = "SELECT json_build_object({})".format(
    ", ".join(
        f"'{table.name}', (SELECT coalesce(json_agg(found), '[]') FROM ({query}) AS found)"
        for table, query in _QUERIES.items()
    )
)
"""Every table in one query."""

ENGINES: Mapping[str, Callable[[Path], Engine]] = {
    "sqlite": SqliteEngine,
    "postgresql": PostgresqlEngine,
}
"""What the suite runs on, each made from a directory of its own."""
