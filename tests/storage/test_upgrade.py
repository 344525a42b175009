"""An upgrade changes no response: a database of an earlier version, upgraded and asked again.

`data/schema_0004` has the rows of such a database and a recording of the
responses that its server gave. Nothing here knows the tables of the present code.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from joserfc.jws import extract_compact

from zimun import app
from zimun.clock import ManualClock
from zimun.config import Settings
from zimun.storage.migrate import migrate

from .earlier_database import ENGINES, Database, read_tables
from .recording import Placeholders, compare, microseconds, read_exchanges, send

REVISION = "0004"
DATA = Path(__file__).parent / "data" / f"schema_{REVISION}"
EXCHANGES = DATA / "exchanges.jsonl"

MAX_DIFFERENCES = 20
"""The most differences that a failure shows."""


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A database of each engine at the earlier schema, without rows."""
    made = ENGINES[request.param](tmp_path)
    migrate(made.migration_url(), REVISION)
    return made


@pytest.fixture
def upgraded(database: Database) -> Database:
    """The database with the rows that the earlier version had written, at the present schema."""
    database.insert(list(read_tables(DATA / "rows.jsonl")))
    migrate(database.migration_url())
    return database


@pytest.fixture(autouse=True)
def no_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave holds that ran out before the upgrade unrecorded until a request meets them."""
    monkeypatch.setattr(app, "EXPIRY_INTERVAL", 3600)


@dataclass(frozen=True)
class Server:
    """A running server on an upgraded database."""

    clock: ManualClock
    channel: grpc.aio.Channel
    token_url: str

    async def request_token(self, client_id: str, secret: str) -> str:
        """An access token for a client's credentials; empty where they are refused."""
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": secret,
        }
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.token_url, data=form) as response,
        ):
            body = await response.json()
            assert response.status in (200, 401), body
            return str(body.get("access_token", ""))


@asynccontextmanager
async def serve(database: Database, directory: Path) -> AsyncIterator[Server]:
    """The present server, with its clock at the time of the first recorded request."""
    settings = Settings(data_dir=directory, database_url=database.url, grpc_port=0, auth_port=0)
    clock = ManualClock(microseconds(next(read_exchanges(EXCHANGES)).time))
    async with (
        app.serve(settings, clock) as running,
        grpc.aio.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel,
    ):
        yield Server(clock, channel, f"http://127.0.0.1:{running.auth_port}/oauth/token")


def read_clients() -> list[dict[str, Any]]:
    """Credentials of the recorded clients, and whether they are accepted."""
    clients: list[dict[str, Any]] = json.loads((DATA / "clients.json").read_text("utf-8"))
    return clients


async def replay(server: Server) -> list[str]:
    """Send every recorded request again; a line for each difference from its response."""
    tokens = {
        client["client_id"]: await server.request_token(client["client_id"], client["secret"])
        for client in read_clients()
        if client["accepted"]
    }
    placeholders, differences = Placeholders(), list[str]()
    for number, exchange in enumerate(read_exchanges(EXCHANGES), 1):
        server.clock.instant = microseconds(exchange.time)
        request, token = placeholders.fill(exchange.request), tokens[exchange.client]
        response = await send(server.channel, token, exchange.method, request, exchange.key)
        differences += [
            f"line {number}, {exchange.method}: {difference}"
            for difference in compare(exchange, response, placeholders)
        ]
    return differences


def test_migrations_up_to_0004_make_the_recorded_schema(
    database: Database, request: pytest.FixtureRequest
) -> None:
    engine = request.node.callspec.params["database"]
    assert database.schema() == (DATA / f"schema.{engine}.txt").read_text("utf-8")


async def test_replay_after_upgrade_gives_the_recorded_responses(
    upgraded: Database, tmp_path: Path
) -> None:
    async with serve(upgraded, tmp_path) as server:
        differences = await replay(server)
    listed = "\n".join(differences[:MAX_DIFFERENCES])
    assert not differences, f"{len(differences)} differences\n{listed}"


async def test_replay_after_upgrade_on_a_changed_row_reports_differences(
    upgraded: Database, tmp_path: Path
) -> None:
    await asyncio.to_thread(
        upgraded.execute, "UPDATE staff SET name = 'Changed' WHERE id = 't_left'"
    )
    async with serve(upgraded, tmp_path) as server:
        differences = await replay(server)
    assert differences
    assert all("Changed" in difference for difference in differences)


async def test_clients_after_upgrade_get_tokens_signed_by_the_same_keys(
    upgraded: Database, tmp_path: Path
) -> None:
    [keys] = [table for table in read_tables(DATA / "rows.jsonl") if table.name == "signing_keys"]
    kids = [dict(zip(keys.columns, row, strict=True))["kid"] for row in keys.rows]
    async with serve(upgraded, tmp_path) as server:
        for client in read_clients():
            token = await server.request_token(client["client_id"], client["secret"])
            assert bool(token) == client["accepted"], client
            if token:
                assert extract_compact(token.encode()).headers()["kid"] in kids, client


async def test_service_without_staff_after_upgrade_is_taken_at_its_location(
    upgraded: Database,
) -> None:
    """Of the recorded database the sunbed is in London alone, and the workshop in Mitte."""
    for subject, expected in (("s_sunbed@l_london", 8), ("s_workshop@l_mitte", 6)):
        count = f"SELECT count(*) FROM allocations WHERE subject = '{subject}'"
        assert await asyncio.to_thread(upgraded.value, count) == expected


async def test_allocation_of_an_earlier_server_that_names_no_location_is_refused(
    upgraded: Database,
) -> None:
    insert = (
        "INSERT INTO allocations (org_id, subject, busy_start, busy_end, start_time, session_id, "
        "expires_at, booked_at) VALUES ('o_salon', '{}', 1, 2, 1, 'x_1', 2, 1)"
    )
    with pytest.raises(Exception, match=r"allocations_name_a_location|taken at a location"):
        await asyncio.to_thread(upgraded.execute, insert.format("s_sunbed"))
    for subject in ("s_sunbed@l_london", "s_sunbed@", "t_ada_new"):
        await asyncio.to_thread(upgraded.execute, insert.format(subject))
