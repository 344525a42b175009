"""`python -m bench`: requests per second as ratios to a no-op RPC, on both stores.

The no-op is a unary RPC that answers its request, on grpc.aio with the same
event loop, in a process of its own as Zimun is, called by the same client with
the same metadata and the same 32 calls in flight, straight at the gRPC port.
Kinds of call take turns in short rounds, and a ratio is the median over the
rounds, so that a noisy machine disturbs all alike. The last column is processor
time of the server's process for each call, in microseconds: other programs
disturb it least. Draws `bench/speed.svg`.

With `--json` all calls go as JSON through Envoy, without its limits of rates; the
no-op is ListServices, which a server behind the same Envoy answers at once. Draws
nothing.
"""

import argparse
import asyncio
import contextlib
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, cycle
from pathlib import Path
from typing import Any

import grpc
import uvloop

from bench import catalogue, picture, requests, site
from bench.json_channel import JsonChannel, Refused
from zimun.domain.instant import DAY, MINUTE, SECOND
from zimun.v1 import (
    appointment_pb2,
    appointments_service_pb2,
    availability_service_pb2,
    services_service_pb2,
)

CONCURRENCY = 32

Metadata = tuple[tuple[str, str], ...]
Call = tuple[bytes, Metadata]

APPOINTMENTS = "/zimun.v1.AppointmentsService"

TARGETS = {
    "ListServices": (0.75, 0.70),
    "GetAvailability": (0.60, 0.55),
    "HoldAppointment": (0.50, 0.45),
    "  all on one day": (0.50, 0.40),
    "  of 32 organizations": (0.45, 0.30),
    "ConfirmAppointment": (0.50, 0.45),
    "RescheduleAppointment": (0.40, 0.35),
    "CancelAppointment": (0.45, 0.40),
}
"""The ratios to reach, on SQLite and on PostgreSQL."""

JSON_TARGET = 0.85
"""Of them, as JSON through Envoy."""

LIST_SERVICES = "/zimun.v1.ServicesService/ListServices"


@dataclass
class Measured:
    """Calls per second and processor time per call of each round, and the seconds of each call."""

    rates: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)


class Bench:
    """A server with the benchmarks' organizations, and the calls to it."""

    def __init__(
        self,
        server: dict[str, Any],
        channel: grpc.aio.Channel | JsonChannel,
        noop_server: dict[str, Any],
        noop: Any,
    ) -> None:
        self._pid, self._noop_pid = server["pid"], noop_server["pid"]
        self._tokens, self._tomorrow = server["tokens"], int(server["tomorrow"])
        self._channel, self._noop = channel, noop
        self._keys = count()
        self._random = random.Random(3)
        self._days = cycle(range(1000, 1080))
        self.measured: dict[str, Measured] = {name: Measured() for name in ("no-op", *TARGETS)}

    def _bearer(self, org_id: str = catalogue.SPEED_ORG_ID) -> Metadata:
        return (("authorization", f"Bearer {self._tokens[org_id]}"),)

    def _keyed(self, org_id: str = catalogue.SPEED_ORG_ID) -> Metadata:
        return (*self._bearer(org_id), ("idempotency-key", f"k{next(self._keys)}"))

    async def round(self, seconds: float, counts: bool) -> None:
        """Every kind of call once; where `counts` is false it only warms up."""
        listing = services_service_pb2.ListServicesRequest(page_size=50).SerializeToString()
        bearer = self._bearer()
        same = cycle([(listing, bearer)])
        listed = self._method(LIST_SERVICES)
        held: list[bytes] = []
        day, other = next(self._days), next(self._days)
        one_day = (self._hold(day * DAY + n // 5 * MINUTE) for n in range(5 * 1440))
        many = (
            self._hold(other * DAY + n // 160 * MINUTE, catalogue.SPEED_ORG_IDS[n % 32])
            for n in range(32 * 5 * 1440)
        )
        steps: list[tuple[str, Any, Iterator[Call], list[bytes]]] = [
            ("no-op", self._noop, same, []),
            ("ListServices", listed, same, []),
            ("GetAvailability", self._availability, self._one_day(), []),
            ("HoldAppointment", self._holding, self._holds(), held),
            ("  all on one day", self._holding, one_day, []),
            ("  of 32 organizations", self._holding, many, []),
        ]
        for name, method, calls, answers in steps:
            await self._measure(name, method, calls, seconds, answers, counts)
        appointments: list[bytes] = []
        moved: list[bytes] = []
        for name, call, given, answers in (
            ("ConfirmAppointment", self._confirm, held, appointments),
            ("RescheduleAppointment", self._reschedule, appointments, moved),
            ("CancelAppointment", self._cancel, moved, []),
        ):
            method = self._method(f"{APPOINTMENTS}/{name}")
            calls = map(call, given)
            await self._measure(name, method, calls, seconds, answers, counts)

    async def _measure(
        self,
        name: str,
        method: Any,
        calls: Iterator[Call],
        seconds: float,
        answers: list[bytes],
        counts: bool,
    ) -> None:
        pid = self._noop_pid if method is self._noop else self._pid
        begin = _processor_time(pid)
        rate, delays = await _load(method, calls, seconds, answers)
        if counts:
            self.measured[name].rates.append(rate)
            self.measured[name].processor.append((_processor_time(pid) - begin) / len(delays))
            self.measured[name].delays += delays

    def _method(self, path: str) -> Any:
        return self._channel.unary_unary(path)

    @property
    def _availability(self) -> Any:
        return self._method("/zimun.v1.AvailabilityService/GetAvailability")

    @property
    def _holding(self) -> Any:
        return self._method(f"{APPOINTMENTS}/HoldAppointment")

    def _one_day(self) -> Iterator[Call]:
        """Another day each time."""
        first = datetime.fromtimestamp(self._tomorrow / SECOND, UTC).date()
        for number in count(self._random.randrange(1000)):
            day = first + timedelta(days=number * 7 % catalogue.LONG_DAYS)
            request = availability_service_pb2.GetAvailabilityRequest(
                service_id=catalogue.LONG_SERVICE_ID, date=day.isoformat()
            )
            yield request.SerializeToString(), self._bearer()

    def _holds(self) -> Iterator[Call]:
        while True:
            minute = self._random.randrange(1000 * 1440)
            yield self._hold(minute * MINUTE)

    def _hold(self, after: int, org_id: str = catalogue.SPEED_ORG_ID) -> Call:
        request = appointments_service_pb2.HoldAppointmentRequest(
            service_id=catalogue.MINUTE_SERVICE_ID
        )
        request.appointment_time.FromMicroseconds(self._tomorrow + after)
        return request.SerializeToString(), self._keyed(org_id)

    def _confirm(self, answer: bytes) -> Call:
        return requests.confirm(answer), self._keyed()

    def _reschedule(self, answer: bytes) -> Call:
        request = appointments_service_pb2.RescheduleAppointmentRequest(
            appointment_id=appointment_pb2.Appointment.FromString(answer).appointment_id
        )
        minute = self._random.randrange(1000 * 1440)
        request.start_time.FromMicroseconds(self._tomorrow + minute * MINUTE)
        return request.SerializeToString(), self._keyed()

    def _cancel(self, answer: bytes) -> Call:
        return requests.cancel(answer), self._keyed()

    def ratios(self) -> dict[str, float]:
        """Of each kind of call to the no-op, the median over the rounds."""
        base = self.measured["no-op"].rates
        return {
            name: statistics.median(rate / one for rate, one in zip(rates.rates, base, strict=True))
            for name, rates in self.measured.items()
        }


def _processor_time(pid: int) -> float:
    """Seconds that all threads of a process have run (Linux: the clock of a process)."""
    return time.clock_gettime(~pid << 3 | 2)


async def _load(
    method: Any, calls: Iterator[Call], seconds: float, answers: list[bytes]
) -> tuple[float, list[float]]:
    """Keep CONCURRENCY calls in flight, for a while or until there are no more.

    Answers calls per second and the seconds of each; a taken slot is no answer.
    """
    delays: list[float] = []
    begin = time.perf_counter()
    deadline = begin + seconds

    async def caller() -> None:
        for request, metadata in calls:
            sent = time.perf_counter()
            if sent >= deadline:
                return
            with contextlib.suppress(grpc.aio.AioRpcError, Refused):
                answers.append(await method(request, metadata=metadata))
            delays.append(time.perf_counter() - sent)

    await asyncio.gather(*(caller() for _ in range(CONCURRENCY)))
    return len(delays) / (time.perf_counter() - begin), delays


async def measure(
    noop: dict[str, Any], server: dict[str, Any], rounds: int, seconds: float
) -> Bench:
    """Run the rounds against one server."""
    async with (
        grpc.aio.insecure_channel(f"127.0.0.1:{noop['port']}") as plain,
        grpc.aio.insecure_channel(f"127.0.0.1:{server['port']}") as channel,
    ):
        bench = Bench(server, channel, noop, plain.unary_unary("/bench.Noop/Call"))
        await _rounds(bench, rounds, seconds)
    return bench


async def measure_json(
    noop: dict[str, Any], server: dict[str, Any], rounds: int, seconds: float, directory: Path
) -> Bench:
    """Run the rounds against one server, and a no-op, each behind an Envoy."""
    behind = server | {"port": noop["port"]}
    limits = {"rate_limit": 0, "fair_rate": 0}
    async with (
        site.edge(behind, directory / "noop", **limits) as plain,
        site.edge(server, directory, **limits) as envoy,
    ):
        ports = (plain.settings.listen_port, envoy.settings.listen_port)
        with closing(JsonChannel(ports[0])) as noops, closing(JsonChannel(ports[1])) as channel:
            bench = Bench(server, channel, noop, noops.unary_unary(LIST_SERVICES))
            await _rounds(bench, rounds, seconds)
    return bench


async def _rounds(bench: Bench, rounds: int, seconds: float) -> None:
    """So many rounds, and one before them to warm up."""
    for number in range(rounds + 1):
        await bench.round(seconds, number > 0)


def main(rounds: int, seconds: float, stores: Sequence[str], json: bool) -> None:
    """Measure each store, print its table, and draw the picture of all."""
    ratios: dict[str, dict[str, float]] = {}
    for store in stores:
        with site.started("noop") as noop, site.on_store(store, "zimun") as (zimun, directory):
            if json:
                measuring = measure_json(noop, zimun, rounds, seconds, directory)
            else:
                measuring = measure(noop, zimun, rounds, seconds)
            bench = uvloop.run(measuring)
        ratios[store] = bench.ratios()
        _report(store, bench, JSON_TARGET if json else 1.0)
    if not json:
        picture.draw(Path(__file__).with_name("speed.svg"), ratios, TARGETS)


def _report(store: str, bench: Bench, part: float) -> None:
    """Print the table of a store; `part` is how much of TARGETS is to be reached."""
    print(f"{store:<24}{'per second':>12}{'ratio':>8}{'aim':>6}{'p50 ms':>9}{'p99 ms':>9}{'us':>8}")
    ratios = bench.ratios()
    for name, rates in bench.measured.items():
        aim = part * TARGETS[name][store == "PostgreSQL"] if name in TARGETS else 1.0
        centiles = statistics.quantiles(rates.delays, n=100)
        print(
            f"{name:<24}{statistics.median(rates.rates):>12,.0f}{ratios[name]:>8.2f}{aim:>6.2f}"
            f"{centiles[49] * 1000:>9.1f}{centiles[98] * 1000:>9.1f}"
            f"{statistics.median(rates.processor) * 1e6:>8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each kind in each round")
    parser.add_argument("--json", action="store_true", help="as JSON through Envoy")
    parser.add_argument("--stores", nargs="+", choices=site.STORES, default=site.STORES)
    main(**vars(parser.parse_args()))
