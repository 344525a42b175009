"""The server around the methods: health, reflection, deadlines, stopping."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from sqlalchemy import Connection

from zimun import app, demo
from zimun.auth.signing_keys import KeyStore
from zimun.auth.tokens import Issuer
from zimun.booking.reader import Reader
from zimun.booking.store import IdempotencyKey, LedgerRead
from zimun.clock import ManualClock
from zimun.config import Settings
from zimun.domain.errors import Overloaded
from zimun.rpc import validation
from zimun.rpc.ports import PortTaken
from zimun.storage.sqlite.database import SqliteDatabase
from zimun.v1 import appointments_service_pb2 as appointments_pb2

from ..support.rpc import FRIDAY_MORNING, Zimun, run_server, seed
from . import hold_of
from .calls import search

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest_asyncio.fixture(loop_scope="package")
async def alone(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Zimun]:
    """A server that only this test has, on a file in its directory: the store may be broken."""
    async with run_server(tmp_path, clock) as running:
        await seed(running.stores.writer)
        yield running


async def health(channel: grpc.aio.Channel, service: str) -> int:
    stub = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
    return int(answer.status)


async def until(look: Callable[[], Awaitable[object]], wanted: object) -> None:
    async with asyncio.timeout(10):
        while await look() != wanted:  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.01)


def writing_connection(zimun: Zimun) -> Connection:
    assert isinstance(zimun.stores.database, SqliteDatabase)
    return zimun.stores.database._writer


async def test_every_service_is_healthy_by_its_name(zimun: Zimun) -> None:
    for name in ("", *(service.full_name for service in validation.services())):
        assert await health(zimun.channel, name) == SERVING


async def test_a_list_of_health_has_every_service(zimun: Zimun) -> None:
    stub = health_pb2_grpc.HealthStub(zimun.channel)
    answer = await stub.List(health_pb2.HealthListRequest(), timeout=5)
    found = {name: response.status for name, response in answer.statuses.items()}
    names = ["", *(service.full_name for service in validation.services())]
    assert found == dict.fromkeys(names, SERVING)


async def test_health_says_so_when_the_store_cannot_be_written(alone: Zimun) -> None:
    writer = writing_connection(alone)
    writer.exec_driver_sql("PRAGMA query_only=ON")
    await until(lambda: health(alone.channel, ""), NOT_SERVING)
    assert await health(alone.channel, "zimun.v1.AppointmentsService") == NOT_SERVING
    assert await health(alone.channel, "zimun.v1.AvailabilityService") == SERVING
    writer.exec_driver_sql("PRAGMA query_only=OFF")
    await until(lambda: health(alone.channel, ""), SERVING)


async def test_health_of_every_service_is_not_serving_while_the_store_cannot_be_read(
    alone: Zimun, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "zimun.db", isolation_level=None)) as other:
        other.execute("ALTER TABLE ledgers RENAME TO hidden")
        for service in ("", "zimun.v1.AppointmentsService", "zimun.v1.AvailabilityService"):
            await until(partial(health, alone.channel, service), NOT_SERVING)
        other.execute("ALTER TABLE hidden RENAME TO ledgers")
    await until(lambda: health(alone.channel, "zimun.v1.AvailabilityService"), SERVING)


async def test_a_store_that_cannot_be_written_answers_unavailable(alone: Zimun) -> None:
    writing_connection(alone).exec_driver_sql("PRAGMA query_only=ON")
    told = await alone.refused(alone.appointments.HoldAppointment, hold_of("2025-12-01T10:00:00Z"))
    assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "OVERLOADED")
    assert told.headers["retry-after"] == "1"


async def test_reflection_lists_and_describes_the_services(zimun: Zimun) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(zimun.channel)
    call = stub.ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    )
    async for answer in call:
        names = {service.name for service in answer.list_services_response.service}
    assert {service.full_name for service in validation.services()} < names


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the writing lock of the store's file, as another process may."""
    with closing(sqlite3.connect(data_dir / "zimun.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_a_call_whose_deadline_has_passed_changes_nothing(
    alone: Zimun, tmp_path: Path
) -> None:
    with locked(tmp_path):
        patient = asyncio.create_task(
            alone.call(alone.appointments.HoldAppointment, hold_of("2025-12-01T10:00:00Z"))
        )
        await until(partial(_waits, alone.stores.reader), True)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await alone.appointments.HoldAppointment(
                hold_of("2025-12-01T10:00:00Z"), metadata=alone.bearer("k"), timeout=0.2
            )
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    hold = await patient
    # What comes after it in the same queue is decided after it.
    await alone.call(
        alone.appointments.ReleaseHold, appointments_pb2.ReleaseHoldRequest(hold_id=hold.hold_id)
    )
    key = IdempotencyKey(demo.CLIENT_ID, "HoldAppointment", "k")
    [update] = await alone.stores.ledgers.read([LedgerRead(demo.ORG_ID, keys=(key,))])
    assert update.responses == {}


async def test_question_while_a_commit_waits_for_the_file_is_answered(
    alone: Zimun, tmp_path: Path
) -> None:
    with locked(tmp_path):
        hold = asyncio.create_task(
            alone.call(alone.appointments.HoldAppointment, hold_of("2025-12-01T10:00:00Z"))
        )
        await until(partial(_waits, alone.stores.reader), True)
        # Of neither date is anything in memory yet.
        for date in ("2026-02-02", "2026-04-01"):
            assert len((await search(alone, "s_123", date)).slots) == 16
        assert not hold.done()
    assert (await hold).hold_id


async def test_write_cancelled_while_the_file_is_locked_leaves_no_transaction(
    alone: Zimun, tmp_path: Path
) -> None:
    database = alone.stores.database
    assert isinstance(database, SqliteDatabase)
    with locked(tmp_path):
        probe = asyncio.create_task(alone.stores.ledgers.probe())
        await asyncio.sleep(0)
        assert database._writing.locked()
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
    # What the thread still did comes before this.
    await asyncio.get_running_loop().run_in_executor(database._disk, int)
    with locked(tmp_path):
        pass
    await alone.stores.ledgers.probe()


async def test_stopping_finishes_what_is_in_flight(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, grpc_port=0, auth_port=0)
    clock = ManualClock(FRIDAY_MORNING)
    serving = app.serve(settings, clock)
    server = await serving.__aenter__()
    await demo.seed(server.stores.writer, clock.now())
    keys = await KeyStore.open(server.stores.credentials)
    issuer = Issuer(keys, settings.public_issuer, settings.audience)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        zimun = Zimun(clock, server.stores, "", channel, issuer)
        with locked(tmp_path):
            answer = asyncio.create_task(
                zimun.call(zimun.appointments.HoldAppointment, hold_of("2025-12-01T10:00:00Z"))
            )
            await until(partial(_waits, server.stores.reader), True)
            closing_down = asyncio.create_task(serving.__aexit__(None, None, None))
        hold = await answer
        await closing_down
    assert hold.hold_id
    with pytest.raises(Overloaded):
        await demo.seed(server.stores.writer, clock.now())


async def _waits(reader: Reader) -> bool:
    """Whether a group of the demo's commands is under way."""
    return reader.memory(demo.ORG_ID).lock.locked()


async def test_a_taken_port_is_said_plainly(zimun: Zimun, tmp_path: Path) -> None:
    port = int(zimun.target.rpartition(":")[2])
    settings = Settings(data_dir=tmp_path / "second", grpc_port=port, auth_port=0)
    with pytest.raises(PortTaken, match=f"gRPC port {port} is in use"):
        async with app.serve(settings, zimun.clock):
            raise AssertionError("served on a taken port")


@pytest.mark.parametrize(
    ("message", "is_logged"),
    [
        ("ExecuteBatchError raised in core by servicer method [/zimun.v1.X/Y]", False),
        ("Invalid encoding on", False),
        ("Unexpected [ValueError] raised by servicer method [/zimun.v1.X/Y]", True),
    ],
)
async def test_grpc_logs_no_metadata_and_no_traceback_of_a_caller_that_has_gone(
    zimun: Zimun, caplog: pytest.LogCaptureFixture, message: str, is_logged: bool
) -> None:
    logging.getLogger("grpc._cython.cygrpc").error(message)
    assert caplog.messages == [message] * is_logged
