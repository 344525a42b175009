"""`python -m bench.overload`: four times what a server can serve, and one noisy organization.

Mixed calls of fifty organizations through Envoy, or directly to the gRPC port, on
both stores: first at capacity, then four times that, then at capacity again; then all
organizations but one send six tenths of the capacity together, alone and beside one
that sends fifty times as much as each of them.
"""

import argparse
import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, cycle, islice
from pathlib import Path
from random import Random
from typing import Any

import grpc
import uvloop

from bench import catalogue, site
from bench.burst import HOLD
from bench.http2_client import RESET, Connection, connect, header_block, message
from bench.json_channel import Metadata
from zimun.domain.instant import MINUTE, SECOND
from zimun.v1 import (
    appointments_service_pb2,
    availability_service_pb2,
    services_service_pb2,
)

CONNECTION_COUNT = 100
CONCURRENCY = 64
"""Calls at once that load a server fully, as writes wait for the disk."""

REFUSED = (
    RESET,
    grpc.StatusCode.CANCELLED.value[0],
    grpc.StatusCode.UNAVAILABLE.value[0],
    grpc.StatusCode.RESOURCE_EXHAUSTED.value[0],
)
"""CANCELLED is what grpc's own core says where a thousand calls wait in it."""

AVAILABILITY = "/zimun.v1.AvailabilityService"
APPOINTMENTS = "/zimun.v1.AppointmentsService"

Call = tuple[bytes, bytes]
"""Headers and body as `Connection.call` takes them."""


class Calls:
    """The calls of the organizations, at random but the same each time."""

    def __init__(self, server: dict[str, Any]) -> None:
        self._tokens, self._tomorrow = server["tokens"], int(server["tomorrow"])
        self._today = datetime.fromtimestamp(self._tomorrow / SECOND, UTC).date()
        self._random, self._keys = Random(11), count()

    def of(self, org_id: str) -> Call:
        """One call of an organization, as `request` chooses it."""
        path, request, metadata = self.request(org_id)
        return header_block(path, metadata), message(request)

    def keyed(self, org_id: str) -> Metadata:
        """The metadata of a change."""
        return self._bearer(org_id), ("idempotency-key", f"o{next(self._keys)}")

    def request(self, org_id: str) -> tuple[str, bytes, Metadata]:
        """The path, bytes and metadata of a call: of 23, nine read one date, seven hold."""
        [make] = self._random.choices(
            (self._list, self._day, self._weeks, self._next, self._appointments, self._hold),
            (3, 9, 1, 2, 1, 7),
        )
        path, request = make()
        metadata = self.keyed(org_id) if path == HOLD else (self._bearer(org_id),)
        return path, request.SerializeToString(), metadata

    def _bearer(self, org_id: str) -> tuple[str, str]:
        return "authorization", f"Bearer {self._tokens[org_id]}"

    def _list(self) -> tuple[str, Any]:
        request = services_service_pb2.ListServicesRequest(page_size=50)
        return "/zimun.v1.ServicesService/ListServices", request

    def _day(self) -> tuple[str, Any]:
        day = self._today + timedelta(days=self._random.randrange(catalogue.MANY_DAYS))
        request = availability_service_pb2.GetAvailabilityRequest(
            service_id=catalogue.LONG_SERVICE_ID, date=day.isoformat()
        )
        return f"{AVAILABILITY}/GetAvailability", request

    def _weeks(self) -> tuple[str, Any]:
        """Four weeks: a long read."""
        first = self._today + timedelta(days=self._random.randrange(3))
        request = availability_service_pb2.GetAvailabilityRequest(
            service_id=catalogue.LONG_SERVICE_ID,
            start_date=first.isoformat(),
            end_date=(first + timedelta(days=27)).isoformat(),
        )
        return f"{AVAILABILITY}/GetAvailability", request

    def _next(self) -> tuple[str, Any]:
        request = availability_service_pb2.FindNextAvailableRequest(
            service_id=catalogue.LONG_SERVICE_ID, count=5
        )
        request.start_time_from.FromMicroseconds(self._tomorrow)
        return f"{AVAILABILITY}/FindNextAvailable", request

    def _appointments(self) -> tuple[str, Any]:
        request = appointments_service_pb2.ListAppointmentsRequest(page_size=50)
        return f"{APPOINTMENTS}/ListAppointments", request

    def _hold(self) -> tuple[str, Any]:
        request = appointments_service_pb2.HoldAppointmentRequest(
            service_id=catalogue.MINUTE_SERVICE_ID
        )
        minute = self._random.randrange(1000 * 1440)
        request.appointment_time.FromMicroseconds(self._tomorrow + minute * MINUTE)
        return HOLD, request


@dataclass
class Outcome:
    """The seconds of calls that were served, of those that were refused, and all statuses."""

    seconds: float = 0.0
    served: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def add(self, status: int, seconds: float) -> None:
        self.statuses[status] += 1
        (self.refused if status in REFUSED else self.served).append(seconds)

    @property
    def rate(self) -> float:
        """Served calls per second."""
        return len(self.served) / self.seconds

    def __str__(self) -> str:
        sent = sum(self.statuses.values())
        codes = ", ".join(f"{status}: {n}" for status, n in sorted(self.statuses.items()))
        return (
            f"{sent / self.seconds:>8,.0f} sent/s {self.rate:>8,.0f} served/s"
            f"  p50 {1000 * centile(self.served, 50):>6.0f} ms p99 "
            f"{1000 * centile(self.served, 99):>6.0f} ms"
            f"  refusals p99 {1000 * centile(self.refused, 99):>6.0f} ms  ({codes})"
        )


def centile(seconds: Sequence[float], n: int) -> float:
    """The n-th centile; 0 of nothing."""
    return statistics.quantiles(seconds, n=100)[n - 1] if len(seconds) > 1 else sum(seconds)


async def closed_loop(
    connections: Sequence[Connection], calls: Iterator[Call], seconds: float
) -> Outcome:
    """CONCURRENCY callers, each with its next call once the one before is answered."""
    outcome = Outcome()
    loop = asyncio.get_running_loop()
    begin = time.perf_counter()

    async def caller(connection: Connection) -> None:
        while (sent := time.perf_counter()) < begin + seconds:
            answer: asyncio.Future[int] = loop.create_future()
            connection.call(*next(calls), answer.set_result)
            outcome.add(await answer, time.perf_counter() - sent)

    await asyncio.gather(*(caller(connections[n % len(connections)]) for n in range(CONCURRENCY)))
    outcome.seconds = time.perf_counter() - begin
    return outcome


async def open_loop(
    connections: Sequence[Connection],
    sources: Sequence[tuple[Iterator[Call], float]],
    seconds: float,
) -> list[Outcome]:
    """Calls of each source at its rate per second, whether or not those before are answered."""
    outcomes = [Outcome() for _ in sources]
    random, cycled = Random(7), cycle(connections)
    begin = time.perf_counter()
    due = [begin + random.expovariate(rate) for _, rate in sources]
    while (now := time.perf_counter()) < begin + seconds:
        for n, (calls, rate) in enumerate(sources):
            while due[n] <= now:
                _send(cycled, len(connections), next(calls), outcomes[n])
                due[n] += random.expovariate(rate)
        await asyncio.sleep(0.001)
    taken = time.perf_counter() - begin
    for outcome in outcomes:
        outcome.seconds = taken
    await asyncio.gather(*(connection.quiet.wait() for connection in connections))
    return outcomes


def _send(connections: Iterator[Connection], count: int, call: Call, outcome: Outcome) -> None:
    """Send a call on the next connection that is free; it is refused at once where none is."""
    free = next(
        (connection for connection in islice(connections, count) if connection.is_free), None
    )
    if free:
        free.call(*call, _timed(outcome))
    else:
        outcome.add(RESET, 0.0)


def _timed(outcome: Outcome) -> Callable[[int], None]:
    sent = time.perf_counter()
    return lambda status: outcome.add(status, time.perf_counter() - sent)


def memory(pids: Sequence[int]) -> list[int]:
    """The resident memory of each process, in MB."""
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return [int(status.partition("VmRSS:")[2].split()[0]) // 1000 for status in statuses]


async def measure(server: dict[str, Any], seconds: float, directory: Path, straight: bool) -> None:
    """Measure one server."""
    if straight:
        await _measure(server, server["port"], [server["pid"]], seconds)
        return
    async with site.edge(server, directory) as envoy:
        pids = [server["pid"], envoy.pid]
        await _measure(server, envoy.settings.listen_port, pids, seconds)


async def _measure(server: dict[str, Any], port: int, pids: Sequence[int], seconds: float) -> None:
    calls, org_ids = Calls(server), list(server["tokens"])
    mixed = (calls.of(org_id) for org_id in cycle(org_ids))
    connections = await connect(port, CONNECTION_COUNT)
    await closed_loop(connections, mixed, 5)
    capacity = await closed_loop(connections, mixed, 10)
    print(f"as many as it can {capacity}", flush=True)
    before = memory(pids)
    [over] = await open_loop(connections, [(mixed, 4 * capacity.rate)], seconds)
    peak = memory(pids)
    await asyncio.sleep(2)
    _close(connections)
    connections = await connect(port, CONNECTION_COUNT)
    again = await closed_loop(connections, mixed, 10)
    await asyncio.sleep(max(0, min(48, seconds - 12)))
    print(f"four times that   {over}")
    print(f"2 s later         {again}")
    print(f"of the rate {over.rate / capacity.rate:.2f}, again {again.rate / capacity.rate:.2f}")
    print(f"memory {before}, {peak}, {memory(pids)} MB", flush=True)
    await _fairness(connections, calls, org_ids, capacity.rate, seconds)
    _close(connections)


def _close(connections: Sequence[Connection]) -> None:
    for connection in connections:
        connection.close()


async def _fairness(
    connections: Sequence[Connection],
    calls: Calls,
    org_ids: Sequence[str],
    rate: float,
    seconds: float,
) -> None:
    noisy, *others = org_ids
    each = 0.6 * rate / len(others)
    quiet = (calls.of(org_id) for org_id in cycle(others)), 0.6 * rate
    loud = iter(lambda: calls.of(noisy), None), 50 * each
    [alone] = await open_loop(connections, [quiet], seconds / 2)
    beside, noise = await open_loop(connections, [quiet, loud], seconds / 2)
    print(f"others alone      {alone}")
    print(f"others beside one {beside}")
    print(f"the noisy one     {noise}", flush=True)


def main(seconds: float, stores: Sequence[str], straight: bool) -> None:
    """Measure each store."""
    for store in stores:
        print(store, flush=True)
        with site.on_store(store, "many") as (server, directory):
            uvloop.run(measure(server, seconds, directory, straight))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of overload")
    parser.add_argument("--straight", action="store_true", help="without Envoy")
    parser.add_argument("--stores", nargs="+", choices=site.STORES, default=site.STORES)
    main(**vars(parser.parse_args()))
