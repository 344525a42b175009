"""What the benchmarks of several processes run on: PostgreSQL, `zimun serve --workers N`, a no-op.

PostgreSQL is the tests' own, from its wheel, with its default settings: a commit is on disk.
"""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import grpc

from bench import catalogue
from tests.support import postgres
from zimun.auth.signing_keys import KeyStore
from zimun.auth.tokens import Issuer
from zimun.clock import WallClock
from zimun.config import Settings
from zimun.domain.identity import SCOPES, Client
from zimun.domain.instant import DAY
from zimun.storage.migrate import migrate
from zimun.storage.urls import database_url
from zimun.stores import open_database
from zimun_gateway.envoy_process import Envoy
from zimun_gateway.settings import Settings as GatewaySettings

STORES = ("SQLite", "PostgreSQL")

_WHERE = re.compile(r"gRPC at (.*), tokens of ")


@dataclass(frozen=True)
class Site:
    """A database with the benchmarks' organization in it, and who may call its servers.

    `tomorrow` is the next midnight (UTC, instant).
    """

    url: str
    token: str
    tomorrow: int

    @property
    def bearer(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),)

    @property
    def database(self) -> str:
        """Its name on the server."""
        return self.url.rpartition("/")[2]

    def variables(self, data_dir: Path) -> Mapping[str, str]:
        """Of the environment of its servers."""
        return os.environ | {
            "ZIMUN_DATA_DIR": str(data_dir),
            "ZIMUN_DATABASE_URL": self.url,
            "ZIMUN_GRPC_PORT": "0",
            "ZIMUN_AUTH_PORT": "0",
        }


@contextmanager
def on_postgres(*options: str) -> Iterator[tuple[postgres.Postgres, Site]]:
    """A new database server, and the site on it."""
    with postgres.run_postgres(*options) as server:
        yield server, seeded(server)


def seeded(server: postgres.Postgres) -> Site:
    """The site in a new database of a server."""
    return asyncio.run(_seeded(server.url(server.create())))


@contextmanager
def on_sqlite() -> Iterator[Site]:
    """The site in an embedded file."""
    with tempfile.TemporaryDirectory() as directory:
        yield asyncio.run(_seeded(f"sqlite:///{directory}/zimun.db"))


async def _seeded(address: str) -> Site:
    url = database_url(address, Path())
    await asyncio.to_thread(migrate, url)
    clock, settings = WallClock(), Settings()
    async with open_database(url, clock) as stores:
        await catalogue.seed(stores.writer)
        keys = await KeyStore.open(stores.credentials)
    tomorrow = (clock.now() // DAY + 1) * DAY
    issuer = Issuer(keys, settings.public_issuer, settings.audience, lifetime=24 * 3600)
    client = Client("c_bench", catalogue.ORG_ID, "Bench", SCOPES, "", 0)
    return Site(address, issuer.issue(client, SCOPES), tomorrow)


def _grpc_ports(line: str) -> list[int]:
    """The ports in the first line of `zimun serve`."""
    match = _WHERE.match(line)
    assert match, line
    return [int(address.rpartition(":")[2]) for address in match[1].split(", ")]


@contextmanager
def run_server(site: Site, workers: int) -> Iterator[list[int]]:
    """`zimun serve` with so many workers; answers their gRPC ports."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "zimun", "serve", "--workers", str(workers)]
        environment = site.variables(Path(directory))
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment
        ) as process:
            try:
                assert process.stdout
                yield _grpc_ports(process.stdout.readline())
            finally:
                process.terminate()


@contextmanager
def started(*arguments: str) -> Iterator[dict[str, Any]]:
    """A server of `bench.server`; answers what it tells."""
    command = [sys.executable, "-m", "bench.server", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


@contextmanager
def on_store(store: str, server: str) -> Iterator[tuple[dict[str, Any], Path]]:
    """A server of `bench.server` on a store of STORES: what it tells, and its
    directory."""
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        where = [directory]
        if store == "PostgreSQL":
            database = stack.enter_context(postgres.run_postgres())
            where.append(database.url(database.create()))
        yield stack.enter_context(started(server, *where)), Path(directory)


@asynccontextmanager
async def edge(server: dict[str, Any], directory: Path, **settings: Any) -> AsyncIterator[Envoy]:
    """Envoy in front of a server, with its usual settings and these."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    gateway = GatewaySettings(
        listen_address="127.0.0.1",
        listen_port=port,
        admin_port=0,
        grpc_endpoints=(f"127.0.0.1:{server['port']}",),
        auth_endpoints=(f"127.0.0.1:{server['auth_port']}",),
        descriptors=Path(str(files("zimun.v1") / "descriptors.binpb")),
        **({"access_log": ""} | settings),
    )
    envoy = Envoy(gateway, directory / "envoy")
    await envoy.start()
    try:
        await envoy.wait_ready()
        yield envoy
    finally:
        await envoy.stop()


@asynccontextmanager
async def connected(ports: Sequence[int], channels: int) -> AsyncIterator[list[grpc.aio.Channel]]:
    """So many connections, each its own, to one port after the other."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}", options))
            for port in islice(cycle(ports), channels)
        ]
        for channel in clients:
            await channel.channel_ready()
        yield clients
