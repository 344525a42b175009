"""`python -m bench`: requests per second as ratios to a no-op RPC.

The no-op is a unary RPC that answers its request, on grpc.aio with the same
event loop, in a process of its own as Zimun is, called by the same client with
the same metadata and the same 32 calls in flight. Kinds of call take turns in
short rounds, and a ratio is the median over the rounds, so that a noisy machine
disturbs all alike.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import grpc

from bench import catalogue, site
from zimun.domain.instant import DAY, MINUTE, SECOND
from zimun.v1 import appointments_service_pb2, availability_service_pb2, services_service_pb2

CONCURRENCY = 32

GET_AVAILABILITY = "/zimun.v1.AvailabilityService/GetAvailability"
ANEW = "  the same, searched anew"
MONTH = "  31 days, 50 staff, anew"

Call = Callable[[int], tuple[bytes, tuple[tuple[str, str], ...]]]
"""From a number to a request and its metadata."""


async def main(rounds: int, seconds: float) -> None:
    with (
        tempfile.TemporaryDirectory() as directory,
        tempfile.TemporaryDirectory() as other,
        site.started("noop") as noop,
        site.started("zimun", directory) as zimun,
        site.started("anew", other) as anew,
    ):
        calls = _calls(zimun) | _searches(anew)
        rates: dict[str, list[float]] = {name: [] for name in calls}
        delays: dict[str, list[float]] = {name: [] for name in calls}
        async with (
            grpc.aio.insecure_channel(f"127.0.0.1:{noop['port']}") as plain,
            grpc.aio.insecure_channel(f"127.0.0.1:{zimun['port']}") as channel,
            grpc.aio.insecure_channel(f"127.0.0.1:{anew['port']}") as searching,
        ):
            channels = {"no-op": plain, ANEW: searching, MONTH: searching}
            numbers = count()
            for turn in range(rounds + 1):
                for name, (path, call) in calls.items():
                    method: Any = channels.get(name, channel).unary_unary(path)
                    rate, delay = await _load(method, call, numbers, seconds)
                    if turn:
                        rates[name].append(rate)
                        delays[name] += delay
        _report(rates, delays)


def _calls(server: dict[str, Any]) -> dict[str, tuple[str, Call]]:
    bearer = (("authorization", f"Bearer {server['token']}"),)
    tomorrow = int(server["tomorrow"])
    first = datetime.fromtimestamp(tomorrow / SECOND, UTC).date().isoformat()
    listing = services_service_pb2.ListServicesRequest(page_size=50).SerializeToString()
    one_day = availability_service_pb2.GetAvailabilityRequest(
        service_id=catalogue.BUSY_SERVICE_ID, date=first
    ).SerializeToString()

    def hold(number: int) -> tuple[bytes, tuple[tuple[str, str], ...]]:
        request = appointments_service_pb2.HoldAppointmentRequest(service_id=catalogue.SERVICE_ID)
        # Five people: every slot is held five times.
        start = tomorrow + DAY + number // len(catalogue.STAFF) * 10 * MINUTE
        request.appointment_time.FromMicroseconds(start)
        return request.SerializeToString(), (*bearer, ("idempotency-key", f"k{number}"))

    return {
        "no-op": ("/bench.Noop/Call", lambda _: (listing, bearer)),
        "ListServices": ("/zimun.v1.ServicesService/ListServices", lambda _: (listing, bearer)),
        "HoldAppointment": ("/zimun.v1.AppointmentsService/HoldAppointment", hold),
        "GetAvailability, one day": (GET_AVAILABILITY, lambda _: (one_day, bearer)),
    }


def _searches(server: dict[str, Any]) -> dict[str, tuple[str, Call]]:
    """What a search costs that is worked out anew: one day, and a crowded month."""
    path, call = _calls(server)["GetAvailability, one day"]
    bearer = (("authorization", f"Bearer {server['token']}"),)
    first = datetime.fromtimestamp(int(server["tomorrow"]) / SECOND, UTC).date()
    month = availability_service_pb2.GetAvailabilityRequest(
        service_id=catalogue.BIG_SERVICE_ID,
        start_date=first.isoformat(),
        end_date=(first + timedelta(days=30)).isoformat(),
    ).SerializeToString()
    return {ANEW: (path, call), MONTH: (path, lambda _: (month, bearer))}


async def _load(
    method: Any, call: Call, numbers: Iterator[int], seconds: float
) -> tuple[float, list[float]]:
    """Keep CONCURRENCY calls in flight for a while: calls per second, and each one's seconds."""
    delays: list[float] = []
    begin = time.perf_counter()
    deadline = begin + seconds

    async def worker() -> None:
        while (sent := time.perf_counter()) < deadline:
            request, metadata = call(next(numbers) if call.__name__ == "hold" else 0)
            await method(request, metadata=metadata)
            delays.append(time.perf_counter() - sent)

    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))
    return len(delays) / (time.perf_counter() - begin), delays


def _report(rates: dict[str, list[float]], delays: dict[str, list[float]]) -> None:
    base = rates["no-op"]
    print(f"{'call':<28}{'per second':>12}{'ratio':>8}{'p50 ms':>9}{'p99 ms':>9}")
    for name, measured in rates.items():
        ratio = statistics.median(rate / one for rate, one in zip(measured, base, strict=True))
        centiles = statistics.quantiles(delays[name], n=100)
        print(
            f"{name:<28}{statistics.median(measured):>12,.0f}{ratio:>8.2f}"
            f"{centiles[49] * 1000:>9.1f}{centiles[98] * 1000:>9.1f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each kind in each round")
    asyncio.run(main(**vars(parser.parse_args())))
