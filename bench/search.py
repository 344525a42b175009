"""`python -m bench.search`: what a search costs the server, in microseconds.

The method is called where it stands: check, search, encode, without the
transport. No answer is kept, so each is worked out anew. The scenarios take
rounds, so that a noisy machine disturbs all alike.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvloop

from bench import catalogue
from zimun.app import serve
from zimun.booking.availability import AvailabilityCache
from zimun.clock import ManualClock
from zimun.config import Settings
from zimun.domain.identity import SCOPES, Caller
from zimun.domain.instant import DAY, SECOND, from_datetime
from zimun.rpc import dispatch, validation
from zimun.rpc.page_tokens import PageTokens
from zimun.rpc.request_context import Dependencies
from zimun.rpc.services.availability import AvailabilityServicer
from zimun.v1.availability_service_pb2 import GetAvailabilityRequest

MIDNIGHT = from_datetime(datetime(2026, 3, 2, tzinfo=UTC))
"""The first of the days that are booked: a Monday."""

LITTLE, MUCH = 1_000, 1_000_000
"""How many other bookings the two stores hold of which only the number differs."""

ONE_DAY = GetAvailabilityRequest(service_id=catalogue.BUSY_SERVICE_ID, date="2026-03-02")
MONTH = GetAvailabilityRequest(
    service_id=catalogue.BIG_SERVICE_ID, start_date="2026-03-02", end_date="2026-04-01"
)


async def main(rounds: int, much: int) -> None:
    async with AsyncExitStack() as stack:
        little = await _servicer(stack, LITTLE)
        large = await _servicer(stack, much)
        scenarios = {
            "one day, 5 staff, half taken": (little, ONE_DAY),
            f"  the same beside {much:,} bookings": (large, ONE_DAY),
            "31 days, 50 staff, 10,000 bookings": (little, MONTH),
        }
        measured: dict[str, list[float]] = {name: [] for name in scenarios}
        for number in range(rounds + 1):
            for name, (servicer, request) in scenarios.items():
                spent = await _time(servicer, request, 200 if request is ONE_DAY else 5)
                if number:
                    measured[name].append(spent)
        _report(measured)


async def _servicer(stack: AsyncExitStack, others: int) -> AvailabilityServicer:
    """A servicer on a store of its own with so many bookings that no call reads."""
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    settings = Settings(data_dir=directory, grpc_port=0, auth_port=0)
    clock = ManualClock(MIDNIGHT - 7 * DAY)
    stores = (await stack.enter_async_context(serve(settings, clock))).stores
    await catalogue.seed(stores.writer)
    await catalogue.book(stores.writer, catalogue.busy_days(MIDNIGHT, 35))
    await catalogue.book(stores.writer, catalogue.busy_month(MIDNIGHT, 31, 10_000))
    await catalogue.book(stores.writer, catalogue.others(MIDNIGHT, others))
    dependencies = Dependencies(stores.ledgers, stores.reader, stores.writer, PageTokens(b""))
    return AvailabilityServicer(dependencies)


async def _time(
    servicer: AvailabilityServicer, request: GetAvailabilityRequest, times: int
) -> float:
    """Microseconds of one call, on average."""
    context: Any = SimpleNamespace()
    begin = time.perf_counter()
    for _ in range(times):
        validation.check(request)
        await servicer.GetAvailability(request, context)
    return (time.perf_counter() - begin) / times * SECOND


def _report(measured: Mapping[str, list[float]]) -> None:
    print(f"{'microseconds of server time':<44}{'median':>10}{'least':>10}")
    for name, spent in measured.items():
        print(f"{name:<44}{statistics.median(spent):>10,.0f}{min(spent):>10,.0f}")
    day, crowded, *_ = measured.values()
    ratio = statistics.median(b / a for a, b in zip(day, crowded, strict=True))
    print(f"many bookings to few: {ratio:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.search", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--much", type=int, default=MUCH, help="bookings of the crowded store")
    AvailabilityCache.get = lambda *_: None  # type: ignore[method-assign]
    caller = Caller(catalogue.ORG_ID, "c_bench", frozenset(SCOPES))
    dispatch._caller.set(caller)
    uvloop.run(main(**vars(parser.parse_args())))
