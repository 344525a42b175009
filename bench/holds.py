"""`python -m bench.holds`: durable holds per second on PostgreSQL, by one worker and by two.

As ratios to a no-op RPC. Kinds of load take turns, as in `python -m bench`.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count, repeat
from typing import Any

import uvloop

from bench import catalogue, site
from bench.burst import HOLD, NOOP, hold_at
from zimun.domain.instant import DAY, MINUTE

IN_FLIGHT = 32
CHANNELS = 8

DAYS, APART = 40, 20
"""Over how many days holds are spread, where they are; and how far these are apart, as each needs
room for more than a day's slots."""

SLOT = 10 * MINUTE
PEOPLE = len(catalogue.STAFF)


def spread(midnight: int, number: int) -> int:
    """A start for the number: PEOPLE of them have the same one."""
    return midnight + number % DAYS * APART * DAY + number // DAYS // PEOPLE * SLOT


def crowded(midnight: int, number: int) -> int:
    """The same on one day after the other, long after those."""
    return midnight + DAYS * APART * DAY + number // PEOPLE * SLOT


async def load(
    ports: Sequence[int], path: str, requests: Iterator[tuple[bytes, Any]], seconds: float
) -> float:
    """Keep IN_FLIGHT calls in flight for a while; calls per second."""
    done = 0
    async with site.connected(ports, CHANNELS) as channels:
        begin = time.perf_counter()

        async def caller(method: Any) -> None:
            nonlocal done
            while time.perf_counter() < begin + seconds:
                request, metadata = next(requests)
                await method(request, metadata=metadata, timeout=60)
                done += 1

        methods: list[Any] = [channel.unary_unary(path) for channel in channels]
        await asyncio.gather(*(caller(methods[n % CHANNELS]) for n in range(IN_FLIGHT)))
        return done / (time.perf_counter() - begin)


def holds(where: site.Site, starts: Any, numbers: Iterator[int]) -> Iterator[tuple[bytes, Any]]:
    for number in numbers:
        start = starts(where.tomorrow + DAY, number)
        yield hold_at(start), (*where.bearer, ("idempotency-key", f"{start} {number}"))


def main(rounds: int, seconds: float) -> None:
    with (
        site.on_postgres() as (_, where),
        site.started("noop") as noop,
        site.run_server(where, 1) as alone,
        site.run_server(where, 2) as together,
    ):
        spreading, crowding = (holds(where, starts, count()) for starts in (spread, crowded))
        idle = repeat((hold_at(where.tomorrow), where.bearer))
        kinds: dict[str, Callable[[], float]] = {
            "no-op RPC": lambda: uvloop.run(load([noop["port"]], NOOP, idle, seconds)),
            "holds, 1 worker": lambda: uvloop.run(load(alone, HOLD, spreading, seconds)),
            "holds, 2 workers": lambda: uvloop.run(load(together, HOLD, spreading, seconds)),
            "  all on one day": lambda: uvloop.run(load(together, HOLD, crowding, seconds)),
        }
        rates: dict[str, list[float]] = {name: [] for name in kinds}
        for number in range(rounds + 1):
            for name, run in kinds.items():
                rate = run()
                if number:  # The first one finds everything cold.
                    rates[name].append(rate)
        report(rates)


def report(rates: dict[str, list[float]]) -> None:
    base = rates["no-op RPC"]
    print(f"{'':<24}{'per second':>12}{'to no-op':>10}")
    for name, measured in rates.items():
        ratio = statistics.median(rate / one for rate, one in zip(measured, base, strict=True))
        print(f"{name:<24}{statistics.median(measured):>12,.0f}{ratio:>10.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.holds", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    main(**vars(parser.parse_args()))
