"""A column whose type is changed beside a running server makes its prepared statements invalid."""

from pathlib import Path

from sqlalchemy import Connection, select

from zimun.storage.postgresql.database import PostgresqlDatabase
from zimun.storage.schema import clients
from zimun.storage.urls import database_url

from ..support.postgres import emptied, shared_session


def names(connection: Connection) -> list[str]:
    return list(connection.scalars(select(clients.c.name)))


async def test_calls_go_on_after_the_type_of_a_column_is_changed() -> None:
    alter = "ALTER TABLE clients ALTER COLUMN name TYPE {}".format
    async with PostgresqlDatabase(database_url(emptied(), Path()), connections=1) as database:
        try:
            for changed in ("text", "varchar(300)", "varchar(200)"):
                shared_session().execute(alter(changed))
                assert await database.read(names) == await database.write(names) == []
        finally:
            shared_session().execute(alter(clients.c.name.type.compile()))
