"""Errors of PostgreSQL are answered with UNAVAILABLE, logged rarely, and shown by health."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain, count
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2

from zimun.v1 import appointments_service_pb2

from ..support import postgres
from ..support.processes import until
from ..support.server import Caller, Server, Site, details, outcome, outcome_of, seeded, starts

OK, REFUSED = ("OK", ""), ("UNAVAILABLE", "OVERLOADED")
UNKNOWN = ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
APPOINTMENTS = "zimun.v1.AppointmentsService"
MAX_CONNECTIONS = 12
LEFT = 3
"""Connections that are left to the server where other programs have the others."""

TIMES = starts()
NUMBERS = count()

Break = Callable[["Database"], None]


class Database:
    """A database with an owner that is no superuser, on a server that only these tests have."""

    def __init__(self, server: postgres.Postgres) -> None:
        self.server = server
        server.execute("postgres", "CREATE ROLE clerk LOGIN")
        server.execute("postgres", "CREATE DATABASE shop OWNER clerk")
        self.url = f"postgresql://clerk@127.0.0.1:{server.port}/shop"

    def shop(self, sql: str) -> None:
        self.server.execute("shop", sql)

    def config(self, sql: str) -> None:
        """For the whole server, until it is read: ALTER SYSTEM, which takes no transaction."""
        before = self._config_time()
        self.server.execute("postgres", sql)
        self.server.execute("postgres", "SELECT pg_reload_conf()")
        until("the configuration", lambda: self._config_time() != before)

    def _config_time(self) -> object:
        return self.server.value("postgres", "SELECT pg_conf_load_time()")

    def cut_off(self, sql: str) -> None:
        """Run a statement that affects new connections, and end the present ones."""
        self.server.execute("postgres", sql)
        self.server.execute(
            "postgres",
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = 'shop'",
        )


FULL = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON events EXECUTE FUNCTION full_disk()
"""

AWAY: dict[str, tuple[Break, Break]] = {
    "no connection is to be had": (
        lambda db: db.cut_off("ALTER DATABASE shop CONNECTION LIMIT 0"),
        lambda db: db.server.execute("postgres", "ALTER DATABASE shop CONNECTION LIMIT -1"),
    ),
    "it takes no connections": (
        lambda db: db.cut_off("ALTER DATABASE shop ALLOW_CONNECTIONS false"),
        lambda db: db.server.execute("postgres", "ALTER DATABASE shop ALLOW_CONNECTIONS true"),
    ),
    "the role may not log in": (
        lambda db: db.cut_off("ALTER ROLE clerk NOLOGIN"),
        lambda db: db.server.execute("postgres", "ALTER ROLE clerk LOGIN"),
    ),
    "the tables are missing": (
        lambda db: db.shop("ALTER SCHEMA public RENAME TO elsewhere"),
        lambda db: db.shop("ALTER SCHEMA elsewhere RENAME TO public"),
    ),
}
"""Faults with which no call works: how to cause each, and how to mend it."""

UNWRITABLE: dict[str, tuple[Break, Break]] = {
    "it is read-only": (
        lambda db: db.config("ALTER SYSTEM SET default_transaction_read_only = on"),
        lambda db: db.config("ALTER SYSTEM RESET default_transaction_read_only"),
    ),
    "its disk is full": (
        lambda db: db.shop(FULL),
        lambda db: db.shop("DROP FUNCTION full_disk CASCADE"),
    ),
    "a column is missing": (
        lambda db: db.shop("ALTER TABLE events RENAME COLUMN client_id TO client"),
        lambda db: db.shop("ALTER TABLE events RENAME COLUMN client TO client_id"),
    ),
    "a trigger of its operator refuses": (
        lambda db: db.shop(FULL.replace(" USING ERRCODE = '53100'", "")),
        lambda db: db.shop("DROP FUNCTION full_disk CASCADE"),
    ),
    "a privilege is missing": (
        lambda db: db.shop("REVOKE INSERT ON events FROM clerk"),
        lambda db: db.shop("GRANT INSERT ON events TO clerk"),
    ),
}


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    options = (f"max_connections={MAX_CONNECTIONS}", "superuser_reserved_connections=1")
    with postgres.run_postgres("fsync=off", *options) as server:
        yield Database(server)


@pytest.fixture(scope="module")
def server(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    variables = {"ZIMUN_DATABASE_URL": database.url}
    site = seeded(tmp_path_factory.mktemp("refusals") / "data", variables)
    hasty = {"ZIMUN_DATABASE_LOCK_TIMEOUT": "1", "ZIMUN_DATABASE_ANSWER_TIMEOUT": "3"}
    running = Server(Site(site.data_dir, variables | hasty, site.credentials)).start()
    try:
        yield running
        assert "Traceback" not in running.output()
        running.stop()
    finally:
        running.close()


@pytest.fixture
def caller(server: Server) -> Iterator[Caller]:
    with server.caller() as caller:
        assert write(caller) == OK
        yield caller
        until("service", lambda: write(caller) == read(caller) == OK, 20)
        until("health", lambda: caller.health() == "SERVING", 20)


def write(caller: Caller) -> tuple[str, str]:
    call = caller.begin_hold(next(TIMES))
    found = outcome(call)
    if found == REFUSED:
        retry = error_details_pb2.RetryInfo()
        assert [one.Unpack(retry) for one in details(call)].count(True) == 1
    return found


def read(caller: Caller) -> tuple[str, str]:
    request = appointments_service_pb2.ListAppointmentsRequest()
    answer = appointments_service_pb2.ListAppointmentsResponse
    return outcome(caller.future("AppointmentsService/ListAppointments", request, answer))


def rename(caller: Caller) -> tuple[str, str]:
    try:
        caller.rename(f"Name {next(NUMBERS)}")
    except grpc.RpcError as error:
        return outcome_of(error)
    return OK


@contextmanager
def broken(database: Database, ways: tuple[Break, Break]) -> Iterator[None]:
    ways[0](database)
    try:
        yield
    finally:
        ways[1](database)


@pytest.mark.parametrize("name", AWAY)
def test_all_calls_are_unavailable_where_the_database_is_unusable(
    name: str, database: Database, server: Server, caller: Caller
) -> None:
    before = len(server.output().splitlines())
    with broken(database, AWAY[name]):
        # Its statement may have been sent to a connection whose end was not noticed yet.
        assert write(caller) in (REFUSED, UNKNOWN)
        for ask in (write, read, rename) * 5:
            assert ask(caller) == REFUSED
        until("NOT_SERVING", lambda: caller.health() == "NOT_SERVING")
        assert caller.health(APPOINTMENTS) == "NOT_SERVING"
    lines = server.output().splitlines()[before:]
    assert len([line for line in lines if "ERROR" in line]) <= 3, lines


@pytest.mark.parametrize("name", UNWRITABLE)
def test_changes_are_unavailable_and_reads_served_where_the_database_cannot_be_written(
    name: str, database: Database, caller: Caller
) -> None:
    with broken(database, UNWRITABLE[name]):
        for _ in range(3):
            assert write(caller) == rename(caller) == REFUSED
            assert read(caller) == OK
        until("NOT_SERVING", lambda: caller.health() == "NOT_SERVING")
        assert caller.health(APPOINTMENTS) == "NOT_SERVING"


UNMET: dict[str, tuple[Break, Break]] = {
    "a table is missing": (
        lambda db: db.shop("ALTER TABLE sessions RENAME TO meetings"),
        lambda db: db.shop("ALTER TABLE meetings RENAME TO sessions"),
    ),
    "a privilege to delete is missing": (
        lambda db: db.shop("REVOKE DELETE ON allocations FROM clerk"),
        lambda db: db.shop("GRANT DELETE ON allocations TO clerk"),
    ),
    **{
        name: UNWRITABLE[name]
        for name in ("it is read-only", "a column is missing", "a privilege is missing")
    },
}


@pytest.mark.parametrize("name", UNMET)
def test_health_tells_of_a_fault_that_no_call_has_met(
    name: str, database: Database, caller: Caller
) -> None:
    with broken(database, UNMET[name]):
        until("NOT_SERVING", lambda: caller.health() == "NOT_SERVING")
        assert caller.health(APPOINTMENTS) == "NOT_SERVING"


@pytest.mark.parametrize("table", ["allocations", "clients"])
def test_health_tells_of_a_table_that_is_locked(
    table: str, database: Database, server: Server, caller: Caller
) -> None:
    with database.server.session(database.server.url("shop")) as execute:
        execute(f"BEGIN; LOCK TABLE {table} IN SHARE MODE")
        until("NOT_SERVING", lambda: caller.health() == "NOT_SERVING")
        execute("ROLLBACK")


READ_ONLY_ROLE: tuple[Break, Break] = (
    lambda db: db.cut_off("ALTER ROLE clerk SET default_transaction_read_only = on"),
    lambda db: db.server.execute("postgres", "ALTER ROLE clerk RESET ALL"),
)


def test_connections_that_began_read_only_are_not_used_on(
    database: Database, caller: Caller
) -> None:
    """They would remain read-only until they end."""
    with broken(database, READ_ONLY_ROLE):
        assert write(caller) in (REFUSED, UNKNOWN)
        until("NOT_SERVING", lambda: caller.health() == "NOT_SERVING")
        began = backends(database)
    until("other connections", lambda: not began & backends(database))


def backends(database: Database) -> set[int]:
    """The processes of the server's connections."""
    sql = "SELECT array_agg(pid) FROM pg_stat_activity WHERE usename = 'clerk'"
    return set(database.server.value("postgres", sql) or ())


@pytest.mark.parametrize("ending", ["lock timeout", "cancelled"])
def test_a_call_whose_statement_is_ended_is_unavailable(
    ending: str, database: Database, caller: Caller
) -> None:
    with database.server.session(database.server.url("shop")) as execute:
        execute("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        call = caller.begin_hold(next(TIMES))
        if ending == "cancelled":
            blocked = "wait_event_type = 'Lock' AND datname = 'shop'"
            until("a statement that waits", lambda: cancelled(database, blocked))
        assert outcome(call) == REFUSED
        execute("ROLLBACK")


def cancelled(database: Database, which: str) -> bool:
    sql = f"SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE {which}"
    return bool(database.server.value("postgres", sql))


def connections(database: Database) -> int:
    """How many the server has."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'clerk'"
    return int(database.server.value("postgres", sql))


def outcomes_until_served(call: Callable[[], tuple[str, str]]) -> list[tuple[str, str]]:
    """Of the attempts of a call that is repeated until it succeeds."""
    outcomes: list[tuple[str, str]] = []

    def is_served() -> bool:
        outcomes.append(call())
        return outcomes[-1] == OK

    until("a call that is served", is_served)
    return outcomes


def calls_until_served(caller: Caller) -> list[list[tuple[str, str]]]:
    """The outcomes of writes and reads, call by call."""
    return [outcomes_until_served(partial(call, caller)) for call in (write, read) * 10]


def check_most_are_served(callers: Sequence[Caller], threads: Executor) -> None:
    """More than 80 % of the calls are served at once, the others when they are repeated."""
    calls = list(chain.from_iterable(threads.map(calls_until_served, callers)))
    assert set(chain.from_iterable(calls)) <= {OK, REFUSED}
    first = Counter(outcomes[0] for outcomes in calls)
    assert first[OK] > 0.8 * len(calls), first


def test_calls_share_the_available_connections_and_use_more_when_there_are_more(
    database: Database, server: Server
) -> None:
    """Other programs have nearly all connections before the server has any."""
    database.cut_off("SELECT 1")
    with ExitStack() as stack, ThreadPoolExecutor(8) as threads:
        callers = [stack.enter_context(server.caller()) for _ in range(8)]
        with ExitStack() as others:
            for _ in range(MAX_CONNECTIONS - 1 - LEFT):
                others.enter_context(database.server.session(database.server.url("postgres")))
            # A few calls come when all connections of both pools are in use.
            check_most_are_served(callers, threads)
            assert 0 < connections(database) <= LEFT
            until("health", lambda: callers[0].health() == "SERVING")

        def uses_more() -> bool:
            check_most_are_served(callers, threads)
            return connections(database) > LEFT

        until("more connections", uses_more, 20)


def test_no_log_line_quotes_what_callers_sent(server: Server, tmp_path: Path) -> None:
    assert "clerk@" not in server.output()
    assert "parameters" not in server.output()
