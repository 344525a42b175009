"""Writing ledgers: commands that wait are decided and committed together, as one group.

A group reads the heads of its ledgers and the Idempotency-Keys of its commands,
decides its commands one after the other, each seeing what those before it did,
and writes their effects in one transaction, which has an effect only where no
other server has moved a head meanwhile (optimistic concurrency control). Then
memory evolves, and only then are the callers answered. Where no other server is
known to write a ledger, its commands are decided without a read before, as the
transaction checks head and keys; a read after the decisions confirms them where
there is nothing to write or a command with a key is refused.
"""

import asyncio
import logging
import random
import zlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from zimun.booking.change_request import ChangeRequest
from zimun.booking.group_commit import Draft, PendingCommand, by_organization, complete, fail
from zimun.booking.reader import HEAD_READ_INTERVAL, LedgerMemory, Reader
from zimun.booking.store import (
    Conflict,
    LedgerRead,
    LedgerStore,
    LedgerUpdate,
)
from zimun.clock import Clock
from zimun.domain.catalog.catalog import empty_catalog
from zimun.domain.commands import Command, Hold
from zimun.domain.errors import (
    OutcomeUnknown,
    Overloaded,
    TokenInvalid,
)
from zimun.domain.identity import Caller
from zimun.domain.ledger.loading import Needs

MAX_GROUP = 32
"""Commands of one group: limits how long deciding keeps the event loop."""

MAX_JOBS = 512
"""Commands of one group with those like one that was refused, which are hardly any work."""

MAX_WAITING = 4096
"""Commands that may wait in a lane; beyond it they are refused at once."""

MAX_ATTEMPTS = 50
"""How often a group is decided while other servers move its ledgers on."""

MAX_CONFLICTS = 2
"""How often a group may be refused by the store before its commands are tried one by one."""

MAX_LOADS = 100
"""How often a group may need more of its ledgers before it fails as one that never ends."""

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
    """A lane writes one group after the other; an organization's commands are all in one lane."""

    def __init__(self, store: LedgerStore, reader: Reader, clock: Clock) -> None:
        self._store, self._reader, self._clock = store, reader, clock
        self._waiting: deque[PendingCommand] = deque()
        self._arrival = asyncio.Event()
        self._must_go_on = asyncio.Event()
        self._pause_until = 0.0
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Commit the commands that wait, and stop."""
        self._closed = True
        self._arrival.set()
        self._must_go_on.set()
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
        self._waiting.append(PendingCommand(request, command, creates, future, is_refused_hold))
        self._arrival.set()
        if not is_refused_hold:
            self._must_go_on.set()
        return future

    async def _run(self) -> None:
        while self._waiting or not self._closed:
            await self._arrival.wait()
            self._arrival.clear()
            while group := await self._gather_group():
                self._reader.counters.group_sizes.observe(len(group))
                try:
                    await self._commit(group)
                except Exception as error:
                    log.exception("a group of commands failed")
                    fail(group, error)
                group.clear()

    async def _gather_group(self) -> list[PendingCommand]:
        """The next group; holds of refused slots gather while nothing else waits, as one read of
        heads serves all of them."""
        if not self._waiting:
            return []
        loop = asyncio.get_running_loop()
        if (pause := self._pause_until - loop.time()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._must_go_on.wait()
        group = self._next_group()
        if all(job.is_refused_hold for job in group):
            self._pause_until = loop.time() + HEAD_READ_INTERVAL
        if not self._waiting and not self._closed:
            self._must_go_on.clear()
        return group

    def _next_group(self) -> list[PendingCommand]:
        """The commands of the next group; cancelled ones are dropped."""
        group: list[PendingCommand] = []
        others: list[PendingCommand] = []
        to_decide = 0
        while self._waiting and to_decide < MAX_GROUP and len(group) < MAX_JOBS:
            job = self._waiting.popleft()
            if job.future.done():
                continue
            together = self._store.shares_transactions or not group
            if together or job.org_id == group[0].org_id:
                group.append(job)
                to_decide += not job.is_refused_hold
            else:
                others.append(job)
        self._waiting.extendleft(reversed(others))
        return group

    async def _commit(self, group: list[PendingCommand]) -> None:
        """Decide and write a group until every one of its commands has its outcome."""
        memories = {job.org_id: self._reader.memory(job.org_id) for job in group}
        locks: list[asyncio.Lock] = []
        try:
            for org_id in sorted(memories):
                lock = memories[org_id].lock
                await lock.acquire()
                locks.append(lock)
            await self._commit_locked(group, memories)
        finally:
            for lock in locks:
                lock.release()
        self._reader.trim()

    async def _commit_locked(
        self, group: list[PendingCommand], memories: Mapping[str, LedgerMemory]
    ) -> None:
        conflicts = 0
        unknown: OutcomeUnknown | None = None
        for attempt in range(MAX_ATTEMPTS):
            try:
                group = await self._attempt(group, memories, attempt == 0)
            except Conflict as error:
                conflicts += 1
                self._reader.counters.conflicts += 1
                _drop(memories.values())
                log.warning(
                    "a group of %d commands violates a constraint of the store: %s",
                    len(group),
                    error,
                )
                if conflicts > MAX_CONFLICTS and len(group) > 1:
                    for job in group:
                        await self._commit_locked([job], {job.org_id: memories[job.org_id]})
                    return
                if conflicts > 2 * MAX_CONFLICTS:
                    log.error("the store refuses what the ledger allows: %s", error)
                    break
            except OutcomeUnknown as error:
                _drop(memories.values())
                unknown, group = error, _after_unknown_outcome(group, error)
            except Exception as error:
                _drop(memories.values())
                # A group that was lost while it committed may have been written, whatever came
                # after.
                fail(group, unknown or error)
                return
            if not group:
                return
            await asyncio.sleep(random.uniform(0, min(MAX_PAUSE, 0.001 * 2**attempt)))  # noqa: S311
        fail(group, unknown or Overloaded("other servers changed the ledger at every attempt"))

    async def _attempt(
        self, group: list[PendingCommand], memories: Mapping[str, LedgerMemory], is_first: bool
    ) -> list[PendingCommand]:
        """Decide a group on its ledgers as they are now, and write it.

        Returns the commands to decide again: another server has moved the head of their ledger.
        """
        drafts = await self._decide_all(group, memories, is_first)
        if over := [draft for draft in drafts if draft.meets_old_keys]:
            # Their keys are free again once the responses of a day ago are deleted.
            now = max(draft.now for draft in over)
            await self._store.drop_responses(now, [draft.memory.org_id for draft in over])
        appends = {
            draft.memory.org_id: append for draft in drafts if (append := draft.append) is not None
        }
        written = await self._store.append(list(appends.values())) if appends else frozenset()
        again: list[PendingCommand] = []
        for draft in drafts:
            if draft.memory.org_id not in appends:
                draft.completed()
                complete(draft.jobs)
                if draft.is_new:
                    draft.memory.drop()
            elif draft.memory.org_id in written:
                draft.committed()
                self._reader.counters.count_events(appends[draft.memory.org_id].events)
                complete(draft.jobs)
            else:
                self._reader.counters.moved += 1
                draft.memory.is_likely_current = False
                again += draft.jobs
                if draft.is_new:
                    draft.memory.drop()
        return again

    async def _decide_all(
        self, group: list[PendingCommand], memories: Mapping[str, LedgerMemory], is_first: bool
    ) -> list[Draft]:
        """Decide every command, having read what they need, as often as they need more."""
        needs: dict[str, Needs] = {}
        confirmed: list[Draft] = []
        unconfirmed: dict[str, Draft] = {}
        if is_first:
            for done in self._decide_in_memory(group, memories, needs):
                if done.is_confirmed_by_append:
                    confirmed.append(done)
                else:
                    unconfirmed[done.memory.org_id] = done
        decided = {draft.memory.org_id for draft in confirmed}
        group = [job for job in group if job.org_id not in decided]
        for _ in range(MAX_LOADS):
            jobs = by_organization(group)
            if not jobs:
                return confirmed
            updates = await self._store.read(
                [
                    _with_keys(memories[org_id].read(needs.get(org_id)), some)
                    for org_id, some in jobs.items()
                ]
            )
            drafts: list[Draft] = []
            needs = {}
            for (org_id, some), update in zip(jobs.items(), updates, strict=True):
                in_memory = unconfirmed.pop(org_id, None)
                if in_memory and in_memory.is_confirmed_by(update):
                    drafts.append(in_memory)
                elif draft := self._open_draft(memories[org_id], update, some):
                    drafts.append(draft)
                    if missing := draft.decide_all(update.responses):
                        needs[org_id] = missing
            if not needs:
                return confirmed + drafts
            # Other tasks run before more is read and decided, even where reading suspends nothing.
            await asyncio.sleep(0)
        raise AssertionError("a command never has what it needs")

    def _decide_in_memory(
        self,
        group: list[PendingCommand],
        memories: Mapping[str, LedgerMemory],
        needs: dict[str, Needs],
    ) -> list[Draft]:
        """Decide the commands of ledgers that have probably not been moved by another server.

        Returns their drafts, and adds to `needs` what others lack.
        """
        drafts = []
        for org_id, jobs in by_organization(group).items():
            memory = memories[org_id]
            if memory.is_likely_current:
                draft = self._new_draft(memory, jobs)
                if missing := draft.decide_all({}):
                    needs[org_id] = missing
                else:
                    drafts.append(draft)
        return drafts

    def _open_draft(
        self, memory: LedgerMemory, update: LedgerUpdate, jobs: list[PendingCommand]
    ) -> Draft | None:
        """A draft on top of what was read; None where there is no such organization."""
        is_new = update.head is None
        if is_new:
            others = [job for job in jobs if not job.creates]
            for job in others:
                job.refusal = TokenInvalid("the token's organization does not exist")
            complete(others)
            jobs = [job for job in jobs if job.creates]
            if not jobs:
                memory.drop()
                return None
            memory.begin(empty_catalog(memory.org_id))
        else:
            memory.apply(update)
        return self._new_draft(memory, jobs, is_new)

    def _new_draft(
        self, memory: LedgerMemory, jobs: list[PendingCommand], is_new: bool = False
    ) -> Draft:
        assert memory.ledger, "memory has been brought up to date"
        assert memory.timetable, "memory has been brought up to date"
        now = max(self._clock.now(), memory.ledger.time)
        return Draft(memory, memory.ledger, memory.timetable, now, jobs, is_new)


def _with_keys(read: LedgerRead, jobs: Sequence[PendingCommand]) -> LedgerRead:
    keys = tuple({job.request.identity for job in jobs if job.request.key})
    return replace(read, keys=keys) if keys else read


def _drop(memories: Iterable[LedgerMemory]) -> None:
    for memory in memories:
        memory.drop()


def _after_unknown_outcome(
    jobs: Sequence[PendingCommand], error: OutcomeUnknown
) -> list[PendingCommand]:
    """The commands that can be decided again: their key tells whether they were committed."""
    keyed = [job for job in jobs if job.request.key]
    fail([job for job in jobs if not job.request.key], error)
    return keyed
