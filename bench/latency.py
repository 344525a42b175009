"""`python -m bench.latency`: delays of holds at half the maximum load and beside long questions.

One worker, straight at its gRPC port. First as many holds a second as 32 callers get; then half
as many, which arrive at random (a Poisson process) whatever has been answered; then one caller's
holds, alone and beside a client that asks for 31 days of fifty people without pause. Last, the
seconds until a server on a prepared database serves.
"""

import argparse
import asyncio
import contextlib
import random
import statistics
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

import grpc
import uvloop

from bench import catalogue, site
from bench.burst import HOLD
from bench.holds import holds, load, spread
from zimun.domain.instant import SECOND
from zimun.v1 import availability_service_pb2

AVAILABILITY = "/zimun.v1.AvailabilityService/GetAvailability"
STARTS = 5

Arrival = Callable[[float], Coroutine[Any, Any, None]]
"""A call; it gets the time (`time.perf_counter`) at which it is due."""


class Delays(NamedTuple):
    """Milliseconds, of which the median and the 99th percentile are shown."""

    name: str
    values: list[float]

    def __str__(self) -> str:
        centiles = [1000 * value for value in statistics.quantiles(self.values, n=100)]
        p50, p99 = centiles[49], centiles[98]
        return f"{self.name:<36}{p50:>10.1f}{p99:>10.1f}{p99 / p50:>10.2f}"


async def at_rate(method: Any, calls: Iterator[Any], rate: float, seconds: float) -> list[float]:
    """The seconds of calls that arrive at random, counted from their arrival."""
    delays: list[float] = []

    async def call(arrival: float) -> None:
        request, metadata = next(calls)
        await method(request, metadata=metadata, timeout=60)
        delays.append(time.perf_counter() - arrival)

    await at_random(call, rate, seconds)
    return delays


async def at_random(call: Arrival, rate: float, seconds: float) -> None:
    """Begin calls at random, whatever became of those before, and wait for all."""
    chance, begun = random.Random(4), time.perf_counter()
    arrival = begun
    async with asyncio.TaskGroup() as group:
        while (arrival := arrival + chance.expovariate(rate)) < begun + seconds:
            await asyncio.sleep(arrival - time.perf_counter())
            group.create_task(call(arrival))


async def one_caller(method: Any, calls: Iterator[Any], seconds: float) -> list[float]:
    """The seconds of calls that follow one another."""
    delays, begun = [], time.perf_counter()
    while (sent := time.perf_counter()) < begun + seconds:
        request, metadata = next(calls)
        await method(request, metadata=metadata)
        delays.append(time.perf_counter() - sent)
    return delays


async def ask_without_pause(channel: grpc.aio.Channel, where: site.Site) -> None:
    """Questions of 31 days of fifty people, from another day each time."""
    method: Any = channel.unary_unary(AVAILABILITY)
    first = datetime.fromtimestamp(where.tomorrow / SECOND, UTC).date()
    for number in count():
        begin = first + timedelta(days=number % 300)
        request = availability_service_pb2.GetAvailabilityRequest(
            service_id=catalogue.BIG_SERVICE_ID,
            start_date=begin.isoformat(),
            end_date=(begin + timedelta(days=30)).isoformat(),
        )
        await method(request.SerializeToString(), metadata=where.bearer)


async def measure(port: int, where: site.Site, calls: Iterator[Any], seconds: float) -> None:
    """Print the delays of each kind of load, and of what is asked beside the last."""
    most = await load([port], HOLD, calls, seconds)
    async with site.connected([port], 2) as (channel, other):
        hold: Any = channel.unary_unary(HOLD)
        print(
            Delays(
                f"{most / 2:.0f} holds a second, half the most",
                await at_rate(hold, calls, most / 2, seconds),
            )
        )
        print(Delays("one caller's holds, alone", await one_caller(hold, calls, seconds)))
        asking = asyncio.create_task(ask_without_pause(other, where))
        await one_caller(hold, calls, 1)
        print(Delays("the same beside long questions", await one_caller(hold, calls, seconds)))
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking


def seconds_to_start(where: site.Site) -> float:
    """From the start of the program until it serves."""
    begun = time.perf_counter()
    with site.run_server(where, 1):
        return time.perf_counter() - begun


def main(seconds: float) -> None:
    """Measure on both stores."""
    for store in ("SQLite", "PostgreSQL"):
        with ExitStack() as stack:
            if store == "SQLite":
                where = stack.enter_context(site.on_sqlite())
            else:
                _, where = stack.enter_context(site.on_postgres())
            print(f"{store + ', milliseconds':<36}{'p50':>10}{'p99':>10}{'p99/p50':>10}")
            calls = holds(where, spread, count())
            with site.run_server(where, 1) as [port]:
                uvloop.run(measure(port, where, calls, seconds))
            starts = [seconds_to_start(where) for _ in range(STARTS)]
            print(f"seconds until it serves: median {statistics.median(starts):.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.latency", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="of each kind of load")
    main(**vars(parser.parse_args()))
