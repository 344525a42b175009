"""Databases at an earlier schema, filled without any code that knows the tables.

Their rows come from a file that both engines can load; raw SQL inserts them.
"""

import asyncio
import base64
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import asyncpg
from sqlalchemy import URL, make_url

from ..support.postgres import shared


@dataclass(frozen=True)
class Table:
    """The rows of one table, as both engines take them."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def read_tables(path: Path) -> Iterator[Table]:
    """Each table is a line that names its columns, and then a line for each row."""
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    starts = [number for number, line in enumerate(lines) if isinstance(line, dict)]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        header = lines[start]
        rows = [list(_decode_row(header, row)) for row in lines[start + 1 : end]]
        yield Table(header["table"], header["columns"], rows)


def _decode_row(header: Mapping[str, Any], row: Sequence[Any]) -> Iterator[Any]:
    for column, value in zip(header["columns"], row, strict=True):
        if value is None:
            yield None
        elif column in header["keys"]:
            yield json.dumps(dict(zip(header["keys"][column], value, strict=True)))
        elif column in header["json"]:
            yield json.dumps(value)
        elif column in header["base64"]:
            yield base64.b64decode(value)
        else:
            yield value


class Database(Protocol):
    """An empty database of one engine."""

    url: str

    def insert(self, tables: Sequence[Table]) -> None:
        """Insert rows into tables that are there."""

    def execute(self, sql: str) -> None:
        """Run one statement."""

    def value(self, sql: str) -> Any:
        """The one value that a query selects."""

    def schema(self) -> str:
        """Every table, index, constraint and trigger as text, a line each, sorted."""

    def migration_url(self) -> URL:
        """The URL for `zimun.storage.migrate`."""


class SqliteDatabase:
    """A new file."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "upgrade.db"
        self.url = f"sqlite:///{self._path}"

    def insert(self, tables: Sequence[Table]) -> None:
        with closing(sqlite3.connect(self._path)) as connection:
            for table in tables:
                values = ", ".join("?" for _ in table.columns)
                connection.executemany(_insert_into(table, values), table.rows)
            connection.commit()

    def execute(self, sql: str) -> None:
        with closing(sqlite3.connect(self._path)) as connection:
            connection.execute(sql)
            connection.commit()

    def value(self, sql: str) -> Any:
        with closing(sqlite3.connect(self._path)) as connection:
            return connection.execute(sql).fetchone()[0]

    def schema(self) -> str:
        query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name"
        with closing(sqlite3.connect(self._path)) as connection:
            return "".join(f"{' '.join(sql.split())}\n" for (sql,) in connection.execute(query))

    def migration_url(self) -> URL:
        return make_url(self.url)


class PostgresDatabase:
    """A new database of the server that the tests share."""

    def __init__(self, _: Path) -> None:
        self._server, _name = shared()
        self._name = self._server.create("template0")
        self.url = self._server.url(self._name)

    def insert(self, tables: Sequence[Table]) -> None:
        asyncio.run(self._insert(tables))

    async def _insert(self, tables: Sequence[Table]) -> None:
        connection = await asyncpg.connect(self.url)
        for table in tables:
            values = ", ".join(f"${number}" for number, _ in enumerate(table.columns, 1))
            await connection.executemany(_insert_into(table, values), table.rows)
        await connection.close()

    def execute(self, sql: str) -> None:
        self._server.execute(self._name, sql)

    def value(self, sql: str) -> Any:
        return self._server.value(self._name, sql)

    def schema(self) -> str:
        return str(self._server.value(self._name, _POSTGRES_SCHEMA))

    def migration_url(self) -> URL:
        return make_url(self.url).set(drivername="postgresql+asyncpg")


def _insert_into(table: Table, values: str) -> str:
    return f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({values})"


_POSTGRES_SCHEMA = r"""
SELECT string_agg(line, E'\n' ORDER BY line COLLATE "C") || E'\n' FROM (
  SELECT format('column %s %s %s %s %s %s', table_name, ordinal_position, column_name, data_type,
                is_nullable, column_default) AS line
    FROM information_schema.columns WHERE table_schema = 'public'
  UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
  UNION ALL SELECT format('constraint %s %s %s', conrelid::regclass, conname,
                          pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid != 0
  UNION ALL SELECT 'extension ' || extname FROM pg_extension
  UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
) AS lines
"""


ENGINES: Mapping[str, Callable[[Path], Database]] = {
    "sqlite": SqliteDatabase,
    "postgresql": PostgresDatabase,
}
"""Each makes an empty database; a file goes into the directory."""
