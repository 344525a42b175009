"""The scenario in a real store, whose tables are read without its servers."""

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import asyncpg
from sqlalchemy import URL, select

from zimun.auth.signing_keys import KeyStore
from zimun.booking.catalog_changes import catalog_decision
from zimun.clock import Clock
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog import entries
from zimun.domain.catalog.booking_limit import BookingLimit, LimitPeriod, LimitSubject
from zimun.domain.commands import Decision
from zimun.domain.ledger.events import CatalogEntry
from zimun.domain.ledger.ledger import Ledger
from zimun.storage.migrate import migrate
from zimun.storage.schema import metadata
from zimun.storage.urls import database_url
from zimun.stores import open_database

from ..support.postgres import Postgres
from .history import Row
from .scenario import (
    CLOSES,
    DAY,
    HOLD_LENGTH,
    LOCATIONS,
    OPENS,
    ORGS,
    ROOMS,
    SERVICES,
    STAFF,
    Service,
)

ALWAYS = dict.fromkeys(range(7), ((0, 24 * 60),))

_QUERIES = {table.name: str(select(table)) for table in metadata.sorted_tables}


class Base(Protocol):
    """A database for a run: where it is, and what is in it."""

    url: URL

    async def tables(self) -> dict[str, list[Row]]:
        """Every row of every table; bytes as hexadecimal text."""


class EmbeddedBase:
    """The file in a data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.url = database_url("", data_dir)

    async def tables(self) -> dict[str, list[Row]]:
        with closing(sqlite3.connect(self.url.database or "")) as connection:
            connection.row_factory = sqlite3.Row
            return {
                name: [_plain(dict(row)) for row in connection.execute(query)]
                for name, query in _QUERIES.items()
            }

    def execute(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.url.database or "")) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()


class SharedBase:
    """A new database of a server."""

    def __init__(self, server: Postgres) -> None:
        self.name = server.create()
        self.address = server.url(self.name)
        self.url = database_url(self.address, Path())

    async def tables(self) -> dict[str, list[Row]]:
        connection = await asyncpg.connect(self.address)
        found: dict[str, list[Row]] = {}
        for name, query in _QUERIES.items():
            rows = await connection.fetch(f"SELECT row_to_json(t)::TEXT FROM ({query}) AS t")
            found[name] = [json.loads(row[0]) for row in rows]
        await connection.close()
        return found


def _plain(row: Row) -> Row:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()}


async def prepare(base: Base, clock: Clock) -> KeyStore:
    """Bring the database to the schema and put the scenario into it; the keys of its tokens."""
    await asyncio.to_thread(migrate, base.url)
    async with open_database(base.url, clock) as stores:
        for org in ORGS:
            await stores.writer.run(org, _CreateScenario(org), creates=True)
        return await KeyStore.open(stores.credentials)


@dataclass(frozen=True)
class _CreateScenario:
    """Makes the organization with all that it offers; its holds are shorter than the API allows."""

    org: str

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        organization = entries.Organization(
            id=self.org,
            name=self.org,
            time_zone="UTC",
            weekly_hours=dict.fromkeys(range(7), ((OPENS * 60, CLOSES * 60),)),
            hold_length=HOLD_LENGTH,
        )
        values = [organization, *_entries()]
        return catalog_decision(timetable.catalog, client_id, values, None)


def _entries() -> list[CatalogEntry]:
    people: list[CatalogEntry] = [
        entries.StaffMember(id=one, name=one, time_zone="UTC", weekly_hours=ALWAYS) for one in STAFF
    ]
    rooms: list[CatalogEntry] = [entries.Resource(id=one, name=one) for one in ROOMS]
    places: list[CatalogEntry] = [
        entries.Location(id=one, name=one, time_zone="UTC") for one in LOCATIONS
    ]
    services: list[CatalogEntry] = [
        entries.Service(
            id=facts.id,
            name=facts.id,
            duration=facts.duration,
            slot_step=facts.step,
            horizon=365 * DAY,
            buffer_before=facts.before,
            buffer_after=facts.after,
            capacity=facts.capacity,
            staff_ids=facts.staff,
            resource_requirements=facts.rooms,
            location_ids=tuple(filter(None, facts.locations)),
            booking_limits=_limits(facts),
        )
        for facts in SERVICES.values()
    ]
    return [*people, *rooms, *places, *services]


def _limits(facts: Service) -> tuple[BookingLimit, ...]:
    limits = {
        LimitSubject.SERVICE: facts.max_a_day,
        LimitSubject.CUSTOMER: facts.max_of_a_customer,
    }
    return tuple(
        BookingLimit(max_bookings=most, period=LimitPeriod.DAY, per=per)
        for per, most in limits.items()
        if most
    )
