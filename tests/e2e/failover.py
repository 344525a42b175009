"""`python -m tests.e2e.failover`: servers are killed under bookings through Envoy, one by one.

Two servers, as on two machines, on one PostgreSQL behind one Envoy. Bookings
begin at a constant rate, whatever became of those before them; each is a hold and
its confirmation over the JSON API. A client follows the published advice: after
429, 502, 503, 504 or a broken connection it repeats the request with the same
Idempotency-Key. With `--roll` no server is killed: one of two workers renews them by
SIGHUP.
"""

import argparse
import asyncio
import random
import signal
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp

from ..support.postgres import shared
from ..support.processes import free_port, free_ports
from ..support.program import DEMO_STAFF
from ..support.server import Server, Site, seeded, starts
from .gateway_process import gateway_before

REPEAT = frozenset({429, 502, 503, 504})
BROKEN = 0
"""The status of an attempt whose connection broke."""

MIN_PAUSE, MAX_PAUSE = 0.05, 1.0
"""Seconds before a repetition where no Retry-After says otherwise; less a random part."""

GUEST = "guest@example.com"
"""The contact of every booking of the load."""

RECOVERY_TIMEOUT = 30.0
"""Seconds after which a client gives up."""


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
    """Bookings at a constant rate: each start of s_123 as often as it has staff members."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._began = time.perf_counter()
        self.report = Report()

    def now(self) -> float:
        return time.perf_counter() - self._began

    async def run(self, rate: float, seconds: float) -> None:
        bookings: list[asyncio.Task[None]] = []
        times = (start for start in starts() for _ in DEMO_STAFF)
        for number, start in enumerate(islice(times, int(rate * seconds))):
            await asyncio.sleep(max(number / rate - self.now(), 0))
            bookings.append(asyncio.create_task(self._book(number, start)))
        await asyncio.gather(*bookings)

    async def _book(self, number: int, start: str) -> None:
        begun = self.now()
        request = {"service_id": "s_123", "appointment_time": start}
        hold = await self._post("hold", request, f"hold-{number}")
        if hold is None:
            return
        contact = {"contact_name": f"Guest {number}", "contact_email": GUEST}
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
        """Read every appointment of the load."""
        token = ""
        while True:
            query = {"contact_email": GUEST, "page_size": "100", "page_token": token}
            async with self._session.get("/api/v1/appointments", params=query) as answer:
                page = await answer.json()
                assert answer.status == 200, page
            for item in page["items"]:
                self.report.found[item["appointment_id"]] = item["hold_id"]
            token = page["next_page_token"]
            if not token:
                return


async def run(
    site: Site, seconds: float, rate: float, period: float, down: float, roll: bool
) -> Report:
    """Load for so many seconds, with a fault in each period; see the module."""
    log = site.data_dir / "gateway.log"
    with _started(site, roll) as servers, gateway_before(*servers, log=log) as gateway:
        headers = {"Authorization": f"Bearer {servers[0].token()}"}
        timeout = aiohttp.ClientTimeout(20)
        url = f"http://{gateway.target}"
        async with aiohttp.ClientSession(url, headers=headers, timeout=timeout) as session:
            load = Load(session)
            faults = _faults(load, servers, seconds, period, down, roll)
            await asyncio.gather(load.run(rate, seconds), faults)
            await load.read()
            return load.report


async def _faults(
    load: Load, servers: Sequence[Server], seconds: float, period: float, down: float, roll: bool
) -> None:
    for number in range(int(seconds / period) - 1):
        await asyncio.sleep(max((number + 1) * period - load.now(), 0))
        load.report.faults.append(load.now())
        server = servers[number % len(servers)]
        if roll:
            server.process.send_signal(signal.SIGHUP)
        else:
            await asyncio.to_thread(server.close)
            await asyncio.sleep(down)
            await asyncio.to_thread(server.start)


@contextmanager
def _started(site: Site, roll: bool) -> Iterator[Sequence[Server]]:
    """One server of two workers to be renewed, or two servers to be killed; each stays on its
    ports."""
    workers = (2,) if roll else (1, 1)
    servers = [Server(site, count, free_ports(count), free_port()) for count in workers]
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.close()


def main(seconds: float, rate: float, period: float, down: float, roll: bool) -> None:
    server, _ = shared()
    database = {"ZIMUN_DATABASE_URL": server.url(server.create())}
    with tempfile.TemporaryDirectory() as directory:
        site = seeded(Path(directory) / "data", database)
        print(asyncio.run(run(site, seconds, rate, period, down, roll)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.e2e.failover", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=30, help="bookings per second")
    parser.add_argument("--period", type=float, default=8, help="seconds between two faults")
    parser.add_argument("--down", type=float, default=2, help="seconds for which a server is down")
    parser.add_argument("--roll", action="store_true", help="renew workers instead of killing")
    main(**vars(parser.parse_args()))
