"""Migration 0008: reservations that exist get the case-folded address of their contact."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import URL, Connection, create_engine, text

from zimun.booking.store import AppointmentFilter
from zimun.storage import lists
from zimun.storage.migrate import migrate
from zimun.storage.postgresql import database as postgresql
from zimun.storage.urls import database_url, is_postgresql

from ..support.postgres import shared

ADDRESSES = {"a_1": "Dana@Example.com", "a_2": "MÜLLER@Bücher.example", "a_3": "ada@example.com"}

INSERT = text(
    "INSERT INTO reservations (org_id, hold_id, appointment_id, session_id, service_id, "
    "location_id, staff_id, resource_ids, seats, start_time, end_time, state, expires_at, "
    "create_time, update_time, confirm_time, revision, contact_name, contact_email, "
    "contact_phone, notes, metadata, cancel_reason) VALUES ('o_1', :hold_id, :id, 'x_1', 's_1', "
    "'', 't_1', '[]', 1, 1, 2, 'CONFIRMED', 1, 1, 1, 1, 1, '', :email, '', '', '{}', '')"
)

ROWS = [{"hold_id": f"h_{name}", "id": name, "email": email} for name, email in ADDRESSES.items()]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """Of an empty database."""
    if request.param == "sqlite":
        return database_url("", tmp_path)
    server, _ = shared()
    return database_url(server.url(server.create()), tmp_path)


T = TypeVar("T")


def in_transaction(url: URL, work: Callable[[Connection], T]) -> T:
    """What some work in a transaction of its own answers."""
    if not is_postgresql(url):
        with create_engine(url.set(drivername="sqlite")).begin() as connection:
            return work(connection)

    async def run() -> T:
        engine = postgresql.open_engine(url)
        async with engine.begin() as connection:
            found = await connection.run_sync(work)
        await engine.dispose()
        return found

    return asyncio.run(run())


@pytest.mark.parametrize("name", ADDRESSES)
def test_appointments_that_exist_are_found_by_their_contact_after_the_migration(
    url: URL, name: str
) -> None:
    wanted = AppointmentFilter(contact_email=ADDRESSES[name].upper())

    def insert(connection: Connection) -> None:
        connection.execute(INSERT, ROWS)

    def ids(connection: Connection) -> list[str]:
        found = lists.appointments(connection, "o_1", wanted, None, 10)
        return [one.appointment_id for one in found]

    migrate(url, "0007")
    in_transaction(url, insert)
    migrate(url)
    assert in_transaction(url, ids) == [name]
