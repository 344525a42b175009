"""`python -m bench.search`: what a search costs the server, in processor time.

The method is called where it stands: check, search, encode, without the
transport. No answer is kept, so each is worked out anew; a first answer finds
nothing in memory. The scenarios take rounds, so that a noisy machine disturbs
all alike.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvloop

from bench import catalogue
from zimun.app import serve
from zimun.booking.availability import AvailabilityCache
from zimun.booking.reader import Reader
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


@dataclass(frozen=True)
class Store:
    """A store, its memory, and who answers from them."""

    reader: Reader
    servicer: AvailabilityServicer

    async def time(self, request: GetAvailabilityRequest, times: int) -> float:
        """Microseconds of processor time of one call, on average, with what it needs in memory."""
        await self._call(request)
        begin = time.process_time()
        for _ in range(times):
            await self._call(request)
        return (time.process_time() - begin) / times * SECOND

    async def time_first(self, request: GetAvailabilityRequest) -> float:
        """The same of one call with nothing in memory."""
        self.reader.forget()
        begin = time.process_time()
        await self._call(request)
        return (time.process_time() - begin) * SECOND

    async def _call(self, request: GetAvailabilityRequest) -> None:
        context: Any = SimpleNamespace()
        validation.check(request)
        await self.servicer.GetAvailability(request, context)


async def main(rounds: int, much: int) -> None:
    async with AsyncExitStack() as stack:
        little = await _store(stack, LITTLE)
        large = await _store(stack, much)
        scenarios: dict[str, Callable[[], Awaitable[float]]] = {
            "one day, 5 staff, half taken": lambda: little.time(ONE_DAY, 200),
            f"  the same beside {much:,} bookings": lambda: large.time(ONE_DAY, 200),
            "the first answer": lambda: little.time_first(ONE_DAY),
            f"  the same beside {much:,} bookings ": lambda: large.time_first(ONE_DAY),
            "31 days, 50 staff, 10,000 bookings": lambda: little.time(MONTH, 5),
        }
        measured: dict[str, list[float]] = {name: [] for name in scenarios}
        for number in range(rounds + 1):
            for name, scenario in scenarios.items():
                spent = await scenario()
                if number:
                    measured[name].append(spent)
        _report(measured)
        print(f"rows in memory: {little.reader.rows:,} and {large.reader.rows:,}")


async def _store(stack: AsyncExitStack, others: int) -> Store:
    """A store with so many bookings that no call reads."""
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    settings = Settings(data_dir=directory, grpc_port=0, auth_port=0)
    clock = ManualClock(MIDNIGHT - 7 * DAY)
    stores = (await stack.enter_async_context(serve(settings, clock))).stores
    await catalogue.seed(stores.writer)
    await catalogue.book(stores.writer, catalogue.busy_days(MIDNIGHT, 35))
    await catalogue.book(stores.writer, catalogue.busy_month(MIDNIGHT, 31, 10_000))
    await catalogue.book(stores.writer, catalogue.others(MIDNIGHT, others))
    dependencies = Dependencies(stores.ledgers, stores.reader, stores.writer, PageTokens(b""))
    return Store(stores.reader, AvailabilityServicer(dependencies))


def _report(measured: Mapping[str, list[float]]) -> None:
    print(f"{'microseconds of processor time':<44}{'median':>10}{'least':>10}")
    for name, spent in measured.items():
        print(f"{name:<44}{statistics.median(spent):>10,.0f}{min(spent):>10,.0f}")
    day, crowded, first, first_crowded, _ = measured.values()
    for few, many in ((day, crowded), (first, first_crowded)):
        ratio = statistics.median(b / a for a, b in zip(few, many, strict=True))
        print(f"many bookings to few: {ratio:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.search", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--much", type=int, default=MUCH, help="bookings of the crowded store")
    AvailabilityCache.get = lambda *_: None  # type: ignore[method-assign]
    caller = Caller(catalogue.ORG_ID, "c_bench", frozenset(SCOPES))
    dispatch._caller.set(caller)
    uvloop.run(main(**vars(parser.parse_args())))
