"""Every test of the store runs on every engine; times are moved, never waited for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from zimun.booking.credentials import CredentialStore
from zimun.booking.store import Store
from zimun.storage.credentials import Credentials
from zimun.storage.database import StoreDatabase

from .desk import ENGINES, Desk, Embedded, Engine, check_ledger, open_salon


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """A database of its own, migrated and empty."""
    made: Engine = ENGINES[request.param](tmp_path)
    return made


@pytest.fixture
async def store(engine: Engine) -> AsyncIterator[Store]:
    """A store with nothing in it."""
    async with engine.open() as opened:
        yield opened


@pytest.fixture
def credentials(store: Store) -> CredentialStore:
    """The credentials in that store."""
    return Credentials(StoreDatabase(store))


@pytest.fixture
async def desk(engine: Engine, store: Store) -> AsyncIterator[Desk]:
    """The salon's desk; whatever a test does there, the ledger must be sound in the end."""
    await store.write(open_salon)
    opened = Desk(store)
    yield opened
    check_ledger(engine.tables(), opened.clock.now())


@pytest.fixture
def embedded(tmp_path: Path) -> Embedded:
    """An embedded file, migrated and empty, for what concerns this engine alone."""
    return Embedded(tmp_path)
