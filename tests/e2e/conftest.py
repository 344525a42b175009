"""One running Zimun for the session, private ones on demand, and times nobody else uses."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from functools import cache, cached_property
from pathlib import Path

import pytest

from ..support.answers import Json
from ..support.postgres import shared
from ..support.program import NOW, Zimun, closed_after
from ..support.server import Server, Site, seeded
from ..support.times import half_hours, workdays

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


def create_database(engine: str) -> dict[str, str]:
    """Make an empty database for one instance; the variables that name it."""
    if engine == "sqlite":
        return {}
    server, _ = shared()
    return {"ZIMUN_DATABASE_URL": server.url(server.create())}


@pytest.fixture(scope="session")
def new_database(engine: str) -> Callable[[], dict[str, str]]:
    """Makes an empty database for one instance; answers the variables that name it."""
    return lambda: create_database(engine)


WEEK = [
    {"day_of_week": day, "start_time": "09:00", "end_time": "17:00"}
    for day in ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY")
]

BERLIN = "Europe/Berlin"

BERLIN_ENTRIES: list[tuple[str, Json]] = [
    ("locations", {"id": "l_berlin", "name": "Berlin", "time_zone": BERLIN}),
    ("resources", {"id": "r_x", "name": "x", "location_id": "l_berlin"}),
    ("resources", {"id": "r_y", "name": "y", "location_id": "l_berlin"}),
    ("resources", {"id": "r_screen", "name": "screen"}),
    ("staff", {"id": "t_x", "name": "x", "time_zone": BERLIN, "weekly_hours": WEEK}),
    ("staff", {"id": "t_y", "name": "y", "time_zone": BERLIN, "weekly_hours": WEEK}),
    (
        "services",
        {
            "id": "s_cut",
            "name": "Cut",
            "duration": "1800s",
            "duration_options": ["3600s"],
            "slot_step": "900s",
            "horizon": "31536000s",
            "staff_ids": ["t_x", "t_y"],
            "resource_requirements": [{"resource_ids": ["r_x", "r_y"]}],
            "location_ids": ["l_berlin"],
        },
    ),
]
"""Two rooms, two staff members, the service that needs one of each, and a screen anywhere."""


@dataclass(frozen=True)
class SharedProgram:
    """An instance that the tests of a session share, and what is given out of it."""

    zimun: Zimun
    times: Iterator[str] = field(
        default_factory=lambda: (
            time for day in workdays(date(2026, 2, 2)) for time in half_hours(day)
        )
    )
    days: Iterator[str] = field(default_factory=lambda: workdays(date(2026, 4, 1)))
    near_days: Iterator[str] = field(default_factory=lambda: workdays(date(2025, 12, 8)))

    @cached_property
    def other_client(self) -> tuple[str, str]:
        """Id and secret of a second client of the demo organization."""
        return self.zimun.new_client()

    @cached_property
    def other_org_client(self) -> tuple[str, str]:
        """Id and secret of a client of another organization."""
        self.zimun.cli("org", "create", "o_other", "--name", "Another organization")
        return self.zimun.new_client(org="o_other")

    @cached_property
    def berlin(self) -> Zimun:
        """The instance as the client of an organization in Berlin calls it."""
        self.zimun.cli("org", "create", "o_berlin", "--name", "Berlin")
        berlin = self.zimun.as_client(self.zimun.new_client(org="o_berlin"))
        for kind, entry in BERLIN_ENTRIES:
            berlin.post_json(f"/api/v1/{kind}", **entry)
        return berlin


@pytest.fixture(scope="session")
def start_shared(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], SharedProgram]]:
    """Starts the shared instance of an engine, once; it refuses no call because it is busy.

    A fixture with a parameter would end it whenever the next test is of the other engine.
    """
    with ExitStack() as stack:

        @cache
        def start(engine: str) -> SharedProgram:
            data_dir = tmp_path_factory.mktemp("e2e") / "data"
            variables = {
                "ZIMUN_TARGET_LATENCY": "0",
                "ZIMUN_FAIR_RATE": "0",
                "ZIMUN_MCP_RATE_LIMIT": "1000",
                **create_database(engine),
            }
            zimun = stack.enter_context(closed_after(Zimun(data_dir, **variables)))
            zimun.start()
            stack.callback(zimun.stop)
            return SharedProgram(zimun)

        yield start


@pytest.fixture(scope="session")
def shared_program(engine: str, start_shared: Callable[[str], SharedProgram]) -> SharedProgram:
    """The shared instance of this engine."""
    return start_shared(engine)


@pytest.fixture(scope="session")
def zimun(shared_program: SharedProgram) -> Zimun:
    """The shared instance: use your own `time`, `day` or `class_time` on it."""
    return shared_program.zimun


@pytest.fixture
def new_program(
    tmp_path: Path, new_database: Callable[[], dict[str, str]]
) -> Iterator[Callable[..., Zimun]]:
    """Makes an instance of one's own, not started: new_program(now=…, ZIMUN_RATE_LIMIT=…)."""
    with ExitStack() as stack:
        made: list[Zimun] = []

        def make(now: str = NOW, **env: str) -> Zimun:
            made.append(Zimun(tmp_path / f"data{len(made)}", now, **new_database(), **env))
            return stack.enter_context(closed_after(made[-1]))

        yield make


@pytest.fixture(scope="session")
def seed_site(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Site]:
    """Seeds the demo in an engine, once."""
    return cache(
        lambda engine: seeded(tmp_path_factory.mktemp("site") / "data", create_database(engine))
    )


@pytest.fixture(scope="session")
def demo_site(engine: str, seed_site: Callable[[str], Site]) -> Site:
    """The demo as `zimun up --demo` leaves it, to be copied."""
    return seed_site(engine)


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
def other_client(shared_program: SharedProgram) -> tuple[str, str]:
    """A second client of the demo organization."""
    return shared_program.other_client


@pytest.fixture(scope="session")
def other_org_client(shared_program: SharedProgram) -> tuple[str, str]:
    """A client of another organization."""
    return shared_program.other_org_client


@pytest.fixture
def time(shared_program: SharedProgram) -> str:
    """A start of s_123 that only this test uses, with all three staff free."""
    return next(shared_program.times)


@pytest.fixture
def times(shared_program: SharedProgram) -> Callable[[], str]:
    """Gives more such starts."""
    return lambda: next(shared_program.times)


@pytest.fixture
def day(shared_program: SharedProgram) -> str:
    """A working day that only this test uses, for s_123."""
    return next(shared_program.days)


@pytest.fixture
def near_day(shared_program: SharedProgram) -> str:
    """A working day that only this test uses, within the horizon of every service."""
    return next(shared_program.near_days)


@pytest.fixture(scope="session")
def berlin(shared_program: SharedProgram) -> Zimun:
    """The shared instance as the client of an organization in Berlin with `BERLIN_ENTRIES`."""
    return shared_program.berlin
