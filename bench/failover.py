"""`python -m bench.failover`: servers are killed one after the other under bookings through Envoy.

Two machines, each one `zimun serve`, on one PostgreSQL behind one Envoy. Bookings
begin at a constant rate, whatever became of those before them; each is a hold and
its confirmation over the JSON API. A client follows the published advice: after
429, 502, 503, 504 or a broken connection it repeats the request with the same
Idempotency-Key. With `--roll` no server is killed: one machine of two workers renews
them by SIGHUP.
"""

import argparse
import asyncio
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bench import catalogue, site
from zimun.config import Settings
from zimun.domain.instant import DAY, MINUTE, rfc3339

REPEAT = frozenset({429, 502, 503, 504})
BROKEN = 0
"""The status of an attempt whose connection broke."""

MIN_PAUSE, MAX_PAUSE = 0.05, 1.0
"""Seconds before a repetition where no Retry-After says otherwise; less a random part."""

RECOVERY_TIMEOUT = 30.0
"""Seconds after which a client gives up."""


class Machine:
    """One `zimun serve`: always on the same ports, however often it is started.

    One of several workers is started once: the ports that they get need not be consecutive.
    """

    def __init__(self, environment: Mapping[str, str], workers: int) -> None:
        self._environment = dict(environment) | {"ZIMUN_WORKERS": str(workers)}
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and return when it serves."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "zimun", "serve"],
            stdout=subprocess.PIPE,
            text=True,
            env=self._environment,
        )
        assert self.process.stdout
        addresses = site.parse_addresses(self.process.stdout.readline())
        self.grpc_endpoints = [f"127.0.0.1:{port}" for port in addresses.grpc_ports]
        self.auth_endpoint = f"127.0.0.1:{addresses.auth_port}"
        self._environment |= {
            "ZIMUN_GRPC_PORT": str(addresses.grpc_ports[0]),
            "ZIMUN_AUTH_PORT": str(addresses.auth_port),
        }

    def send(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> None:
        if self.process:
            with self.process as ending:
                if ending.poll() is None:
                    ending.send_signal(number)
            self.process = None


@dataclass
class Report:
    """What clients saw; times are seconds since the beginning."""

    attempts: list[tuple[float, int]] = field(default_factory=list)
    bookings: list[float] = field(default_factory=list)
    booked: dict[str, str] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)
    faults: list[float] = field(default_factory=list)
    found: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> Counter[str]:
        """Attempts that had to be repeated, by status."""
        statuses = (status for _, status in self.attempts if status != 200)
        return Counter(str(status) if status else "broken" for status in statuses)

    @property
    def recoveries(self) -> list[float]:
        """For each fault the seconds until the last attempt failed; 0 where none did."""
        ends = [*self.faults[1:], float("inf")]
        return [
            max((at - fault for at, status in self.attempts if status != 200 and fault <= at < end),
                default=0.0)
            for fault, end in zip(self.faults, ends, strict=True)
        ]  # fmt: skip

    def __str__(self) -> str:
        failed, recoveries = self.failed, self.recoveries
        lost = self.booked.keys() - self.found.keys()
        unasked = self.found.keys() - self.booked.keys()
        centiles = statistics.quantiles(self.bookings, n=1000)
        return "\n".join(
            (
                f"bookings {len(self.bookings)}, lost {len(lost)}, unasked {len(unasked)}, "
                f"surprises {len(self.surprises)}",
                f"attempts {len(self.attempts)}, failed {failed.total()} "
                f"({100 * failed.total() / len(self.attempts):.2f} %: {dict(failed) or 'none'})",
                f"faults {len(self.faults)}, recovery s: median {statistics.median(recoveries):.2f}"
                f", most {max(recoveries):.2f}",
                f"seconds of a booking: p50 {centiles[499]:.3f}, p99 {centiles[989]:.3f}, "
                f"p99.9 {centiles[998]:.3f}, most {max(self.bookings):.3f}",
                *self.surprises[:5],
            )
        )


class Load:
    """Bookings at a constant rate."""

    def __init__(self, session: aiohttp.ClientSession, where: site.Site) -> None:
        self._session, self._where = session, where
        self._began = time.perf_counter()
        self.report = Report()

    def now(self) -> float:
        return time.perf_counter() - self._began

    async def run(self, rate: float, seconds: float) -> None:
        bookings: list[asyncio.Task[None]] = []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(number / rate - self.now(), 0))
            bookings.append(asyncio.create_task(self._book(number)))
        await asyncio.gather(*bookings)

    async def _book(self, number: int) -> None:
        begun = self.now()
        # Five people: every slot is booked five times.
        at = self._where.tomorrow + DAY + number // len(catalogue.STAFF) * 10 * MINUTE
        request = {"service_id": catalogue.SERVICE_ID, "appointment_time": rfc3339(at)}
        hold = await self._post("hold", request, f"hold-{number}")
        if hold is None:
            return
        contact = {"contact_name": f"Guest {number}", "contact_email": "guest@example.com"}
        named = {"hold_id": hold["hold_id"], **contact}
        booked = await self._post("confirm", named, f"confirm-{number}")
        if booked is None:
            return
        self.report.booked[booked["appointment_id"]] = hold["hold_id"]
        self.report.bookings.append(self.now() - begun)

    async def _post(self, method: str, body: Mapping[str, Any], key: str) -> Any:
        """The answer, however often it takes; None where that is a surprise."""
        begun, pause = self.now(), MIN_PAUSE
        while True:
            status, answer, wait = await self._attempt(method, body, key)
            self.report.attempts.append((self.now(), status))
            if status == 200:
                return answer
            if status not in REPEAT | {BROKEN} or self.now() - begun > RECOVERY_TIMEOUT:
                self.report.surprises.append(f"{method} {key}: {status} {answer}")
                return None
            await asyncio.sleep(wait or pause * random.uniform(0.5, 1))
            pause = min(2 * pause, MAX_PAUSE)

    async def _attempt(
        self, method: str, body: Mapping[str, Any], key: str
    ) -> tuple[int, Any, float]:
        path = f"/api/v1/appointments/{method}"
        try:
            async with self._session.post(
                path, json=body, headers={"Idempotency-Key": key}
            ) as answer:
                wait = float(answer.headers.get("Retry-After", 0))
                return answer.status, await answer.json(), wait
        except (aiohttp.ClientError, TimeoutError):
            return BROKEN, None, 0.0

    async def read(self) -> None:
        """Every appointment that there is, by the API."""
        token = ""
        while True:
            query = {"page_size": "100", "page_token": token}
            async with self._session.get("/api/v1/appointments", params=query) as answer:
                page = await answer.json()
                assert answer.status == 200, page
            for item in page["items"]:
                self.report.found[item["appointment_id"]] = item["hold_id"]
            token = page["next_page_token"]
            if not token:
                return


async def run(
    where: site.Site, seconds: float, rate: float, period: float, down: float, roll: bool
) -> Report:
    """Load for so many seconds, with a fault in each period; see the module."""
    with tempfile.TemporaryDirectory() as directory, _machines(where, directory, roll) as machines:
        async with AsyncExitStack() as stack:
            url = stack.enter_context(_gateway(directory, machines))
            headers = {"Authorization": where.bearer[0][1]}
            session = await stack.enter_async_context(
                aiohttp.ClientSession(url, headers=headers, timeout=aiohttp.ClientTimeout(20))
            )
            await _ready(session)
            load = Load(session, where)
            faults = _faults(load, machines, seconds, period, down, roll)
            await asyncio.gather(load.run(rate, seconds), faults)
            await load.read()
            return load.report


async def _faults(
    load: Load, machines: Sequence[Machine], seconds: float, period: float, down: float, roll: bool
) -> None:
    for number in range(int(seconds / period) - 1):
        await asyncio.sleep(max((number + 1) * period - load.now(), 0))
        load.report.faults.append(load.now())
        machine = machines[number % len(machines)]
        if roll:
            machine.send(signal.SIGHUP)
        else:
            await asyncio.to_thread(machine.end, signal.SIGKILL)
            await asyncio.sleep(down)
            await asyncio.to_thread(machine.start)


@contextmanager
def _machines(where: site.Site, directory: str, roll: bool) -> Iterator[Sequence[Machine]]:
    environment = {**where.variables(Path(directory)), "ZIMUN_ISSUER": Settings().public_issuer}
    machines = [Machine(environment, 2)] if roll else [Machine(environment, 1) for _ in range(2)]
    try:
        for machine in machines:
            machine.start()
        yield machines
    finally:
        for machine in machines:
            machine.end()


@contextmanager
def _gateway(directory: str, machines: Sequence[Machine]) -> Iterator[str]:
    """Envoy in front of the machines; answers its URL."""
    with socket.socket() as probe, socket.socket() as other:
        probe.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, admin = probe.getsockname()[1], other.getsockname()[1]
    environment = os.environ | {
        "ZIMUN_DATA_DIR": directory,
        "ZIMUN_PORT": str(port),
        "ZIMUN_ADMIN_PORT": str(admin),
        "ZIMUN_ISSUER": Settings().public_issuer,
        "ZIMUN_RATE_LIMIT": "0",
        "ZIMUN_GRPC_ENDPOINTS": ",".join(at for one in machines for at in one.grpc_endpoints),
        "ZIMUN_AUTH_ENDPOINTS": ",".join(one.auth_endpoint for one in machines),
    }
    with (Path(directory) / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "zimun", "gateway"], stdout=log, stderr=log, env=environment
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


async def _ready(session: aiohttp.ClientSession) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            async with session.get("/api/v1/services") as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


def main(seconds: float, rate: float, period: float, down: float, roll: bool) -> None:
    with site.on_postgres() as (_, where):
        print(asyncio.run(run(where, seconds, rate, period, down, roll)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.failover", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--rate", type=float, default=40, help="bookings per second")
    parser.add_argument("--period", type=float, default=8, help="seconds between two faults")
    parser.add_argument("--down", type=float, default=2, help="seconds for which a machine is down")
    parser.add_argument("--roll", action="store_true", help="renew workers instead of killing")
    main(**vars(parser.parse_args()))
