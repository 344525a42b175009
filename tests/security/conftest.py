"""Fixtures: a running program on each store, its organizations, and the count of attacks.

`target` is shared by every test that asks for it: an attack must leave it serving. A test
that stops, breaks or overloads its program starts one of its own (`tests/e2e/running.py`,
`tests/gateway/harness.py`).
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ..e2e.running import Zimun, closed_after
from ..e2e.serving import Server, Site, seeded
from ..postgres import shared
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


@pytest.fixture(scope="session")
def target(store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A program without rate limits that every test shares, with an organization to attack."""
    data_dir = tmp_path_factory.mktemp("security") / "data"
    with closed_after(Zimun(data_dir, ZIMUN_RATE_LIMIT="0", **_database(store))) as program:
        program.start()
        asyncio.run(create_organizations(program, VICTIM, TWIN, TESTER))
        yield Target(program)
        program.stop()


@pytest.fixture(scope="session")
def entry_points(target: Target) -> Iterator[dict[str, EntryPoint]]:
    """The entry points by name: JSON, gRPC through Envoy, gRPC."""
    program = target.program
    all_points: dict[str, EntryPoint] = {
        "json": JsonEntryPoint(program.port),
        "grpc by envoy": GrpcEntryPoint(f"127.0.0.1:{program.port}"),
        "grpc": GrpcEntryPoint(program.grpc_target),
    }
    yield all_points
    for entry_point in all_points.values():
        entry_point.close()


@pytest.fixture(scope="session")
def victim(target: Target, entry_points: dict[str, EntryPoint]) -> Ids:
    """What VICTIM has: two of everything, with CANARY in its texts."""
    return populate(target, entry_points["json"], VICTIM, CANARY)


@pytest.fixture(scope="session")
def twin(target: Target, entry_points: dict[str, EntryPoint]) -> Ids:
    """What TWIN has: as the victim, its entries under the same ids."""
    return populate(target, entry_points["json"], TWIN, "twin")


@pytest.fixture(scope="session")
def tester(target: Target, entry_points: dict[str, EntryPoint]) -> Ids:
    """What TESTER has: two of everything, for requests that may well change it."""
    return populate(target, entry_points["json"], TESTER, "test")


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
