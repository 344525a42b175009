"""A real server on the demo catalogue, with a clock that the tests move.

Each engine has one, which tests share one after the other (`zimun`). A test
that breaks its server, or stops it, starts one of its own (`serving`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from sqlalchemy import Connection, delete, insert, select

from zimun import app
from zimun.clock import ManualClock
from zimun.storage.schema import installation, metadata, signing_keys
from zimun.stores import Stores

from ..support.postgres import SET_UP, shared
from ..support.rpc import FRIDAY_MORNING, Rows, Zimun, run_server, seed
from .worlds import STARTS, World, build, copy_store

TABLES = [table for table in metadata.sorted_tables if table not in (installation, signing_keys)]
"""What tests fill, each table after those that it refers to."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(FRIDAY_MORNING)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """The tests of this directory run on the event loop of the server that they share."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.get_closest_marker("asyncio"):
            item.add_marker(pytest.mark.asyncio(loop_scope="package"), append=False)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def start_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Callable[[str], Awaitable[Zimun]]]:
    """Starts the server of an engine, once.

    A fixture with a parameter would end it whenever the next test is of the other engine.
    It records no expiry by itself: one that it began to record in one test, at
    its time, could end in the next.
    """
    started: dict[str, Zimun] = {}
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(app, "EXPIRY_INTERVAL", 3600)

        async def start(engine: str) -> Zimun:
            if engine not in started:
                url = "" if engine == "embedded" else new_database()
                server = run_server(
                    tmp_path_factory.mktemp("server"), ManualClock(FRIDAY_MORNING), url
                )
                zimun = await stack.enter_async_context(server)
                await seed(zimun.stores.writer)
                rows = await zimun.stores.database.read(read_rows)
                started[engine] = replace(zimun, rows=rows)
            return started[engine]

        yield start


@pytest_asyncio.fixture(scope="package", loop_scope="package", params=["embedded", "shared"])
async def server(
    request: pytest.FixtureRequest, start_server: Callable[[str], Awaitable[Zimun]]
) -> Zimun:
    """The server of an engine on a database of its own: a file, or one of a database server."""
    return await start_server(request.param)


def new_database() -> str:
    postgres, _ = shared()
    return postgres.url(postgres.create())


@pytest_asyncio.fixture(loop_scope="package")
async def zimun(server: Zimun) -> AsyncIterator[Zimun]:
    """The server as if it had just been started, and a channel to it of the test's own.

    What a test has begun is over before the next one begins.
    """
    at_rest = len(asyncio.all_tasks())
    server.clock.instant = FRIDAY_MORNING
    await restore(server.stores, server.rows)
    async with grpc.aio.insecure_channel(server.target) as channel:
        yield replace(server, channel=channel)
    async with asyncio.timeout(10):
        while len(asyncio.all_tasks()) > at_rest:  # noqa: ASYNC110 - tasks come and go
            await asyncio.sleep(0)


async def restore(stores: Stores, rows: Rows) -> None:
    """Leave what the server has read at its start, its keys and secret, and these rows."""

    def replace_rows(connection: Connection) -> None:
        for table in reversed(TABLES):
            connection.execute(delete(table).prefix_with(SET_UP))
        for table, values in rows.items():
            connection.execute(insert(table).prefix_with(SET_UP), values)

    await stores.database.write(replace_rows)
    stores.reader.forget()


def read_rows(connection: Connection) -> Rows:
    """The rows of every table that has any, in the order in which they can be inserted."""
    found = {
        table: connection.execute(select(table).prefix_with(SET_UP)).mappings().all()
        for table in TABLES
    }
    return {table: [dict(row) for row in rows] for table, rows in found.items() if rows}


@pytest.fixture(scope="package")
def built() -> dict[int, tuple[Path, int]]:
    """Each seed's store, once it is made, and the instant at which it stands."""
    return {}


@pytest_asyncio.fixture(loop_scope="package", params=STARTS, ids=lambda seed: f"seed{seed}")
async def world(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
    built: dict[int, tuple[Path, int]],
) -> AsyncIterator[World]:
    seed: int = request.param
    if seed not in built:
        template = tmp_path_factory.mktemp("built")
        built[seed] = (template, await build(template, seed))
    template, now = built[seed]
    copy_store(template, tmp_path / "world")
    async with run_server(tmp_path / "world", ManualClock(now)) as zimun:
        yield World(zimun, tmp_path / "world", seed)
