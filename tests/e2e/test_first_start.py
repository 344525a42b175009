"""Several programs that start on one empty database at once, and one that comes too late."""

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import requests

from ..support.postgres import shared
from ..support.processes import BIN, environment, run
from ..support.server import Caller, Server, Site

ZIMUN = str(BIN / "zimun")


@pytest.fixture
def empty(tmp_path: Path, new_database: Callable[[], dict[str, str]]) -> Site:
    """A directory that is not there yet, and a database with nothing in it."""
    return Site(tmp_path / "data", new_database())


@pytest.fixture
def pair(empty: Site) -> Iterator[list[Server]]:
    """Two servers that were started on it at the same moment."""
    with ExitStack() as stack:
        servers = [Server(empty), Server(empty)]
        for server in servers:
            stack.callback(server.close)
            server.spawn()
        yield [server.wait_ready() for server in servers]


def test_migrations_at_the_same_moment_all_succeed(empty: Site) -> None:
    command = [ZIMUN, "migrate", "--data-dir", str(empty.data_dir)]
    running = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(**empty.database),
        )
        for _ in range(4)
    ]
    ended = [(*one.communicate(timeout=60), one.returncode) for one in running]
    assert ended == [("", "", 0)] * 4
    # And once more, as every start does.
    done = run(*command, **empty.database)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_servers_that_start_at_the_same_moment_share_schema_organizations_and_keys(
    pair: list[Server],
) -> None:
    # One schema, one organization made through it, one set of signing keys.
    one, other = pair
    site = one.site
    options = ("--data-dir", str(site.data_dir))
    made = run(ZIMUN, "org", "create", "o_acme", "--name", "Acme", *options, **site.database)
    assert made.returncode == 0, made.stderr
    client = run(ZIMUN, "client", "create", "--org", "o_acme", "--name", "Web", *options,
                 **site.database)  # fmt: skip
    words = client.stdout.split()
    credentials = words[2], words[5]
    for issuing, asked in ((one, other), (other, one)):
        answer = requests.post(
            f"http://127.0.0.1:{issuing.auth_port}/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=credentials,
            timeout=20,
        )
        with Caller(asked.target, answer.json()["access_token"]) as caller:
            assert caller.services() == []
    for server in pair:
        server.stop()


def forget_the_schema(site: Site) -> None:
    """Says that a Zimun of the future was here."""
    sql = "UPDATE alembic_version SET version_num = '9999'"
    if site.database:
        server, _ = shared()
        server.execute(site.database["ZIMUN_DATABASE_URL"].rpartition("/")[2], sql)
    else:
        with closing(sqlite3.connect(site.data_dir / "zimun.db")) as file:
            file.execute(sql)
            file.commit()


@pytest.mark.parametrize(
    "command",
    [("serve",), ("serve", "--workers", "2"), ("migrate",), ("up",), ("export",)],
    ids=" ".join,
)
def test_a_schema_newer_than_the_code_is_refused_in_one_line(
    command: tuple[str, ...], site: Site
) -> None:
    forget_the_schema(site)
    env = {**site.database, "ZIMUN_GRPC_PORT": "0", "ZIMUN_AUTH_PORT": "0", "ZIMUN_PORT": "0"}
    done = run(ZIMUN, *command, "--data-dir", str(site.data_dir), **env)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "zimun: the database is at schema 9999, which this Zimun does not know\n"
    )
