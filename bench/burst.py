"""`python -m bench.burst`: five hundred callers at one slot, at the same moment.

The same burst of no-op RPCs, with the same client on the same machine, says how
much of the time is not Zimun's.
"""

import argparse
import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc
import uvloop

from bench import catalogue, site
from zimun.domain.instant import DAY, MINUTE
from zimun.v1 import appointments_service_pb2

CALLERS = 500
CHANNELS = 50

HOLD = "/zimun.v1.AppointmentsService/HoldAppointment"
NOOP = "/bench.Noop/Call"


class Burst:
    """Seconds of each call of a burst, and how they ended."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.outcomes: Counter[str] = Counter()

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.seconds, n=100)[98]


async def burst(
    port: int, path: str, request: bytes, metadata: tuple[tuple[str, str], ...]
) -> Burst:
    """Send the request CALLERS times at once; each call's time begins with the burst's."""
    found, start = Burst(), asyncio.Event()
    async with site.connected(port, CHANNELS) as channels:

        async def attempt(method: Any) -> None:
            await start.wait()
            try:
                await method(request, metadata=metadata, timeout=60)
                outcome = "OK"
            except grpc.aio.AioRpcError as error:
                outcome = error.code().name
            found.seconds.append(time.perf_counter() - began)
            found.outcomes[outcome] += 1

        methods: list[Any] = [channel.unary_unary(path) for channel in channels]
        attempts = [
            asyncio.create_task(attempt(methods[number % CHANNELS])) for number in range(CALLERS)
        ]
        await asyncio.sleep(0)
        began = time.perf_counter()
        start.set()
        await asyncio.gather(*attempts)
    return found


def hold_at(start: int) -> bytes:
    request = appointments_service_pb2.HoldAppointmentRequest(service_id=catalogue.SERVICE_ID)
    request.appointment_time.FromMicroseconds(start)
    return request.SerializeToString()


async def bursts(
    rounds: int, port: int, plain: int, where: site.Site, report: Callable[[str], None]
) -> None:
    """Bursts of holds and of no-ops in turn, each of holds at a slot of its own."""
    held: list[Burst] = []
    idle: list[Burst] = []
    for number in range(rounds + 1):
        at = where.tomorrow + DAY + number * 60 * MINUTE
        holds = await burst(port, HOLD, hold_at(at), where.bearer)
        assert holds.outcomes == {
            "OK": len(catalogue.STAFF),
            "ABORTED": CALLERS - len(catalogue.STAFF),
        }, holds.outcomes
        noops = await burst(plain, NOOP, hold_at(at), where.bearer)
        if number:  # The first one finds everything cold.
            held.append(holds)
            idle.append(noops)
    for name, found in (("holds", held), ("no-ops", idle)):
        p99 = sorted(1000 * one.p99 for one in found)
        report(f"{name:<8}p99 ms: median {statistics.median(p99):.0f}, most {p99[-1]:.0f}")


def main(rounds: int, workers: int, engine: str) -> None:
    with site.started("noop") as noop:
        if engine == "sqlite":
            with site.on_sqlite() as where, site.serving(where, workers) as port:
                uvloop.run(bursts(rounds, port, noop["port"], where, print))
            return
        with site.on_postgres() as (server, where), site.serving(where, workers) as port:
            uvloop.run(bursts(rounds, port, noop["port"], where, print))
            print(f"deadlocks logged: {server.log.read_text().count('deadlock detected')}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.burst", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engine", choices=("postgres", "sqlite"), default="postgres")
    main(**vars(parser.parse_args()))
