"""Deferred commands: those that wait until parts of their ledger are in memory.

A task for each ledger loads the parts under the lock of its memory, and leaves that locked for the
group that takes the commands. Commands of other ledgers go on meanwhile.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from zimun.booking.group_decision import PendingCommand, fail
from zimun.booking.reader import MAX_LOAD, MAX_ROUNDS, LedgerMemory, Reader
from zimun.domain.errors import Overloaded
from zimun.domain.ledger.loading import Needs

MAX_DEFERRED = 512
"""Commands of an organization that may wait for parts of its ledger; beyond it they are refused."""


class LoadedCommands(NamedTuple):
    """Commands whose parts have been loaded; `memory` is locked for whoever takes them."""

    memory: LedgerMemory
    commands: Sequence[PendingCommand]


class DeferredCommands:
    """The deferred commands of a lane, by organization; `on_loaded` is called when some can be
    taken.

    An organization whose commands are deferred is loading, and then loaded until they are taken.
    """

    def __init__(self, reader: Reader, on_loaded: Callable[[], None]) -> None:
        self._reader, self._on_loaded = reader, on_loaded
        self._loading: dict[str, list[PendingCommand]] = {}
        self._loaded: dict[str, LoadedCommands] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        loaded = (commands for _, commands in self._loaded.values())
        return sum(map(len, [*self._loading.values(), *loaded]))

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
        commands = self._loading[pending.org_id]
        if len(commands) < MAX_DEFERRED:
            commands.append(pending)
        else:
            fail([pending], Overloaded("too many changes of the organization are waiting"))

    def defer(
        self, memory: LedgerMemory, commands: list[PendingCommand], needs: Needs | None
    ) -> None:
        """Let commands wait until a part of their needs is loaded, with a memory that the caller
        has locked; or, without needs, until another task unlocks it."""
        if needs is not None:
            for pending in commands:
                pending.loads += 1
        self._loading[memory.org_id] = commands
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

    async def _load(self, memory: LedgerMemory, needs: Needs | None) -> None:
        org_id = memory.org_id
        try:
            if needs is None:
                await memory.lock.acquire()
            elif max(pending.loads for pending in self._loading[org_id]) > MAX_ROUNDS:
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
