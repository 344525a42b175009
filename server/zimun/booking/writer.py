"""Writing ledgers: commands that wait are decided and committed together, as one group.

A group reads the heads of its ledgers and the stored responses of its
Idempotency-Keys, decides its commands one after the other, each on the effects of
those before it, and writes the effects in one transaction, which has an effect only
where no other server has moved a head meanwhile (optimistic concurrency control).
Then memory evolves, and only then are the callers answered.

The commands of a ledger that this server was the last to write, as far as it knows, are
decided in memory without a read before: the transaction, which checks head and keys,
confirms the decisions. Where there is nothing to write, or a command with a key is
refused, a read after the decisions confirms them.

Commands that lack parts of their ledger are deferred until these are loaded, and so are all of an
organization whose ledger a query loads: those of other organizations go on.
"""

import asyncio
import logging
import random
import zlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from zimun.booking.change_request import ChangeRequest
from zimun.booking.deferred_commands import DeferredCommands, leave_queue
from zimun.booking.group_decision import (
    GroupDecision,
    PendingCommand,
    by_organization,
    complete,
    fail,
)
from zimun.booking.reader import HEAD_READ_INTERVAL, LedgerMemory, Reader
from zimun.booking.store import AppendRejected, LedgerStore
from zimun.clock import Clock
from zimun.domain.commands import Command, Hold
from zimun.domain.errors import OutcomeUnknown, Overloaded
from zimun.domain.identity import Caller

MAX_GROUP = 32
"""The most commands of a group: limits the time for which it occupies the event loop."""

MAX_COMMANDS = 512
"""The most commands of a group with holds of refused slots, which take hardly any time."""

MAX_WAITING = 4096
"""Commands that may wait in a lane; beyond it they are refused at once."""

MAX_ATTEMPTS = 50
"""The most attempts to write a group while other servers move the heads of its ledgers."""

MAX_REJECTIONS = 2
"""The most rejections of a group by the store before its commands are written one by one."""

MAX_REJECTIONS_ALONE = 4
"""The most rejections of a command in a group of its own before it fails."""

MAX_PAUSE = 0.02
"""Seconds of the longest pause between two attempts; pauses are random, so that colliding servers
do not collide again."""

log = logging.getLogger(__name__)


class Writer:
    """Takes commands and groups them. Use it on one event loop, as a context manager."""

    def __init__(self, store: LedgerStore, reader: Reader, clock: Clock) -> None:
        self._lanes = [_Lane(store, reader, clock) for _ in range(store.lanes)]
        self.counters = reader.counters

    @property
    def waiting(self) -> int:
        """How many commands wait for the group under way, in all lanes."""
        return sum(lane.waiting for lane in self._lanes)

    async def __aenter__(self) -> "Writer":
        for lane in self._lanes:
            lane.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.gather(*(lane.close() for lane in self._lanes))

    async def submit(
        self, request: ChangeRequest, command: Command, creates: bool = False
    ) -> bytes:
        """The response to a command, once its effect is on disk.

        `creates` is for commands that may make the organization. Raises what
        the command's `decide` raises, TokenInvalid for an unknown organization,
        IdempotencyKeyReused, Overloaded where nothing was done, and
        OutcomeUnknown where the store was lost while it committed.
        """
        lane = self._lanes[zlib.crc32(request.caller.org_id.encode()) % len(self._lanes)]
        return await lane.submit(request, command, creates)

    async def run(self, org_id: str, command: Command, creates: bool = False) -> Any:
        """The result of a command without a client; raises as `submit` does."""
        results: list[Any] = []

        def encode(result: Any) -> bytes:
            results.append(result)
            return b""

        caller = Caller(org_id, "", frozenset())
        await self.submit(ChangeRequest(caller, "", "", b"", encode), command, creates)
        # A command may have been decided more than once; the last time counts.
        return results[-1]


class _Lane:
    """A lane writes one group after the other; an organization's commands are all in one lane.

    `_memories` are those of the group under way, by organization, locked. Deferred commands that
    have been loaded, beyond a group, have `_returned`: they go in turn with those that wait.
    """

    def __init__(self, store: LedgerStore, reader: Reader, clock: Clock) -> None:
        self._store, self._reader, self._clock = store, reader, clock
        self._waiting: deque[PendingCommand] = deque()
        self._returned: deque[PendingCommand] = deque()
        self._turn = 0
        self._deferred = DeferredCommands(reader, self._wake)
        self._memories: dict[str, LedgerMemory] = {}
        self._arrival = asyncio.Event()
        self._must_go_on = asyncio.Event()
        self._pause_until = 0.0
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        return len(self._waiting) + len(self._returned) + len(self._deferred)

    @property
    def _has_commands(self) -> bool:
        """Whether a group can be made."""
        return bool(self._waiting or self._returned) or self._deferred.has_loaded

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Commit the commands that wait, and stop."""
        self._closed = True
        self._arrival.set()
        if self._task:
            await self._task

    def submit(
        self, request: ChangeRequest, command: Command, creates: bool
    ) -> "asyncio.Future[bytes]":
        if self._closed:
            raise Overloaded("the server is stopping")
        if len(self._waiting) >= MAX_WAITING:
            raise Overloaded("too many changes are waiting")
        future = asyncio.get_running_loop().create_future()
        memory = self._reader.memory(request.caller.org_id)
        is_refused_hold = isinstance(command, Hold) and command in memory.refused_holds
        pending = PendingCommand(
            request, command, creates, future, is_refused_hold, leave_queue.get()
        )
        self._waiting.append(pending)
        self._arrival.set()
        if not is_refused_hold:
            self._must_go_on.set()
        return future

    def _wake(self) -> None:
        self._must_go_on.set()
        self._arrival.set()

    async def _run(self) -> None:
        while self._has_commands or self._deferred or not self._closed:
            await self._arrival.wait()
            self._arrival.clear()
            while group := await self._gather_group():
                try:
                    await self._commit(group)
                except Exception as error:
                    log.exception("a group of commands failed")
                    fail(group, error)
                # A group that writes nothing may not have left the event loop to others.
                del group
                await asyncio.sleep(0)

    async def _gather_group(self) -> list[PendingCommand]:
        """The next group; holds of refused slots gather while nothing else waits, as one read of
        heads serves all of them."""
        if not self._has_commands:
            return []
        loop = asyncio.get_running_loop()
        if (pause := self._pause_until - loop.time()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._must_go_on.wait()
        group = self._next_group()
        if all(pending.is_refused_hold for pending in group):
            self._pause_until = loop.time() + HEAD_READ_INTERVAL
        if not self._has_commands:
            self._must_go_on.clear()
        return group

    def _next_group(self) -> list[PendingCommand]:
        """The commands of the next group; cancelled ones are dropped."""
        group = self._take_loaded()
        others: list[PendingCommand] = []
        to_decide = len(group)
        while to_decide < MAX_GROUP and len(group) < MAX_COMMANDS:
            if (pending := self._pop()) is None:
                break
            if pending.future.done():
                continue
            together = self._store.shares_transactions or not group
            if self._deferred.is_loading(pending.org_id):
                self._deferred.add(pending)
            elif self._deferred.is_loaded(pending.org_id):
                others.append(pending)
            elif together or pending.org_id == group[0].org_id:
                group.append(pending)
                to_decide += not pending.is_refused_hold
            else:
                others.append(pending)
        self._waiting.extendleft(reversed(others))
        return group

    def _pop(self) -> PendingCommand | None:
        """The next command that waits or has returned; None without any."""
        queues = [queue for queue in (self._waiting, self._returned) if queue]
        self._turn += 1
        return queues[self._turn % len(queues)].popleft() if queues else None

    def _take_loaded(self) -> list[PendingCommand]:
        """Deferred commands that have what they lacked; of very many of a ledger the rest wait
        again."""
        group: list[PendingCommand] = []
        while len(group) < MAX_GROUP and (self._store.shares_transactions or not group):
            loaded = self._deferred.take()
            if loaded is None:
                break
            group += loaded.commands[:MAX_GROUP]
            self._returned.extend(loaded.commands[MAX_GROUP:])
            self._memories[loaded.memory.org_id] = loaded.memory
        return group

    async def _commit(self, group: list[PendingCommand]) -> None:
        """Decide and write a group until every command has its outcome, or is deferred."""
        try:
            await self._lock_memories(group)
            await self._commit_locked(group, self._memories)
            if group:
                self._reader.counters.group_sizes.observe(len(group))
        finally:
            for memory in self._memories.values():
                memory.lock.release()
            self._memories.clear()
        self._reader.trim()

    async def _lock_memories(self, group: list[PendingCommand]) -> None:
        """Lock the memories of a group, from which commands are deferred if theirs is in use."""
        for org_id, commands in by_organization(group).items():
            if org_id in self._memories:
                continue
            memory = self._reader.memory(org_id)
            if memory.lock.locked():
                self._deferred.defer(memory, commands, None)
            else:
                await memory.lock.acquire()
                self._memories[org_id] = memory
        self._keep_locked(group)

    def _keep_locked(self, group: list[PendingCommand]) -> None:
        """Remove deferred commands from their group: they do not fail with it."""
        group[:] = [pending for pending in group if pending.org_id in self._memories]

    async def _commit_locked(
        self,
        group: list[PendingCommand],
        memories: dict[str, LedgerMemory],
        unknown: OutcomeUnknown | None = None,
        is_first: bool = True,
    ) -> None:
        """Decide and write a group whose ledgers are locked.

        `unknown` is the error of an attempt with these commands that was lost in its commit: it
        may have been written, whatever comes after.
        """
        rejections = 0
        for attempt in range(MAX_ATTEMPTS):
            try:
                group = await self._attempt(group, memories, is_first and attempt == 0)
            except AppendRejected as error:
                rejections += 1
                group = await self._after_rejection(group, memories, error, rejections, unknown)
            except OutcomeUnknown as error:
                _drop(memories.values())
                unknown, group = error, _after_unknown_outcome(group, error)
            except Exception as error:
                _drop(memories.values())
                fail(group, unknown or error)
                return
            if not group:
                return
            await asyncio.sleep(random.uniform(0, min(MAX_PAUSE, 0.001 * 2**attempt)))  # noqa: S311
        fail(group, unknown or Overloaded("other servers changed the ledger at every attempt"))

    async def _after_rejection(
        self,
        group: list[PendingCommand],
        memories: Mapping[str, LedgerMemory],
        error: AppendRejected,
        rejections: int,
        unknown: OutcomeUnknown | None,
    ) -> list[PendingCommand]:
        """The commands to decide again, from a fresh read, after the last of some rejections.

        After MAX_REJECTIONS a group is written one by one, and none is left.
        """
        self._reader.counters.conflicts += 1
        _drop(memories.values())
        log.warning("the store rejects a group of %d commands: %s", len(group), error)
        if rejections > MAX_REJECTIONS and len(group) > 1:
            for pending in group:
                memory = {pending.org_id: memories[pending.org_id]}
                await self._commit_locked([pending], memory, unknown, is_first=False)
            return []
        if rejections > MAX_REJECTIONS_ALONE:
            log.error("the store rejects what the ledger allows: %s", error)
            fail(group, unknown or Overloaded("the store refused every attempt"))
            return []
        return group

    async def _attempt(
        self, group: list[PendingCommand], memories: dict[str, LedgerMemory], is_first: bool
    ) -> list[PendingCommand]:
        """Decide a group on its ledgers as they are now, and write it.

        Returns the commands to decide again: another server has moved the head of their ledger.
        At the first attempt those that lack anything are deferred, in later ones it is loaded.
        """
        decision = GroupDecision(self._store, self._clock, memories)
        drafts = await decision.drafts(group, is_first)
        for org_id, needs in decision.lacking.items():
            commands = [pending for pending in group if pending.org_id == org_id]
            self._deferred.defer(self._memories.pop(org_id), commands, needs)
        self._keep_locked(group)
        if expired := {
            (draft.memory.org_id, *key): draft.now for draft in drafts for key in draft.expired_keys
        }:
            # A key is free again once its expired response is deleted.
            await self._store.drop_responses(max(expired.values()), expired)
        appends = {draft.memory.org_id: append for draft in drafts if (append := draft.to_append())}
        written = await self._store.append(list(appends.values())) if appends else frozenset()
        again: list[PendingCommand] = []
        for draft in drafts:
            if draft.memory.org_id not in appends:
                draft.remember_refusals()
                complete(draft.commands)
                if draft.is_new:
                    draft.memory.drop()
            elif draft.memory.org_id in written:
                draft.update_memory()
                self._reader.counters.count_events(appends[draft.memory.org_id].events)
                complete(draft.commands)
            else:
                self._reader.counters.moved += 1
                again += draft.commands
                if draft.is_new:
                    draft.memory.drop()
        return again


def _drop(memories: Iterable[LedgerMemory]) -> None:
    for memory in memories:
        memory.drop()


def _after_unknown_outcome(
    commands: Sequence[PendingCommand], error: OutcomeUnknown
) -> list[PendingCommand]:
    """The commands that can be decided again: their key tells whether they were committed."""
    keyed = [pending for pending in commands if pending.request.key]
    fail([pending for pending in commands if not pending.request.key], error)
    return keyed
