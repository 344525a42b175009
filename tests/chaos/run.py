"""A whole run: servers, load and faults, then the judge."""

import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from zimun.auth.keys import KeyStore
from zimun.auth.tokens import Issuer
from zimun.config import Settings
from zimun.domain.access import SCOPES, Client

from .. import postgres
from .checker import violations
from .faults import Site, inject, plan
from .history import save
from .load import Load, Token
from .proxy import Proxy
from .servers import ZIMUN, Server
from .stage import EmbeddedBase, SharedBase, prepare

TOKEN_LIFETIME = 24 * 3600


@dataclass(frozen=True)
class Order:
    """What is to be run."""

    engine: str
    seed: int
    seconds: float
    servers: int = 2
    callers: int = 24
    faults: bool = True
    module: Sequence[str] = ZIMUN
    weaken: Sequence[str] = ()
    settling: float = 30.0
    """Seconds in which everything must be answered once nothing is broken any more."""


@dataclass
class Report:
    """What a run saw."""

    order: Order
    attempts: int
    operations: int
    outcomes: Counter[str]
    refusals: Counter[str]
    faults: Counter[str]
    violations: list[str]
    logged: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> Counter[str]:
        """How many violations there are of each kind: those that begin with the same words."""
        return Counter(" ".join(one.split()[:3]) for one in self.violations)

    def as_json(self) -> str:
        return json.dumps({**vars(self), "order": vars(self.order)})

    def __str__(self) -> str:
        def listed(counts: Counter[str]) -> str:
            return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"

        order = self.order
        return "\n".join(
            (
                f"{order.engine}, {order.seconds:g} s, seed {order.seed}, {order.servers} servers:"
                f" {self.operations} operations in {self.attempts} attempts",
                f"  outcomes: {listed(self.outcomes)}",
                f"  refusals: {listed(self.refusals)}",
                f"  faults: {sum(self.faults.values())} ({listed(self.faults)})",
                f"  logged by the servers: {listed(Counter(self.logged))}",
                f"  violations: {len(self.violations)}",
                *(f"    {count} {kind}" for kind, count in self.kinds.most_common()),
                *(f"    {one}" for one in self.violations[:40]),
            )
        )


async def run(order: Order, keep: Path | None = None) -> Report:
    """Run it all; `keep` is a directory for the history and the servers' logs."""
    with tempfile.TemporaryDirectory(prefix="zimun-chaos-") as temporary:
        directory = keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        async with AsyncExitStack() as stack:
            return await _run(order, directory, stack)


async def _run(order: Order, directory: Path, stack: AsyncExitStack) -> Report:
    data_dir = directory / "data"
    data_dir.mkdir(mode=0o700)
    site = Site([])
    base: EmbeddedBase | SharedBase
    url = ""
    if order.engine == "shared":
        site.postgres = await asyncio.to_thread(postgres.Postgres)
        stack.push_async_callback(asyncio.to_thread, site.postgres.remove)
        await asyncio.to_thread(site.postgres.start)
        base = await asyncio.to_thread(SharedBase, site.postgres)
        site.proxy = Proxy(site.postgres.port)
        port = await stack.enter_async_context(site.proxy.listening())
        url = f"postgresql://{postgres.USER}@127.0.0.1:{port}/{base.name}"
    else:
        base = EmbeddedBase(data_dir)
    keys = await prepare(base)
    await _weaken(base, site, order.weaken)
    site.servers = [Server(number, data_dir, url, order.module) for number in range(order.servers)]
    await stack.enter_async_context(_serving(site.servers))
    load = Load(order.seed, [server.target for server in site.servers], _tokens(keys))
    until = time.monotonic() + order.seconds
    done: Counter[str] = Counter()
    faults = plan(
        order.seed, order.engine, order.servers, int(order.seconds) if order.faults else 0
    )
    await asyncio.gather(load.run(order.callers, until), inject(site, faults, until, done))
    found = await load.settle(order.settling)
    for server in site.servers:
        status = await asyncio.to_thread(server.stop)
        found += [f"{server.target} ended with status {status}"] if status else []
    read_at = time.time_ns() // 1000
    tables = await base.tables()
    save(directory / "history.jsonl", load.history)
    found += await asyncio.to_thread(violations, load.history, tables, read_at)
    history = load.history
    return Report(
        order,
        len(history),
        len({(one.org, one.client, one.method, one.key) for one in history}),
        Counter(one.outcome for one in history),
        Counter(one.reason for one in history if one.outcome == "refused"),
        done,
        found,
        [line for server in site.servers for line in _errors(server.log)],
    )


async def _weaken(base: EmbeddedBase | SharedBase, site: Site, statements: Sequence[str]) -> None:
    for statement in statements:
        if isinstance(base, EmbeddedBase):
            base.execute(statement)
        elif site.postgres:
            await asyncio.to_thread(site.postgres.execute, base.name, statement)


@asynccontextmanager
async def _serving(servers: Sequence[Server]) -> AsyncIterator[None]:
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
    ("unforeseen error", lambda line: "unforeseen error" in line),
    ("background work failed", lambda line: "background work failed" in line),
    ("Traceback", lambda line: line.startswith("Traceback")),
)


def _errors(log: Path) -> list[str]:
    """What a server's log says that an operator should wonder about."""
    with log.open(errors="replace") as lines:
        return [name for line in lines for name, tells in _TELLING if tells(line)]
