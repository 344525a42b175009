"""Deciding a group of commands: in memory where that is likely current, else after reads."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from zimun.booking.group_commit import Draft, PendingCommand, by_organization, complete
from zimun.booking.pause import Pause
from zimun.booking.reader import MAX_LOAD, MAX_ROUNDS, LedgerMemory
from zimun.booking.store import LedgerRead, LedgerStore, LedgerUpdate
from zimun.clock import Clock
from zimun.domain.catalog.catalog import empty_catalog
from zimun.domain.errors import TokenInvalid
from zimun.domain.ledger.loading import Needs

MAX_DECISION = 0.005
"""Seconds of decisions after which other tasks run: longer than those of a usual group take."""


class GroupDecision:
    """The decisions of a group whose ledgers are locked.

    Finished drafts are confirmed by their append or by a read, and the locks keep them valid.
    Drafts that were decided in memory and have no such append are unconfirmed.
    """

    def __init__(
        self, store: LedgerStore, clock: Clock, memories: Mapping[str, LedgerMemory]
    ) -> None:
        self._store, self._clock, self._memories = store, clock, memories
        self._finished: list[Draft] = []
        self._unconfirmed: dict[str, Draft] = {}
        self._needs: dict[str, Needs] = {}

    async def drafts(self, group: Sequence[PendingCommand], in_memory_first: bool) -> list[Draft]:
        """The drafts of all commands; those of a ledger are decided as often as they need more."""
        if in_memory_first:
            await self._decide_in_memory(by_organization(group))
            decided = {draft.memory.org_id for draft in self._finished}
            group = [pending for pending in group if pending.org_id not in decided]
        for _ in range(MAX_ROUNDS):
            if commands := by_organization(group):
                await self._decide_after_read(commands)
            group = [pending for pending in group if pending.org_id in self._needs]
            if not group:
                return self._finished
            # Other tasks run before more is read and decided, even where reading suspends nothing.
            await asyncio.sleep(0)
        raise AssertionError("a command never has what it needs")

    async def _decide_in_memory(self, commands: Mapping[str, list[PendingCommand]]) -> None:
        """Decide the commands of ledgers that have probably not been moved by another server."""
        pause = Pause(MAX_DECISION)
        for org_id, some in commands.items():
            memory = self._memories[org_id]
            if memory.is_likely_current:
                draft = self._new_draft(memory, some)
                if missing := await draft.decide_commands({}, pause):
                    self._needs[org_id] = missing
                elif draft.is_confirmed_by_append:
                    self._finished.append(draft)
                else:
                    self._unconfirmed[org_id] = draft

    async def _decide_after_read(self, commands: Mapping[str, list[PendingCommand]]) -> None:
        """Read ledgers with what they need; confirm their drafts, or decide their commands."""
        reads = [self._read(org_id, some) for org_id, some in commands.items()]
        self._needs = {}
        updates = await self._store.read(reads)
        pause = Pause(MAX_DECISION)
        for (org_id, some), update in zip(commands.items(), updates, strict=True):
            draft = self._unconfirmed.pop(org_id, None)
            if draft and draft.is_confirmed_by(update):
                self._finished.append(draft)
                continue
            draft = self._open_draft(self._memories[org_id], update, some)
            if missing := await draft.decide_commands(update.responses, pause):
                self._needs[org_id] = missing
            else:
                self._finished.append(draft)

    def _read(self, org_id: str, commands: Sequence[PendingCommand]) -> LedgerRead:
        """The next part of what the commands need, and their keys."""
        part = next(self._needs.get(org_id, Needs()).parts(MAX_LOAD))
        read = self._memories[org_id].read(part)
        keys = tuple({pending.request.identity for pending in commands if pending.request.key})
        return replace(read, keys=keys) if keys else read

    def _open_draft(
        self, memory: LedgerMemory, update: LedgerUpdate, commands: list[PendingCommand]
    ) -> Draft:
        """A draft on top of what was read; a new ledger's where there is no such organization.

        That has the commands that may make it; the others are refused.
        """
        is_new = update.head is None
        if is_new:
            others = [pending for pending in commands if not pending.creates]
            for pending in others:
                pending.refusal = TokenInvalid("the token's organization does not exist")
            complete(others)
            commands = [pending for pending in commands if pending.creates]
            memory.begin(empty_catalog(memory.org_id))
        else:
            memory.apply(update)
        return self._new_draft(memory, commands, is_new)

    def _new_draft(
        self, memory: LedgerMemory, commands: list[PendingCommand], is_new: bool = False
    ) -> Draft:
        assert memory.ledger, "memory has been brought up to date"
        assert memory.timetable, "memory has been brought up to date"
        now = max(self._clock.now(), memory.ledger.time)
        return Draft(memory, memory.ledger, memory.timetable, now, commands, is_new)
