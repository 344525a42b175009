"""A whole run: servers, load and faults, then the judge."""

import asyncio
import json
import math
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from zimun.auth.signing_keys import KeyStore
from zimun.auth.tokens import Issuer
from zimun.config import Settings
from zimun.domain.identity import SCOPES, Client

from ..support import postgres
from .checker import violations
from .clock import SharedClock
from .databases import EmbeddedBase, SharedBase, prepare
from .faults import FaultTarget, inject, moves, plan
from .history import Record
from .load import Load, Token
from .proxy import Proxy
from .scenario import SECOND
from .servers import SERVING, Server

TOKEN_LIFETIME = 24 * 3600


@dataclass(frozen=True)
class Options:
    """The options of a run."""

    engine: str
    seed: int
    seconds: float
    servers: int = 2
    callers: int = 24
    faults: bool = True
    module: Sequence[str] = SERVING
    weaken: Sequence[str] = ()
    recovery: float = 30.0
    """Seconds in which everything must be answered once nothing is broken any more."""
    kinds: Sequence[str] = ()
    """The only kinds of faults, beside the moves of the clock; all where none are named."""
    more_reads: float = 0.0
    """The share of requests that are reads, beside those that are among the others."""
    max_rows: int = 0
    """How many rows of ledgers a server keeps in memory; as many as usual where it is 0."""
    min_attempts: int = 0
    """How many attempts there are at least, though they take longer than `seconds`."""
    move_rate: float = 1.0
    """How many times as often as usual the clock is moved."""
    skew: float = 0.0
    """Seconds by which the clock of each server is ahead of the one's before it."""


@dataclass
class Report:
    """What a run saw."""

    options: Options
    attempts: int
    methods: Counter[str]
    outcomes: Counter[str]
    refusals: Counter[str]
    events: Counter[str]
    faults: Counter[str]
    moved: float
    """Seconds by which the clock was moved on in all."""
    violations: list[str]
    logged: list[str] = field(default_factory=list)

    @property
    def operations(self) -> int:
        return self.methods.total()

    @property
    def kinds(self) -> Counter[str]:
        """How many violations there are of each kind: those that begin with the same words."""
        return Counter(" ".join(one.split()[:3]) for one in self.violations)

    def as_json(self) -> str:
        counts = {"operations": self.operations, **vars(self)}
        return json.dumps(counts | {"options": vars(self.options)}, indent=1)

    def __str__(self) -> str:
        def listed(counts: Counter[str]) -> str:
            return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"

        options = self.options
        return "\n".join(
            (
                f"{options.engine}, {options.seconds:g} s, seed {options.seed},"
                f" {options.servers} servers:"
                f" {self.operations} operations in {self.attempts} attempts",
                f"  operations: {listed(self.methods)}",
                f"  outcomes: {listed(self.outcomes)}",
                f"  refusals: {listed(self.refusals)}",
                f"  events: {listed(self.events)}",
                f"  faults: {self.faults.total()} ({listed(self.faults)}),"
                f" the clock moved on by {self.moved:.0f} s",
                f"  logged by the servers: {listed(Counter(self.logged))}",
                f"  violations: {len(self.violations)}",
                *(f"    {count} {kind}" for kind, count in self.kinds.most_common()),
                *(f"    {one}" for one in self.violations[:40]),
            )
        )


async def run(options: Options, keep: Path | None = None) -> Report:
    """Run it all; `keep` is a directory for the history and the servers' logs."""
    with tempfile.TemporaryDirectory(prefix="zimun-chaos-") as temporary:
        directory = keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        async with AsyncExitStack() as stack:
            return await _run(options, directory, stack)


async def _run(options: Options, directory: Path, stack: AsyncExitStack) -> Report:
    installation = await stack.enter_async_context(open_database(options.engine, directory))
    base, clock = installation.base, installation.clock
    await _weaken(base, installation.database, options.weaken)
    skew = int(options.skew * SECOND)
    servers = [
        installation.server(number, options.module, number * skew, options.max_rows)
        for number in range(options.servers)
    ]
    await stack.enter_async_context(run_servers(servers))
    targets = [server.target for server in servers]
    load = Load(options.seed, targets, installation.token, clock, options.more_reads)
    fault_target = FaultTarget(servers, clock, load, installation.database, installation.proxy)
    until = time.monotonic() + options.seconds
    done: Counter[str] = Counter()
    most = 2 * int(options.seconds) if options.faults else 0
    clock_moves = moves(options.seed, int(most * options.move_rate), options.move_rate)
    planned = plan(options.seed, options.engine, options.servers, most, options.kinds)
    async with load.connected():
        work = asyncio.create_task(load.run(options.callers, until, options.min_attempts))
        await asyncio.gather(
            work,
            inject(fault_target, planned, lambda: until - time.monotonic(), done),
            # On a slow machine they go on as long as the load does.
            inject(fault_target, clock_moves, lambda: 0 if work.done() else math.inf, done),
        )
    found = await load.recover(options.recovery)
    for server in servers:
        how = await asyncio.to_thread(server.stop)
        found += [f"{server.target} {how}"] if how else []
    read_at = clock.now()
    record = Record(load.history, await base.tables(), read_at, (options.servers - 1) * skew)
    record.save(directory)
    found += await asyncio.to_thread(violations, record)
    history = load.history
    return Report(
        options,
        len(history),
        Counter(
            method for *_, method in {(one.org, one.client, one.key, one.method) for one in history}
        ),
        Counter(one.outcome for one in history),
        Counter(one.reason for one in history if one.outcome == "refused"),
        Counter(event["type"] for event in record.tables["events"]),
        done,
        clock.ahead / SECOND,
        found,
        [line for server in servers for line in _errors(server.log)],
    )


@dataclass(frozen=True)
class Installation:
    """A database with the scenario in it, and all that servers on it need."""

    directory: Path
    base: EmbeddedBase | SharedBase
    clock: SharedClock
    token: Token
    url: str = ""
    database: postgres.Postgres | None = None
    proxy: Proxy | None = None

    def server(
        self, number: int, module: Sequence[str] = SERVING, skew: int = 0, max_rows: int = 0
    ) -> Server:
        """A server that is not started yet, its clock so many microseconds ahead."""
        data_dir, clock = self.directory / "data", self.clock.path
        settings = {"ZIMUN_MAX_ROWS": str(max_rows)} if max_rows else {}
        return Server(number, data_dir, self.url, clock, module, skew, settings)


@asynccontextmanager
async def open_database(engine: str, directory: Path) -> AsyncIterator[Installation]:
    """The database of an engine, with PostgreSQL behind a proxy, while the context is open."""
    (directory / "data").mkdir(mode=0o700)
    clock = SharedClock.create(directory / "clock")
    if engine == "embedded":
        file = EmbeddedBase(directory / "data")
        yield Installation(directory, file, clock, _tokens(await prepare(file, clock)))
        return
    async with AsyncExitStack() as stack:
        database = await asyncio.to_thread(postgres.Postgres)
        stack.push_async_callback(asyncio.to_thread, database.remove)
        await asyncio.to_thread(database.start)
        base = await asyncio.to_thread(SharedBase, database)
        proxy = Proxy(database.port)
        port = await stack.enter_async_context(proxy.listening())
        url = f"postgresql://{postgres.USER}@127.0.0.1:{port}/{base.name}"
        token = _tokens(await prepare(base, clock))
        yield Installation(directory, base, clock, token, url, database, proxy)


async def _weaken(
    base: EmbeddedBase | SharedBase, database: postgres.Postgres | None, statements: Sequence[str]
) -> None:
    for statement in statements:
        if isinstance(base, EmbeddedBase):
            base.execute(statement)
        elif database:
            await asyncio.to_thread(database.execute, base.name, statement)


@asynccontextmanager
async def run_servers(servers: Sequence[Server]) -> AsyncIterator[None]:
    """Servers that run while the context is open."""
    try:
        for server in servers:
            server.spawn()
        for server in servers:
            await asyncio.to_thread(server.wait_ready)
        yield
    finally:
        for server in servers:
            server.close()


def _tokens(keys: KeyStore) -> Token:
    settings = Settings()
    issuer = Issuer(keys, settings.public_issuer, settings.audience, TOKEN_LIFETIME)

    @lru_cache
    def token(org: str, client: str) -> str:
        known = Client(client, org, client, tuple(SCOPES), secret_hash="", create_time=0)
        return issuer.issue(known, SCOPES)

    return token


_TELLING: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("internal error", lambda line: "internal error" in line),
    ("background work failed", lambda line: "background work failed" in line),
    ("Traceback", lambda line: line.startswith("Traceback")),
)


def _errors(log: Path) -> list[str]:
    """What a server's log says that an operator should wonder about."""
    with log.open(errors="replace") as lines:
        return [name for line in lines for name, tells in _TELLING if tells(line)]
