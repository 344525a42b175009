"""Deferred commands: those that wait until parts of their ledger are in memory.

A task for each ledger loads the parts under the lock of its memory, and leaves that locked for the
group that takes the commands. Commands of other ledgers go on meanwhile, and other calls begin in
place of those whose commands are deferred: these have a limit of their own.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import NamedTuple

from zimun.booking.group_decision import PendingCommand, fail
from zimun.booking.quota import Quota
from zimun.booking.reader import MAX_LOAD, MAX_ROUNDS, LedgerMemory, Reader
from zimun.domain.errors import Overloaded
from zimun.domain.ledger.loading import Needs

MAX_DEFERRED = 640
"""Commands of a lane that may have been deferred and have no outcome yet, of an organization alone
512; those beyond are refused."""


def _stay_in_queue() -> None:
    pass


leave_queue: ContextVar[Callable[[], None]] = ContextVar("leave_queue", default=_stay_in_queue)
"""Lets another call begin in place of the running one; `rpc.dispatch` sets it."""


class LoadedCommands(NamedTuple):
    """Commands whose parts are loaded; `memory` stays locked until their group releases it."""

    memory: LedgerMemory
    commands: Sequence[PendingCommand]


class DeferredCommands:
    """The deferred commands of a lane, by organization; `on_loaded` is called when some can be
    taken.

    An organization whose commands are deferred is loading, and then loaded until they are taken.
    """

    def __init__(self, reader: Reader, on_loaded: Callable[[], None]) -> None:
        self._reader, self._on_loaded = reader, on_loaded
        self._quota = Quota(MAX_DEFERRED)
        self._loading: dict[str, list[PendingCommand]] = {}
        self._loaded: dict[str, LoadedCommands] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        loaded = (commands for _, commands in self._loaded.values())
        return sum(map(len, [*self._loading.values(), *loaded]))

    def __bool__(self) -> bool:
        return bool(self._loading or self._loaded)

    @property
    def has_loaded(self) -> bool:
        """Whether there is anything to take."""
        return bool(self._loaded)

    def is_loading(self, org_id: str) -> bool:
        """Whether a command of the organization must be added to those that wait."""
        return org_id in self._loading

    def is_loaded(self, org_id: str) -> bool:
        """Whether a command of the organization must wait until others of it have been taken."""
        return org_id in self._loaded

    def add(self, pending: PendingCommand) -> None:
        """Let a command of an organization that is loading wait with the others, or refuse it."""
        self._loading[pending.org_id] += self._accepted([pending])

    def defer(
        self, memory: LedgerMemory, commands: Sequence[PendingCommand], needs: Needs | None
    ) -> None:
        """Let commands wait until a part of their needs is loaded, with a memory that the caller
        has locked; or, without needs, until another task unlocks it. Those without a place are
        refused."""
        if needs is not None:
            for pending in commands:
                pending.loads += 1
        self._loading[memory.org_id] = self._accepted(commands)
        task = asyncio.create_task(self._load(memory, needs))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def take(self) -> LoadedCommands | None:
        """The commands of the next ledger that is loaded, without cancelled ones; None without
        any."""
        while self._loaded:
            memory, commands = self._loaded.pop(next(iter(self._loaded)))
            if commands := [pending for pending in commands if not pending.future.done()]:
                return LoadedCommands(memory, commands)
            memory.lock.release()
        return None

    def _accepted(self, commands: Iterable[PendingCommand]) -> list[PendingCommand]:
        """The commands that may wait; the others are refused."""
        return [pending for pending in commands if pending.is_deferred or self._accept(pending)]

    def _accept(self, pending: PendingCommand) -> bool:
        """Give a command a place until it has its outcome, or refuse it."""
        org_id = pending.org_id
        try:
            self._quota.acquire(org_id)
        except Overloaded as error:
            fail([pending], error)
            return False
        pending.future.add_done_callback(lambda _: self._quota.release(org_id))
        pending.is_deferred = True
        pending.leave_queue()
        return True

    async def _load(self, memory: LedgerMemory, needs: Needs | None) -> None:
        org_id = memory.org_id
        try:
            if needs is None:
                await memory.lock.acquire()
            elif max((pending.loads for pending in self._loading[org_id]), default=0) > MAX_ROUNDS:
                raise AssertionError("a command never has what it needs")
            else:
                await self._reader.load_locked(memory, next(needs.parts(MAX_LOAD)))
                memory.is_likely_current = memory.ledger is not None
        except Exception as error:
            memory.drop()
            memory.lock.release()
            fail(self._loading.pop(org_id), error)
        else:
            self._loaded[org_id] = LoadedCommands(memory, self._loading.pop(org_id))
        self._on_loaded()
