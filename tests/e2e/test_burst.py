"""Five hundred callers at one slot through two servers: three get it, whoever is asked.

ZIMUN_BURST_ROUNDS says how often (3 unless set).
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from itertools import islice
from statistics import quantiles

import grpc
import pytest
from google.protobuf.message import Message

from zimun.v1 import hold_pb2

from ..support.postgres import shared
from ..support.server import Server, hold_request, outcome_of, serialize, starts

ROUNDS = int(os.environ.get("ZIMUN_BURST_ROUNDS", "3"))
CALLERS = 500
CHANNELS = 25
"""Connections to each server."""


class Burst:
    """What became of the attempts at one slot."""

    def __init__(self) -> None:
        self.winners: list[hold_pb2.Hold] = []
        self.losers: Counter[tuple[str, str]] = Counter()
        self.seconds: list[float] = []
        self.whole = 0.0


async def burst(servers: list[Server], at: str) -> Burst:
    """Everybody wants the slot at the same moment."""
    found = Burst()
    request = hold_request(at)
    start = asyncio.Event()
    channels = [
        grpc.aio.insecure_channel(server.target, (("grpc.use_local_subchannel_pool", 1),))
        for _ in range(CHANNELS)
        for server in servers
    ]
    metadata = (("authorization", f"Bearer {servers[0].token()}"),)

    async def attempt(channel: grpc.aio.Channel) -> None:
        hold: grpc.aio.UnaryUnaryMultiCallable[Message, hold_pb2.Hold] = channel.unary_unary(
            "/zimun.v1.AppointmentsService/HoldAppointment",
            serialize,
            hold_pb2.Hold.FromString,
        )
        await start.wait()
        began = time.monotonic()
        try:
            found.winners.append(await hold(request, metadata=metadata, timeout=60))
        except grpc.aio.AioRpcError as error:
            found.losers[outcome_of(error)] += 1
        found.seconds.append(time.monotonic() - began)

    for channel in channels:
        await channel.channel_ready()
    attempts = [
        asyncio.create_task(attempt(channels[number % len(channels)])) for number in range(CALLERS)
    ]
    await asyncio.sleep(0)
    began = time.monotonic()
    start.set()
    await asyncio.gather(*attempts)
    found.whole = time.monotonic() - began
    for channel in channels:
        await channel.close()
    return found


async def test_of_500_holds_of_one_slot_through_two_servers_exactly_three_succeed(
    serve: Callable[..., Server], engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    servers = [serve(), serve()]
    for server in servers:
        server.spawn()
    for server in servers:
        server.wait_ready()
    logged = len(shared()[0].log.read_text()) if engine == "postgres" else 0
    for at in islice(starts(), ROUNDS):
        found = await burst(servers, at)
        p99 = quantiles(found.seconds, n=100)[-1]
        with capsys.disabled():
            print(f"\n{CALLERS} holds on {engine}: {found.whole:.2f} s, p99 {p99:.2f} s", end="")
        assert found.losers == {("ABORTED", "SLOT_UNAVAILABLE"): CALLERS - 3}
        assert {hold.staff_id for hold in found.winners} == {"t_ada", "t_ben", "t_chloe"}
        assert len(found.winners) == 3
    for server in servers:
        server.stop()
        assert "Traceback" not in server.output()
    if engine == "postgres":
        assert "deadlock detected" not in shared()[0].log.read_text()[logged:]
