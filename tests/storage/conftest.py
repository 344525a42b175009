"""Every test of the store runs on every engine; times are moved, never waited for."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import event

from zimun.booking.credentials import CredentialStore
from zimun.booking.store import LedgerStore
from zimun.clock import ManualClock
from zimun.stores import Stores

from .booking_client import BookingClient
from .engines import ENGINES, Engine, SqliteEngine
from .ledger_check import check_ledger
from .sample_catalog import NOW, create_salon


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks at the statements of the whole run comes last."""
    items.sort(key=lambda item: item.path.name == "test_statements.py")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """A database of its own, migrated and empty."""
    made: Engine = ENGINES[request.param](tmp_path)
    return made


@pytest.fixture
def clock() -> ManualClock:
    """The clock of `stores`."""
    return ManualClock(NOW)


@pytest.fixture
async def stores(engine: Engine, clock: ManualClock) -> AsyncIterator[Stores]:
    """Stores with nothing in them."""
    async with engine.open(clock) as opened:
        yield opened


@pytest.fixture
async def salon_stores(stores: Stores) -> Stores:
    """Those stores with the salon in them."""
    await create_salon(stores)
    return stores


@pytest.fixture
def store(stores: Stores) -> LedgerStore:
    """The ledgers of those stores."""
    return stores.ledgers


@pytest.fixture
def credentials(stores: Stores) -> CredentialStore:
    """The credentials in those stores."""
    return stores.credentials


@pytest.fixture
async def client(
    engine: Engine, stores: Stores, clock: ManualClock
) -> AsyncIterator[BookingClient]:
    """The salon's client; whatever a test does there, the ledger must be legal in the end."""
    await create_salon(stores)
    yield BookingClient(stores, clock)
    check_ledger(engine.tables(), clock.now())


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> SqliteEngine:
    """A SQLite file, migrated and empty, for what concerns this engine alone."""
    return SqliteEngine(tmp_path)


@pytest.fixture
async def sqlite_stores(sqlite_engine: SqliteEngine) -> AsyncIterator[Stores]:
    """Stores on that file with the salon in it; the ledger must be legal in the end."""
    async with sqlite_engine.open() as stores:
        await create_salon(stores)
        yield stores
    check_ledger(sqlite_engine.tables(), NOW)


@pytest.fixture
def statements() -> Iterator[list[tuple[str, str]]]:
    """Each statement that is executed, with its parameters, as text."""
    executed: list[tuple[str, str]] = []

    def record(_: object, cursor: object, sql: str, parameters: object, *__: object) -> None:
        executed.append((sql, str(parameters)))

    event.listen(SqlEngine, "before_cursor_execute", record)
    yield executed
    event.remove(SqlEngine, "before_cursor_execute", record)
