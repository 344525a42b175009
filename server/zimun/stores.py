"""The stores that the settings name: where the database is, and how it is opened."""

import logging
import shlex
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import URL

from zimun.booking.credentials import CredentialStore
from zimun.booking.reader import MAX_ROWS, Reader
from zimun.booking.store import LedgerStore
from zimun.booking.writer import Writer
from zimun.clock import Clock, WallClock
from zimun.config import ConfigError, Settings, make_directory
from zimun.storage.clock_offset import read_clock_offset
from zimun.storage.credentials import Credentials
from zimun.storage.database import Database
from zimun.storage.database_errors import FAILURES, brief
from zimun.storage.distribute import is_distributed
from zimun.storage.migrate import migrate
from zimun.storage.postgresql.database import PostgresqlDatabase, Timeouts
from zimun.storage.postgresql.ledger_store import PostgresqlLedgers
from zimun.storage.postgresql.sessions import check_sessions
from zimun.storage.sqlite import database_file
from zimun.storage.sqlite.database import SqliteDatabase
from zimun.storage.sqlite.ledger_store import SqliteLedgers
from zimun.storage.urls import database_url, is_postgresql

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stores:
    """A database in its roles, with the reader and the writer of its ledgers in this process."""

    database: Database
    ledgers: LedgerStore
    credentials: CredentialStore
    reader: Reader
    writer: Writer
    clock: Clock


def locate(settings: Settings) -> URL:
    """Where the database is; raises ConfigError for a URL that cannot be opened."""
    try:
        return database_url(settings.database_url, settings.data_dir)
    except ValueError as error:
        raise ConfigError(f"ZIMUN_DATABASE_URL: {error}") from None


def embedded_file(settings: Settings) -> Path:
    """The file of the embedded database; raises ConfigError where there is a database server."""
    url = locate(settings)
    if is_postgresql(url):
        raise ConfigError("a database server is backed up with its own pg_dump and pg_restore")
    return Path(str(url.database))


@contextmanager
def claimed(settings: Settings, checked: bool = True) -> Iterator[URL]:
    """A database at the schema of this code, locked against a restore while the context is open.

    An embedded one is `checked` for damage first, which takes about a second for a gigabyte. Raises
    ConfigError, FileRefused and SchemaTooNew.
    """
    make_directory(settings)
    url = locate(settings)
    with ExitStack() as stack:
        if not is_postgresql(url):
            file = Path(str(url.database))
            stack.enter_context(database_file.claim(file))
            database_file.make(file)
            if checked:
                database_file.check(file)
            warn_of_modes(database_file.exposed(file))
        try:
            migrate(url)
        except FAILURES as error:
            raise ConfigError(
                f"ZIMUN_DATABASE_URL: the database cannot be opened: {brief(error)}"
            ) from error
        yield url


def warn_of_modes(exposed: Iterable[Path]) -> None:
    """Warn of files with secrets that other users can read, with the command that mends it."""
    if paths := " ".join(shlex.quote(str(path)) for path in exposed):
        log.warning("others can read the keys that sign tokens: chmod go= %s", paths)


@asynccontextmanager
async def open_stores(
    settings: Settings, clock: Clock | None = None, checked: bool = False
) -> AsyncIterator[Stores]:
    """The stores of the settings; raises what `claimed` raises.

    Without `clock`, the booking clock stored in the database is used: ledger time does not run
    back, so an import at the machine's time would put an end to the time of a sandbox.
    """
    timeouts = Timeouts(
        settings.database_lock_timeout,
        settings.database_idle_timeout,
        settings.database_answer_timeout,
    )
    with claimed(settings, checked) as url:
        async with open_database(url, clock, settings.max_rows, timeouts) as stores:
            yield stores


@asynccontextmanager
async def open_database(
    url: URL,
    clock: Clock | None = None,
    max_rows: int = MAX_ROWS,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
) -> AsyncIterator[Stores]:
    """The stores in a database that has the schema of this code; as for `open_stores`."""
    async with AsyncExitStack() as stack:
        database: Database
        ledgers: LedgerStore
        if is_postgresql(url):
            server = await stack.enter_async_context(PostgresqlDatabase(url, timeouts))
            await server.retry(partial(check_sessions, url))
            ledgers = PostgresqlLedgers(server, await server.read(is_distributed))
            database = server
        else:
            file = await stack.enter_async_context(SqliteDatabase(url))
            database, ledgers = file, SqliteLedgers(file)
        clock = clock or WallClock(await database.read(read_clock_offset))
        reader = Reader(ledgers, clock, max_rows)
        writer = await stack.enter_async_context(Writer(ledgers, reader, clock))
        yield Stores(database, ledgers, Credentials(database), reader, writer, clock)
