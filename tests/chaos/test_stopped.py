"""A server that stops in the middle of a group: others are held up for a bounded time only."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from zimun.storage.postgresql.database import ANSWER_TIMEOUT, IDLE_TIMEOUT, LOCK_TIMEOUT
from zimun.storage.sqlite.database import BUSY_TIMEOUT
from zimun.v1 import resource_pb2, resources_service_pb2, resources_service_pb2_grpc

from ..support.processes import until
from .calls import Request, send
from .history import NOTHING, OK, Attempt
from .run import Installation, open_database, run_servers
from .scenario import DAY, HOUR, ORGS, SERVICES

pytestmark = pytest.mark.chaos

ORG = ORGS[0]
SLACK = 3.0
"""Seconds for what is not waiting, on a busy machine."""

CALL_TIMEOUT = 30.0


class Caller:
    """One client of one organization on a channel to a server."""

    def __init__(self, installation: Installation, channel: grpc.aio.Channel) -> None:
        self._installation, self._channel = installation, channel
        self._day = (installation.clock.now() // DAY + 2) * DAY
        self._token = installation.token(ORG, "c_1")

    async def create_resource(self) -> str:
        """Create a resource; answers its name."""
        stub: Any = resources_service_pb2_grpc.ResourcesServiceStub(self._channel)
        request = resources_service_pb2.CreateResourceRequest(
            resource=resource_pb2.Resource(name="Room four")
        )
        metadata = (("authorization", f"Bearer {self._token}"), ("idempotency-key", "room"))
        made: resource_pb2.Resource = await stub.CreateResource(
            request, metadata=metadata, timeout=CALL_TIMEOUT
        )
        return str(made.name)

    async def hold(self) -> tuple[Attempt, float]:
        """Hold the first start of a day; and how long that took."""
        start = SERVICES["s_kiosk"].times(self._day)[0]
        began = time.monotonic()
        attempt = await self._send("HoldAppointment", service_id="s_kiosk", start=start)
        return attempt, time.monotonic() - began

    async def starts(self) -> list[int]:
        """The open starts of that day, in hours."""
        attempt = await self._send("GetAvailability", service_id="s_kiosk", day=self._day)
        assert attempt.outcome == OK, attempt
        return [(start - self._day) / HOUR for start, *_ in attempt.answer["slots"]]

    async def _send(self, method: str, **content: object) -> Attempt:
        request = Request(ORG, "c_1", method, "hold", content)
        return await send(
            self._channel, self._installation.clock, self._token, request, CALL_TIMEOUT
        )


@pytest.mark.parametrize(
    ("engine", "refused_within", "done_within"),
    [("embedded", BUSY_TIMEOUT, None), ("shared", LOCK_TIMEOUT, IDLE_TIMEOUT + LOCK_TIMEOUT)],
)
async def test_server_stopped_in_the_middle_of_a_group_holds_others_up_for_a_bounded_time(
    engine: str, refused_within: float, done_within: float | None, tmp_path: Path
) -> None:
    """PostgreSQL ends the transaction of the stopped server. The lock of a file lasts as long as
    the process, so that others can only be told in time, and read."""
    async with open_database(engine, tmp_path) as installation:
        stopped, other = installation.server(0, ("tests.chaos.stopping",)), installation.server(1)
        async with (
            run_servers((stopped, other)),
            grpc.aio.insecure_channel(stopped.target) as to_stopped,
            grpc.aio.insecure_channel(other.target) as to_other,
        ):
            caller, admin = Caller(installation, to_other), Caller(installation, to_stopped)
            created = asyncio.create_task(admin.create_resource())
            await asyncio.to_thread(until, "the server to stop", stopped.is_stopped)
            began = time.monotonic()
            assert 9.0 in await caller.starts()
            attempt, took = await caller.hold()
            while attempt.outcome == NOTHING and done_within:
                assert took < refused_within + SLACK
                assert time.monotonic() - began < done_within + SLACK
                attempt, took = await caller.hold()
            if done_within:
                assert attempt.outcome == OK, attempt
                assert time.monotonic() - began < done_within + SLACK
            else:
                assert attempt.outcome == NOTHING, attempt
                assert took < refused_within + SLACK
            stopped.signal(signal.SIGCONT)
            # Where its transaction is gone it knows, and decides again.
            assert await created == "Room four"
            attempt, _ = await caller.hold()
            assert attempt.outcome == OK, attempt
            assert 9.0 not in await admin.starts() == await caller.starts()


async def test_server_whose_connections_are_lost_silently_answers_again_in_bounded_time(
    tmp_path: Path,
) -> None:
    """The server is not told that its connections are lost; new ones are accepted."""
    async with open_database("shared", tmp_path) as installation:
        server = installation.server(0)
        async with run_servers((server,)), grpc.aio.insecure_channel(server.target) as channel:
            caller = Caller(installation, channel)
            assert 9.0 in await caller.starts()
            assert installation.proxy
            installation.proxy.lose()
            began = time.monotonic()
            attempt, _ = await caller.hold()
            while attempt.outcome != OK:
                assert time.monotonic() - began < 2 * ANSWER_TIMEOUT + SLACK
                attempt, _ = await caller.hold()
            assert time.monotonic() - began < 2 * ANSWER_TIMEOUT + SLACK
            assert 9.0 not in await caller.starts()
