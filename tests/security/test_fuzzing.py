"""Messages of a fuzzer to every method: none fails the server, and its memory stays bounded."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc

from .attacks import AttackCounter, cases, seeded
from .entry_points import Headers
from .forgeries import bearer
from .fuzzer import Attempt, Fuzzer
from .target import TESTER, Target, memory
from .valid_requests import Ids

MESSAGES = 5_000
"""Messages to each store in CI."""

CALLERS = 16

MESSAGES_OF_STREAMS = {"no message": 0, "two messages": 2}
"""How many messages are sent where one is due."""

UNSENT = "Internal error from Core"
"""What grpc.aio tells of a second message that it cannot send, as the call has its answer."""

FAILURES = {"INTERNAL", "UNKNOWN", "DATA_LOSS", "UNAVAILABLE"}
"""Codes that mean a fault of the server."""

MAX_GROWTH = 80 << 20
"""Bytes by which the server or Envoy may grow while it is attacked: caches that fill, once."""


async def test_no_message_of_the_fuzzer_fails_the_server(
    target: Target, tester: Ids, attacks: AttackCounter, store: str
) -> None:
    fuzzer = Fuzzer(seeded(f"fuzzer {store}"), tester)
    program, own = target.program, bearer(target.token(TESTER))
    pids = {"server": program.process.pid, "envoy": program.envoy()}
    async with (
        grpc.aio.insecure_channel(program.grpc_target) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{program.port}") as envoy,
    ):
        channels = [server, server, server, envoy]
        await run(channels, own, fuzzer, MESSAGES // 5)
        before = {name: memory(pid) for name, pid in pids.items()}
        codes = await run(channels, own, fuzzer, cases(MESSAGES))
    for code, number in codes.items():
        attacks.count(f"fuzzer, {store}", code, number)
    growth = {name: memory(pid) - before[name] for name, pid in pids.items()}
    attacks.note(f"fuzzer, {store}: growth in MB {megabytes(growth)} of {megabytes(before)}")
    assert max(growth.values()) < MAX_GROWTH, growth
    assert "Traceback" not in program.output(), program.output()[-4000:]


def megabytes(sizes: dict[str, int]) -> str:
    return ", ".join(f"{name} {size / (1 << 20):.0f}" for name, size in sizes.items())


async def run(
    channels: Sequence[grpc.aio.Channel], own: Headers, fuzzer: Fuzzer, number: int
) -> Counter[str]:
    """Send messages by several callers; the count of each code."""
    codes: Counter[str] = Counter()
    attempts = (fuzzer.attempt() for _ in range(number))

    async def send_all(channel: grpc.aio.Channel) -> None:
        for attempt in attempts:
            codes[await send(channel, own, attempt)] += 1

    async with asyncio.TaskGroup() as group:
        for caller in range(CALLERS):
            group.create_task(send_all(channels[caller % len(channels)]))
    return codes


async def send(channel: grpc.aio.Channel, own: Headers, attempt: Attempt) -> str:
    """Send the message of an attempt; the name of the code of its answer."""
    call = begin(channel, attempt, [*own, *attempt.metadata])
    if attempt.how == "cancel":
        await asyncio.sleep(0)
        call.cancel()
    try:
        code: grpc.StatusCode = await call.code()
        if (await call.details()) == UNSENT:
            return "UNSENT"
        assert code.name not in FAILURES, (code, await call.details(), attempt)
    except asyncio.CancelledError:
        if attempt.how != "cancel":
            raise
        return "CANCELLED"
    return code.name


def begin(channel: Any, attempt: Attempt, metadata: list[tuple[str, str | bytes]]) -> Any:
    """A call under way; one without a message ends with its deadline."""
    path, message = attempt.method.path, attempt.message
    timeout = {"deadline": 0.002, "no message": 0.02}.get(attempt.how, 20)
    if attempt.how in MESSAGES_OF_STREAMS:
        messages = stream([message] * MESSAGES_OF_STREAMS[attempt.how])
        return channel.stream_unary(path)(messages, metadata=metadata, timeout=timeout)
    return channel.unary_unary(path)(message, metadata=metadata, timeout=timeout)


async def stream(messages: list[bytes]) -> AsyncIterator[bytes]:
    for message in messages:
        yield message
