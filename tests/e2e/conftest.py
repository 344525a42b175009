"""One running Zimun for the session, private ones on demand, and times nobody else uses."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import pytest

from ..postgres import shared
from .running import NOW, Zimun, closed_after, half_hours, workdays
from .serving import Server, Site, seeded

ENGINES = ("sqlite", "postgres")

ONE_ENGINE = {
    "about_the_file": "there is such a thing of the embedded file alone",
    "about_the_gateway": "Envoy alone decides: no engine takes part",
    "about_the_program": "files, ports and processes decide: no engine takes part",
    "about_the_token": "a token alone decides: no engine takes part",
}
"""Why a test runs on the embedded engine alone: a mark for each reason."""


def pytest_configure(config: pytest.Config) -> None:
    for name, reason in ONE_ENGINE.items():
        config.addinivalue_line("markers", f"{name}: {reason}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Everything that has an engine runs on each, but for a reason that it is marked with."""
    if "engine" in metafunc.fixturenames:
        one = any(metafunc.definition.get_closest_marker(name) for name in ONE_ENGINE)
        engines = ENGINES[:1] if one else ENGINES
        metafunc.parametrize("engine", engines, indirect=True, scope="session")


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """Where the program keeps its data: "sqlite" or "postgres"."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def new_database(engine: str) -> Callable[[], dict[str, str]]:
    """Makes an empty database for one instance; answers the variables that name it."""

    def make() -> dict[str, str]:
        if engine == "sqlite":
            return {}
        server, _ = shared()
        return {"ZIMUN_DATABASE_URL": server.url(server.create())}

    return make


@pytest.fixture(scope="session")
def zimun(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], dict[str, str]]
) -> Iterator[Zimun]:
    """The shared instance: use your own `time`, `day` or `class_time` on it."""
    data_dir = tmp_path_factory.mktemp("e2e") / "data"
    with closed_after(Zimun(data_dir, **new_database())) as shared:
        yield shared.start()
        shared.stop()


@pytest.fixture
def private(
    tmp_path: Path, new_database: Callable[[], dict[str, str]]
) -> Iterator[Callable[..., Zimun]]:
    """Makes an instance of one's own, not started: private(now=…, ZIMUN_RATE_LIMIT=…)."""
    with ExitStack() as stack:
        made: list[Zimun] = []

        def make(now: str = NOW, **env: str) -> Zimun:
            made.append(Zimun(tmp_path / f"data{len(made)}", now, **new_database(), **env))
            return stack.enter_context(closed_after(made[-1]))

        yield make


@pytest.fixture(scope="session")
def demo_site(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], dict[str, str]]
) -> Site:
    """The demo as `zimun up --demo` leaves it, to be copied."""
    return seeded(tmp_path_factory.mktemp("site") / "data", new_database())


@pytest.fixture
def site(demo_site: Site, tmp_path: Path) -> Site:
    """A copy of the demo that only this test serves."""
    return demo_site.copy(tmp_path / "site")


@pytest.fixture
def serve(site: Site) -> Iterator[Callable[..., Server]]:
    """Makes a server on `site`, not started: serve(workers=2, grpc_port=…, auth_port=…)."""
    with ExitStack() as stack:

        def make(workers: int = 1, grpc_port: int = 0, auth_port: int = 0) -> Server:
            server = Server(site, workers, grpc_port, auth_port)
            stack.callback(server.close)
            return server

        yield make


@pytest.fixture(scope="session")
def other_client(zimun: Zimun) -> tuple[str, str]:
    """A second client of the demo organization."""
    return zimun.new_client()


@pytest.fixture(scope="session")
def stranger(zimun: Zimun) -> tuple[str, str]:
    """A client of another organization."""
    zimun.cli("org", "create", "o_other", "--name", "Another organization")
    return zimun.new_client(org="o_other")


@pytest.fixture(scope="session")
def _times(zimun: Zimun) -> Iterator[str]:
    return (time for day in workdays(date(2026, 2, 2)) for time in half_hours(day))


@pytest.fixture(scope="session")
def _days(zimun: Zimun) -> Iterator[str]:
    return workdays(date(2026, 4, 1))


@pytest.fixture(scope="session")
def _near_days(zimun: Zimun) -> Iterator[str]:
    return workdays(date(2025, 12, 8))


@pytest.fixture
def time(_times: Iterator[str]) -> str:
    """A start of s_123 that only this test uses, with all three staff free."""
    return next(_times)


@pytest.fixture
def times(_times: Iterator[str]) -> Callable[[], str]:
    """Gives more such starts."""
    return lambda: next(_times)


@pytest.fixture
def day(_days: Iterator[str]) -> str:
    """A working day that only this test uses, for s_123."""
    return next(_days)


@pytest.fixture
def near_day(_near_days: Iterator[str]) -> str:
    """A working day that only this test uses, within the horizon of every service."""
    return next(_near_days)
