"""`python -m bench.holds`: durable holds per second on PostgreSQL, by one worker and by two.

As ratios to a no-op RPC, and to pgbench running the same statements: those that
PostgreSQL logged of two real holds, with what differs between the two made
different in each transaction. Kinds of load take turns, as in `python -m bench`.
"""

import argparse
import asyncio
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count, repeat
from pathlib import Path
from typing import Any

import uvloop

from bench import catalogue, site
from bench.burst import HOLD, NOOP, hold_at
from tests import postgres
from zimun.booking import appointments
from zimun.booking.availability import Wanted
from zimun.booking.change import Change
from zimun.clock import WallClock
from zimun.domain.access import SCOPES, Caller
from zimun.domain.instant import DAY, MINUTE
from zimun.storage.dialect import database_url
from zimun.storage.shared import CONNECTIONS, SharedStore

IN_FLIGHT = 32
CHANNELS = 8

DAYS, APART = 40, 20
"""Over how many days holds are spread, where they are; and how far these are apart, as each needs
room for more than a day's slots."""

RUN = 30_000
"""More transactions than pgbench comes to in one run."""

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


# The same statements by pgbench.

_ENTRY = re.compile(
    r"^@@LOG:  (?:execute \S+|statement): (?P<sql>.*?)(?=^@@)"
    r"(?:@@DETAIL:  Parameters: (?P<values>.*?)(?=^@@))?",
    re.DOTALL | re.MULTILINE,
)
_VALUE = re.compile(r"\$\d+ = (NULL|'(?:[^']|'')*')", re.DOTALL)
_PLACEHOLDER = re.compile(r"\$(\d+)")

Statement = tuple[str, list[str]]
"""SQL, and its values as literals."""


async def logged_holds(where: site.Site, server: postgres.Postgres) -> list[list[Statement]]:
    """The statements of two holds in slots that follow each other."""
    caller = Caller(catalogue.ORG_ID, "c_bench", frozenset(SCOPES))
    wanted = Wanted(service_id=catalogue.SERVICE_ID)
    clock, found = WallClock(), []
    async with SharedStore(database_url(where.url, Path())) as store:
        for number in range(4):
            await asyncio.sleep(0.1)  # The log is written by another process.
            before = len(server.log.read_text())
            change: Change[Any] = Change(
                caller, "HoldAppointment", f"k{number}", b"f" * 32, _encode
            )
            await appointments.hold(store, clock, change, wanted, where.tomorrow + number * SLOT)
            await asyncio.sleep(0.1)
            found.append(_statements(server.log.read_text()[before:] + "@@"))
    assert [sql for sql, _ in found[-1]] == [sql for sql, _ in found[-2]]
    return found[-2:]


def _encode(_: Any) -> bytes:
    return b"r" * 200


def _statements(log: str) -> list[Statement]:
    return [
        (entry["sql"].strip(), _VALUE.findall(entry["values"] or ""))
        for entry in _ENTRY.finditer(log)
    ]


def script(one: Sequence[Statement], two: Sequence[Statement]) -> str:
    """The transaction for pgbench; `m` numbers it, as `spread` does."""
    lines = [
        "\\set i :i + 1",
        "\\set m :begin + :i * :clients + :client_id",
        f"\\set day :m % {DAYS}",
        f"\\set later :day * {APART * DAY} + :m / {DAYS * PEOPLE} * {SLOT}",
        f"\\set who (:m / {DAYS}) % {PEOPLE}",
    ]
    for (sql, values), (_, others) in zip(one, two, strict=True):
        made = [_vary(value, other) for value, other in zip(values, others, strict=True)]
        filled = _PLACEHOLDER.sub(lambda found, made=made: made[int(found[1]) - 1], sql)  # type: ignore[misc]
        lines.append(" ".join(filled.split()).rstrip(";") + ";")
    return "\n".join(lines) + "\n"


def _vary(value: str, other: str) -> str:
    """A literal, or an expression where the two holds had different ones."""
    plain, apart = value.strip("'"), other.strip("'")
    if plain.startswith("{") and plain[1:-1].lstrip("-").replace(",", "").isdigit():
        # Locks: of a key that is new each time, or of people on a day.
        return "ARRAY[:m]" if plain.count(",") == 0 else f"ARRAY[{plain[1:-1]}]"
    if re.fullmatch(r"t_\d", plain):
        return "('t_' || :who)"
    if plain == apart:
        return value
    if plain.isdigit():
        return f"({plain} + :later)" if int(apart) - int(plain) == SLOT else plain
    return f"('{plain[:8]}' || :m)" if len(plain) < 64 and not plain.startswith("\\x") else value


def pgbench(where: site.Site, path: Path, clients: int, seconds: float, begin: int) -> float:
    """Transactions per second."""
    command = [
        str(postgres.BIN / "pgbench"), "--no-vacuum", "--protocol=prepared", "--jobs=2",
        f"--file={path}", f"--client={clients}", f"--time={seconds:.0f}", "--define=i=0",
        f"--define=begin={begin}", f"--define=clients={clients}", where.url,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "number of failed transactions: 0 " in done.stdout, done.stdout
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    assert found
    return float(found[1])


def main(rounds: int, seconds: float) -> None:
    options = ("log_line_prefix=@@", "max_connections=200")
    with (
        tempfile.TemporaryDirectory() as directory,
        site.on_postgres(*options) as (server, where),
        site.started("noop") as noop,
        site.serving(where, 1) as alone,
        site.serving(where, 2) as together,
    ):
        path = Path(directory) / "hold.sql"
        twin = site.seeded(server)
        server.execute("postgres", f"ALTER DATABASE {twin.database} SET log_statement = 'all'")
        path.write_text(script(*asyncio.run(logged_holds(twin, server))))
        server.execute("postgres", f"ALTER DATABASE {twin.database} RESET log_statement")
        spreading, crowding = (
            holds(where, starts, count()) for starts in (spread, crowded)
        )  # fmt: skip
        idle = repeat((hold_at(where.tomorrow), where.bearer))
        kinds: dict[str, Callable[[int], float]] = {
            "no-op RPC": lambda _: uvloop.run(load([noop["port"]], NOOP, idle, seconds)),
            "holds, 1 worker": lambda _: uvloop.run(load(alone, HOLD, spreading, seconds)),
            "holds, 2 workers": lambda _: uvloop.run(load(together, HOLD, spreading, seconds)),
            "  all on one day": lambda _: uvloop.run(load(together, HOLD, crowding, seconds)),
        }
        for number, clients in enumerate((CONNECTIONS, 2 * CONNECTIONS)):
            kinds[f"pgbench, {clients} clients"] = partial(
                lambda turn, number, clients: pgbench(
                    twin, path, clients, seconds, (2 * turn + number + 1) * RUN
                ),
                number=number,
                clients=clients,
            )
        rates: dict[str, list[float]] = {name: [] for name in kinds}
        for turn in range(rounds + 1):
            for name, run in kinds.items():
                rate = run(turn)
                if turn:  # The first one finds everything cold.
                    rates[name].append(rate)
        report(rates)


def report(rates: dict[str, list[float]]) -> None:
    base, best = rates["no-op RPC"], rates[f"pgbench, {CONNECTIONS} clients"]
    print(f"{'':<24}{'per second':>12}{'to no-op':>10}{'to pgbench':>12}")
    for name, measured in rates.items():
        ratios = [
            statistics.median(rate / one for rate, one in zip(measured, unit, strict=True))
            for unit in (base, best)
        ]
        median = statistics.median(measured)
        print(f"{name:<24}{median:>12,.0f}{ratios[0]:>10.3f}{ratios[1]:>12.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.holds", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    main(**vars(parser.parse_args()))
