"""Commands, locks and looks at a SQLite file from outside, for the tests of that engine."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from zimun.booking.catalog_changes import catalog_decision
from zimun.booking.store import AppointmentFilter
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Location
from zimun.domain.commands import Decision
from zimun.domain.ledger.ledger import Ledger
from zimun.storage import ledgers
from zimun.stores import Stores

from .engines import SqliteEngine
from .sample_catalog import ORG

DEADLINE = 20.0
"""Seconds after which a test that waits for another thread is taken to hang."""


@dataclass
class AddLocation:
    """A command with a small effect: a location of this id.

    `run` is called with the catalogue when it is decided, and may raise.
    """

    location_id: str
    run: Callable[[Catalog], object] = field(default=lambda catalog: None)

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        self.run(timetable.catalog)
        location = Location(id=self.location_id, name="Place", time_zone="UTC")
        return catalog_decision(timetable.catalog, client_id, [location], self.location_id)


def committed(engine: SqliteEngine) -> set[str]:
    """The locations that another connection sees."""
    with closing(sqlite3.connect(engine.path)) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM locations")}


@contextmanager
def locked(engine: SqliteEngine) -> Iterator[sqlite3.Connection]:
    """Another process has the file's write lock: who writes meanwhile waits for its end."""
    with closing(sqlite3.connect(engine.path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        if connection.in_transaction:
            connection.execute("COMMIT")


def begin(stores: Stores, *commands: AddLocation) -> "list[asyncio.Task[Any]]":
    return [asyncio.ensure_future(stores.writer.run(ORG, command)) for command in commands]


async def run_ready() -> None:
    """Let everything that can run on the loop run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def outcomes_of(tasks: "list[asyncio.Task[Any]]") -> list[Any]:
    async with asyncio.timeout(DEADLINE):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def write_probe(stores: Stores) -> None:
    await stores.database.write(ledgers.write_probe)


async def list_appointments(stores: Stores) -> object:
    return await stores.ledgers.appointments(ORG, AppointmentFilter(), None, 10)
