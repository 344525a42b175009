"""What goes wrong and when: a plan drawn from a seed, and how each fault is done."""

import asyncio
import contextlib
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from ..support.postgres import Postgres
from .clock import SharedClock
from .load import Load
from .proxy import Proxy
from .scenario import HOLD_LENGTH
from .servers import Server

SPACING = (0.6, 2.2)
"""Seconds from the end of one fault to the beginning of the next."""

RESTART_PAUSE = 0.5
"""Seconds after which a database server that would not start is started again."""

MOVES_SPACING = (0.5, 2.0)
"""Seconds from one move of the clock to the next."""

JUMPS = (HOLD_LENGTH // 8, HOLD_LENGTH)
"""Microseconds by which a jump moves the clock: past the end of some holds, and not of others."""

EDGES = (-20_000, 4_000)
"""Microseconds from the end of a hold to where the clock is moved; what is asked of it meanwhile
takes some milliseconds to arrive."""

SHARED = ("kill", "kill", "pause", "cut", "cut", "stall", "deafen", "deafen", "fast", "immediate")
EMBEDDED = ("kill", "kill", "pause", "full", "full")


@dataclass(frozen=True)
class Fault:
    """A kind of fault, which server it meets, how long it lasts, and how long before it."""

    kind: str
    server: int
    length: float
    pause: float
    size: int = 0


def plan(
    seed: int, engine: str, servers: int, count: int, kinds: Sequence[str] = ()
) -> list[Fault]:
    """So many faults, the same for the same seed; each kind comes before any comes again.

    They are of these kinds alone where any are given.
    """
    rng = random.Random(f"faults {seed}")
    drawn: list[str] = []
    while len(drawn) < count:
        deck = list(kinds or (SHARED if engine == "shared" else EMBEDDED))
        rng.shuffle(deck)
        drawn += deck
    return [
        Fault(
            kind,
            rng.randrange(servers),
            rng.uniform(0.2, 1.5),
            rng.uniform(*SPACING),
            rng.choice((0, 4096, 100_000, 1_000_000)),
        )
        for kind in drawn[:count]
    ]


def moves(seed: int, count: int, rate: float = 1.0) -> list[Fault]:
    """So many moves of the clock, which go on beside the other faults: a server may be paused,
    cut off or starting meanwhile. With a `rate` they come so many times as often."""
    rng = random.Random(f"moves {seed}")
    kinds = [rng.choice(("jump", "edge")) for _ in range(count)]
    return [
        Fault(
            kind,
            0,
            0.0,
            rng.uniform(*MOVES_SPACING) / rate,
            rng.randint(*(JUMPS if kind == "jump" else EDGES)),
        )
        for kind in kinds
    ]


class FaultNotApplicable(Exception):
    """There was nothing to which the fault could happen."""


@dataclass
class FaultTarget:
    """What faults happen to."""

    servers: Sequence[Server]
    clock: SharedClock
    load: Load
    postgres: Postgres | None = None
    proxy: Proxy | None = None


async def inject(
    target: FaultTarget, faults: Sequence[Fault], time_left: Callable[[], float], done: Counter[str]
) -> None:
    """Do the faults one after the other while there are seconds left for them, and count them."""
    for fault in faults:
        if fault.pause + fault.length > time_left():
            return
        await asyncio.sleep(fault.pause)
        with contextlib.suppress(FaultNotApplicable):
            await _DOING[fault.kind](target, fault)
            done[fault.kind] += 1


async def _kill(target: FaultTarget, fault: Fault) -> None:
    server = target.servers[fault.server]
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(fault.length / 2)
    server.spawn()
    await asyncio.to_thread(server.wait_ready)


async def _pause(target: FaultTarget, fault: Fault) -> None:
    server = target.servers[fault.server]
    server.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(fault.length)
    finally:
        server.signal(signal.SIGCONT)


async def _cut(target: FaultTarget, fault: Fault) -> None:
    assert target.proxy
    target.proxy.cut()


async def _stall(target: FaultTarget, fault: Fault) -> None:
    assert target.proxy
    target.proxy.stall()
    await asyncio.sleep(fault.length)
    target.proxy.heal()


async def _deafen(target: FaultTarget, fault: Fault) -> None:
    assert target.proxy
    target.proxy.deafen()
    await asyncio.sleep(fault.length / 4)
    target.proxy.cut()
    target.proxy.heal()


async def _lose(target: FaultTarget, fault: Fault) -> None:
    assert target.proxy
    target.proxy.lose()


async def _restart(target: FaultTarget, how: int) -> None:
    assert target.postgres
    await asyncio.to_thread(target.postgres.stop, how)
    try:
        await asyncio.to_thread(target.postgres.start)
    except AssertionError:
        # What is left of the one before can keep it from starting for a moment.
        await asyncio.sleep(RESTART_PAUSE)
        await asyncio.to_thread(target.postgres.start)


async def _fast(target: FaultTarget, fault: Fault) -> None:
    await _restart(target, signal.SIGINT)


async def _immediate(target: FaultTarget, fault: Fault) -> None:
    await _restart(target, signal.SIGQUIT)


async def _full(target: FaultTarget, fault: Fault) -> None:
    """No file of a server can grow: its disk is full, whatever the others' can take."""
    server = target.servers[fault.server]
    server.limit_files(fault.size)
    try:
        await asyncio.sleep(fault.length)
    finally:
        server.limit_files(-1)


async def _jump(target: FaultTarget, fault: Fault) -> None:
    target.clock.move_on(fault.size)


async def _edge(target: FaultTarget, fault: Fault) -> None:
    if not await target.load.meet_expiry(random.Random(fault.size), fault.size):
        raise FaultNotApplicable


_DOING: dict[str, Callable[[FaultTarget, Fault], Awaitable[None]]] = {
    "kill": _kill,
    "pause": _pause,
    "cut": _cut,
    "stall": _stall,
    "deafen": _deafen,
    "lose": _lose,
    "fast": _fast,
    "immediate": _immediate,
    "full": _full,
    "jump": _jump,
    "edge": _edge,
}
