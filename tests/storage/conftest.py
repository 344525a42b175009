"""Every test of the store runs on every engine; times are moved, never waited for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from zimun.booking.credentials import CredentialStore
from zimun.booking.store import LedgerStore
from zimun.clock import ManualClock
from zimun.stores import Stores

from .salon import ENGINES, NOW, Engine, SalonClient, SqliteEngine, check_ledger, open_salon


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
def store(stores: Stores) -> LedgerStore:
    """The ledgers of those stores."""
    return stores.ledgers


@pytest.fixture
def credentials(stores: Stores) -> CredentialStore:
    """The credentials in those stores."""
    return stores.credentials


@pytest.fixture
async def client(engine: Engine, stores: Stores, clock: ManualClock) -> AsyncIterator[SalonClient]:
    """The salon's client; whatever a test does there, the ledger must be legal in the end."""
    await open_salon(stores)
    yield SalonClient(stores, clock)
    check_ledger(engine.tables(), clock.now())


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> SqliteEngine:
    """A SQLite file, migrated and empty, for what concerns this engine alone."""
    return SqliteEngine(tmp_path)
