"""Reading ledgers: what is kept of them in memory, its bound, and shared reads of their heads.

A query is answered from memory once the head, read after the query came,
shows that memory has every event (the read index of Raft, Ongaro 2014, section
6.4). Queries that come while heads are read share the next read.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from zimun.booking.counters import Counters
from zimun.booking.refused_holds import RefusedHolds
from zimun.booking.store import Head, LedgerRead, LedgerStore, LedgerUpdate
from zimun.clock import Clock
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.errors import TokenInvalid
from zimun.domain.ledger.events import Event, reservation_events
from zimun.domain.ledger.evolve import evolve
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import Needs, NotLoaded
from zimun.domain.ledger.reservation import ENTRY_ROWS, rows_of
from zimun.domain.memory_size import ROW_BYTES

MAX_ROWS = 500_000
"""How many rows of all ledgers are kept in memory unless a setting says otherwise: some 230 MB."""

MAX_LOAD = 16
"""How many blocks are loaded at a time: 3 to 8 ms of the event loop with 50 bookings in each; of
sessions, a quarter as many."""

MAX_ROUNDS = 1000
"""How often a query may need more of its ledger before it fails as one that never ends."""

MAX_WAIT = 0.2
"""Seconds for which a query waits for a group that is being committed, before it reads what it
needs into memory of its own: a commit that waits for a lock must not delay reads."""

HEAD_READ_INTERVAL = 0.002
"""Seconds from one read of heads to the next while several queries wait: one read serves
many, and responses that are sent together cost server and client less than one by one."""

T = TypeVar("T")

Query = Callable[[Ledger, Timetable, int], T]
"""A function of a ledger and its catalogue at an instant (ledger time)."""


@dataclass(eq=False, slots=True)
class MemorySize:
    """How many rows are kept in memory, of all ledgers."""

    rows: int = 0


@dataclass(eq=False)
class LedgerMemory:
    """The ledger and the timetable of one organization. Change them only under the lock.

    `size` is the rows of the ledger and of refused holds, and the bytes of the catalogue and its
    grids converted to rows. `is_likely_current` while this server wrote the last events that it
    knows of, or has just read them. `refused_holds` were refused at the number of the ledger.
    """

    org_id: str
    ledger: Ledger | None = None
    timetable: Timetable | None = None
    rows: int = 0
    size: int = 0
    is_likely_current: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    refused_holds: RefusedHolds = field(default_factory=RefusedHolds)
    counters: Counters = field(default_factory=Counters)
    total: MemorySize = field(default_factory=MemorySize)

    def read(self, needs: Needs | None = None) -> LedgerRead:
        """What is to be read to bring it up to date, and to load `needs`."""
        ledger = self.ledger
        if ledger is None:
            return LedgerRead(self.org_id)
        return LedgerRead(self.org_id, ledger.seq, ledger.catalog_version, needs or Needs())

    def apply(self, update: LedgerUpdate) -> None:
        """Add what was read to memory; raises TokenInvalid where there is no such organization."""
        if update.head is None:
            self.drop()
            raise TokenInvalid("the token's organization does not exist")
        ledger = self.ledger
        if ledger is None or update.events is None:
            # Nothing is known, or the events in between are too many or have been pruned.
            ledger = Ledger(self.org_id, *update.head)
            self.rows, self.is_likely_current = 0, False
            self.refused_holds.clear()
        elif update.events:
            self.is_likely_current = False
            self.refused_holds.clear()
            self.counters.catch_ups += 1
            for event in update.events:
                ledger = evolve(ledger, event)
            ledger = ledger.merged()
            self.rows += _rows_of(update.events)
        if ledger.time != update.head.time or ledger.seq != update.head.seq:
            ledger = _at(ledger, update.head)
        if update.catalog is not None:
            self.timetable = Timetable(update.catalog)
        if update.loaded and self.ledger is not None and update.events is not None:
            ledger = ledger.with_loaded(update.loaded)
            self.rows += len(update.loaded.needs.blocks) + len(update.loaded.allocations)
            self.rows += ENTRY_ROWS * len(update.loaded.sessions)
            self.rows += sum(map(rows_of, update.loaded.reservations))
        self.ledger = ledger
        self.weigh()

    def begin(self, catalog: Catalog) -> None:
        """Start the ledger of an organization that is not in the store yet."""
        self.ledger, self.timetable = Ledger(self.org_id, 0, 0, 0), Timetable(catalog)
        self.refused_holds.clear()

    def evolved(self, ledger: Ledger, timetable: Timetable, events: Sequence[Event]) -> None:
        """Go on to a merged ledger whose last events have just been committed."""
        self.ledger, self.timetable = ledger, timetable
        self.is_likely_current = True
        if events:
            self.refused_holds.clear()
        self.rows += _rows_of(events)
        self.weigh()

    def drop(self) -> None:
        """Forget everything; the next query reads it again."""
        self.ledger = self.timetable = None
        self.rows, self.is_likely_current = 0, False
        self.refused_holds.clear()
        self.weigh()

    def weigh(self) -> None:
        """Update `size`, and the total."""
        size = self.rows + self.refused_holds.rows
        size += self.timetable.size // ROW_BYTES if self.timetable else 0
        self.total.rows += size - self.size
        self.size = size

    def leave(self) -> None:
        """Leave the total; a query that still uses this memory goes on with it."""
        self.total.rows -= self.size
        self.total = MemorySize(self.size)

    def shrink(self) -> None:
        """Forget what has not been used lately, and refused holds."""
        self.refused_holds.clear()
        if self.ledger:
            self.ledger.age()
            self.rows = self.ledger.size()
        if self.timetable:
            self.timetable.forget_grids()
        self.weigh()


def _rows_of(events: Sequence[Event]) -> int:
    """The most rows that events add to a ledger, about."""
    contacts = sum(rows_of(event.reservation) - ENTRY_ROWS for event in reservation_events(events))
    return ENTRY_ROWS * len(events) + contacts


def _at(ledger: Ledger, head: Head) -> Ledger:
    assert ledger.seq == head.seq, "the events lead to the head"
    return replace(ledger, time=head.time, catalog_version=head.catalog_version)


class Reader:
    """Runs queries of ledgers in memory. Use it on one event loop."""

    def __init__(self, store: LedgerStore, clock: Clock, max_rows: int = MAX_ROWS) -> None:
        self._store = store
        self._clock = clock
        self._max_rows = max_rows
        self._memories: OrderedDict[str, LedgerMemory] = OrderedDict()
        self._total = MemorySize()
        self._head_reads = _SharedHeadReads(store)
        self.counters = Counters()

    @property
    def rows(self) -> int:
        """How many rows of ledgers are kept in memory, about; `max_rows` bounds them."""
        return self._total.rows

    async def query(self, org_id: str, query: Query[T]) -> T:
        """The result of a query of an organization's ledger, as of now or later.

        The instant is that of the call, or of the ledger's last event where that is later: at a
        later one a hold would seem to have expired that another server has confirmed since the
        head was read. Raises TokenInvalid where there is no such organization, and what the query
        raises.
        """
        now = self._clock.now()
        memory = await self.current(org_id)
        for _ in range(MAX_ROUNDS):
            ledger, timetable = memory.ledger, memory.timetable
            if ledger is None or timetable is None:
                memory = await self.load(memory, Needs())
                continue
            try:
                return query(ledger, timetable, max(now, ledger.time))
            except NotLoaded as lacking:
                needs = lacking.needs
            memory = await self.load(memory, needs)
        raise AssertionError("a query never has what it needs")

    async def catalog(self, org_id: str) -> Catalog:
        """The catalogue of an organization."""
        return await self.query(org_id, lambda ledger, timetable, now: timetable.catalog)

    async def current(self, org_id: str) -> LedgerMemory:
        """The memory of an organization, once it has every event written before the call."""
        memory = self.memory(org_id)
        head = await self._head_reads.head(org_id)
        ledger = memory.ledger
        if head is None:
            raise TokenInvalid("the token's organization does not exist")
        if ledger is None or ledger.seq < head.seq:
            memory = await self.load(memory, Needs())
        return memory

    def memory(self, org_id: str) -> LedgerMemory:
        """The memory of an organization, whether or not it is up to date."""
        memory = self._memories.get(org_id)
        if memory is None:
            memory = LedgerMemory(org_id, counters=self.counters, total=self._total)
            self._memories[org_id] = memory
        self._memories.move_to_end(org_id)
        return memory

    def forget(self) -> None:
        """Drop the memory of every organization."""
        for memory in self._memories.values():
            memory.drop()

    async def load(self, memory: LedgerMemory, needs: Needs) -> LedgerMemory:
        """Bring memory up to date, and load what a query needs, a part at a time.

        Returns the memory that has it: another one, for this query alone, where the memory
        is locked for longer than MAX_WAIT.
        """
        for part in needs.parts(MAX_LOAD):
            try:
                async with asyncio.timeout(MAX_WAIT):
                    await memory.lock.acquire()
            except TimeoutError:
                memory = LedgerMemory(memory.org_id, counters=self.counters)
                part = Needs()
                await memory.lock.acquire()
            try:
                await self.load_locked(memory, part)
            finally:
                memory.lock.release()
            # Other tasks run between two parts, even where reading suspends nothing.
            await asyncio.sleep(0)
        self.trim()
        return memory

    async def load_locked(self, memory: LedgerMemory, part: Needs) -> None:
        """Bring locked memory up to date, with a part of what a query or a command needs."""
        # Another task may have loaded the same while this one waited for the lock.
        if part and memory.ledger and not (part := memory.ledger.lacks(part)):
            return
        [update] = await self._store.read([memory.read(part)])
        memory.apply(update)

    def trim(self) -> None:
        """Keep memory within its bound; the least recently used is dropped first."""
        if self.rows <= self._max_rows:
            return
        for memory in list(self._memories.values()):
            if self.rows <= self._max_rows:
                return
            if memory.lock.locked():
                continue
            if memory is next(reversed(self._memories.values())):
                memory.shrink()
            else:
                del self._memories[memory.org_id]
                memory.leave()


class _SharedHeadReads:
    """Reads of heads: one at a time, each for all queries that came before it began."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self._waiting: list[tuple[str, asyncio.Future[Head | None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def head(self, org_id: str) -> Head | None:
        """The head of a ledger, read after this was called; None where there is none."""
        future: asyncio.Future[Head | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((org_id, future))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            begun = loop.time()
            requests, self._waiting = self._waiting, []
            await self._read_heads([request for request in requests if not request[1].done()])
            if self._waiting or len(requests) > 1:
                await asyncio.sleep(begun + HEAD_READ_INTERVAL - loop.time())
        self._task = None

    async def _read_heads(
        self, requests: Sequence[tuple[str, "asyncio.Future[Head | None]"]]
    ) -> None:
        try:
            heads = await self._store.heads({org_id for org_id, _ in requests})
        except Exception as error:
            for _, future in requests:
                if not future.done():
                    future.set_exception(error)
            return
        for org_id, future in requests:
            if not future.done():
                future.set_result(heads.get(org_id))
