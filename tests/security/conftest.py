"""Fixtures: a running program on each store, its organizations, and the count of attacks.

`target` is shared by every test that asks for it: an attack must leave it serving. A test
that stops, breaks or overloads its program starts one of its own (`tests/support/program.py`,
`tests/support/gateway.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from functools import cache, cached_property
from pathlib import Path

import pytest
import pytest_asyncio

from ..support.gateway import Gateway, run_gateway
from ..support.postgres import shared
from ..support.program import Zimun, closed_after
from ..support.server import Server, Site, seeded
from .attacks import AttackCounter
from .entry_points import EntryPoint, GrpcEntryPoint, JsonEntryPoint
from .population import create_organizations, populate
from .target import CANARY, TESTER, TWIN, VICTIM, Target
from .valid_requests import Ids

STORES = ("sqlite", "postgresql")

_COUNTER = AttackCounter()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "one_store: no store takes part in what is tested")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of a target runs on each store, but for those marked `one_store`."""
    if "store" in metafunc.fixturenames:
        stores = STORES[:1] if metafunc.definition.get_closest_marker("one_store") else STORES
        metafunc.parametrize("store", stores, indirect=True, scope="session")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = list(_COUNTER.report())
    if lines:
        terminalreporter.section("attacks")
    for line in lines:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def attacks() -> AttackCounter:
    """Counts attacks by kind: `attacks.count("token", "refused")`."""
    return _COUNTER


@pytest.fixture(scope="session")
def store(request: pytest.FixtureRequest) -> str:
    """Where the target keeps its data: "sqlite" or "postgresql"."""
    name: str = request.param
    return name


class SharedTarget:
    """A target that the tests of a session share, its entry points, and what it is filled with."""

    def __init__(self, program: Zimun) -> None:
        asyncio.run(create_organizations(program, VICTIM, TWIN, TESTER))
        self.target = Target(program)
        self.entry_points: dict[str, EntryPoint] = {
            "json": JsonEntryPoint(program.port),
            "grpc by envoy": GrpcEntryPoint(f"127.0.0.1:{program.port}"),
            "grpc": GrpcEntryPoint(program.grpc_target),
        }

    @cached_property
    def victim(self) -> Ids:
        return self._populate(VICTIM, CANARY)

    @cached_property
    def twin(self) -> Ids:
        return self._populate(TWIN, "twin")

    @cached_property
    def tester(self) -> Ids:
        return self._populate(TESTER, "test")

    def _populate(self, org_id: str, word: str) -> Ids:
        return populate(self.target, self.entry_points["json"], org_id, word)

    def close(self) -> None:
        for entry_point in self.entry_points.values():
            entry_point.close()


@pytest.fixture(scope="session")
def start_shared(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], SharedTarget]]:
    """Starts the shared target of a store, once.

    A fixture with a parameter would end it whenever the next test is of the other store.
    """
    with ExitStack() as stack:

        @cache
        def start(store: str) -> SharedTarget:
            data_dir = tmp_path_factory.mktemp("security") / "data"
            program = Zimun(data_dir, ZIMUN_RATE_LIMIT="0", **_database(store))
            stack.enter_context(closed_after(program))
            program.start()
            stack.callback(program.stop)
            shared_target = SharedTarget(program)
            stack.callback(shared_target.close)
            return shared_target

        yield start


@pytest.fixture(scope="session")
def shared_target(store: str, start_shared: Callable[[str], SharedTarget]) -> SharedTarget:
    """The shared target of this store."""
    return start_shared(store)


@pytest.fixture(scope="session")
def target(shared_target: SharedTarget) -> Target:
    """A program without rate limits that every test shares, with an organization to attack."""
    return shared_target.target


@pytest.fixture(scope="session")
def entry_points(shared_target: SharedTarget) -> dict[str, EntryPoint]:
    """The entry points by name: JSON, gRPC through Envoy, gRPC."""
    return shared_target.entry_points


@pytest.fixture(scope="session")
def victim(shared_target: SharedTarget) -> Ids:
    """What VICTIM has: two of everything, with CANARY in its texts."""
    return shared_target.victim


@pytest.fixture(scope="session")
def twin(shared_target: SharedTarget) -> Ids:
    """What TWIN has: as the victim, its entries under the same ids."""
    return shared_target.twin


@pytest.fixture(scope="session")
def tester(shared_target: SharedTarget) -> Ids:
    """What TESTER has: two of everything, for requests that may well change it."""
    return shared_target.tester


def _database(store: str) -> dict[str, str]:
    """The variables that name an empty database."""
    if store == "sqlite":
        return {}
    server, _ = shared()
    return {"ZIMUN_DATABASE_URL": server.url(server.create())}


@pytest.fixture(scope="session")
def demo_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The demo in a file, as `zimun up --demo` leaves it, to be copied."""
    return seeded(tmp_path_factory.mktemp("site") / "data", {})


@pytest.fixture
def site(demo_site: Site, tmp_path: Path) -> Site:
    """A copy of the demo that only this test serves, breaks or replaces."""
    return demo_site.copy(tmp_path / "site")


@pytest.fixture
def serve() -> Iterator[Callable[[Site], Server]]:
    """Makes a server on a site, not started, without Envoy."""
    with ExitStack() as stack:

        def make(site: Site) -> Server:
            server = Server(site)
            stack.callback(server.close)
            return server

        yield make


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """Envoy before a stub of the server, without rate limits, for the tests of a file."""
    async with run_gateway(tmp_path_factory.mktemp("envoy"), rate_limit=0) as gateway:
        yield gateway
