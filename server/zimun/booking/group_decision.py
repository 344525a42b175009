"""Deciding a group of commands: the commands, the drafts of their effects, and what is read.

They are decided in memory where that is likely current, else after reads.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from zimun.booking.change_request import ChangeRequest
from zimun.booking.pause import Pause
from zimun.booking.reader import MAX_LOAD, MAX_ROUNDS, LedgerMemory
from zimun.booking.refused_holds import RefusedHold, SlotKey, slot_key
from zimun.booking.store import (
    Append,
    IdempotencyKey,
    LedgerRead,
    LedgerStore,
    LedgerUpdate,
    StoredResponse,
)
from zimun.clock import Clock
from zimun.domain.availability.timetable import Timetable
from zimun.domain.booking_errors import SlotUnavailable
from zimun.domain.catalog.catalog import empty_catalog
from zimun.domain.commands import Command, Decision, Hold
from zimun.domain.errors import IdempotencyKeyReused, Overloaded, TokenInvalid, ZimunError
from zimun.domain.ledger.events import Event, reservation_events
from zimun.domain.ledger.evolve import evolve
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import Needs, NotLoaded

MAX_DECISION = 0.005
"""Seconds of decisions after which other tasks run: longer than those of a usual group take."""


@dataclass(eq=False, slots=True)
class PendingCommand:
    """A command that waits, with the future of its outcome.

    `is_refused_hold` for a hold of a slot that was refused lately: it is hardly any work.
    `is_deferred` once it has waited for parts of its ledger, and its call has left its queue
    (`leave_queue`); `loads` counts how often it waited for them.
    """

    request: ChangeRequest
    command: Command
    creates: bool
    future: "asyncio.Future[bytes]"
    is_refused_hold: bool
    leave_queue: Callable[[], None]
    is_deferred: bool = False
    response: bytes = b""
    refusal: Exception | None = None
    loads: int = 0

    @property
    def org_id(self) -> str:
        """The organization whose ledger it changes."""
        return self.request.caller.org_id

    def complete(self) -> None:
        """Give the caller the outcome, unless the call was cancelled."""
        if self.future.done():
            return
        if self.refusal is None:
            self.future.set_result(self.response)
        else:
            self.future.set_exception(self.refusal)


@dataclass(slots=True)
class Draft:
    """The ledger of an organization with the effects of its commands, before they are written.

    `refusals` are those since the last event; `expired_keys` are used again.
    """

    memory: LedgerMemory
    ledger: Ledger
    timetable: Timetable
    now: int
    commands: list[PendingCommand]
    is_new: bool
    events: list[Event] = field(default_factory=list)
    responses: dict[IdempotencyKey, StoredResponse] = field(default_factory=dict)
    refusals: dict[SlotKey, RefusedHold] = field(default_factory=dict)
    expired_keys: set[IdempotencyKey] = field(default_factory=set)

    async def decide_commands(
        self, stored: Mapping[IdempotencyKey, StoredResponse], pause: Pause
    ) -> Needs:
        """Decide every command; returns what must be loaded before they are decided again."""
        needs = Needs()
        for pending in self.commands:
            if pause.is_due:
                await pause.take()
            try:
                self._decide_command(pending, stored)
            except NotLoaded as lacking:
                needs |= lacking.needs
        return needs

    @property
    def is_confirmed_by_append(self) -> bool:
        """Whether a successful append confirms all outcomes, without a read of head and keys.

        It succeeds only where the head is the one in memory and no response is stored under the
        new keys. A response may be stored under the key of a refused command, which it does not
        check.
        """
        has_append = bool(self.events or self.responses)
        return has_append and not any(
            pending.refusal and pending.request.key for pending in self.commands
        )

    def is_confirmed_by(self, update: LedgerUpdate) -> bool:
        """Whether a read after the decisions confirms them: no new head, no stored response."""
        ledger = self.memory.ledger
        assert ledger is not None
        known = (ledger.seq, ledger.time, ledger.catalog_version)
        return update.head == known and not update.responses

    def _decide_command(
        self, pending: PendingCommand, stored: Mapping[IdempotencyKey, StoredResponse]
    ) -> None:
        """Decide one command on top of those before it; raises NotLoaded."""
        request, pending.refusal = pending.request, None
        identity = request.identity if request.key else None
        try:
            if identity:
                response = self.responses.get(identity) or stored.get(identity)
                if response and self.now < response.expires_at:
                    if response.fingerprint != request.fingerprint:
                        raise IdempotencyKeyReused(request.method)
                    pending.response = response.response
                    return
            decision = self._decide(pending.command, request.caller.client_id)
            pending.response = request.encode(decision.result)
        except NotLoaded:
            raise
        except Exception as error:
            pending.refusal = _without_frames(error) if isinstance(error, ZimunError) else error
            return
        self._add(decision)
        if identity:
            if identity in stored:
                self.expired_keys.add(identity)
            self.responses[identity] = request.to_store(pending.response, decision.result, self.now)

    def _decide(self, command: Command, client_id: str) -> Decision:
        """Decide a command; a hold like one that was refused is refused alike while that stands."""
        if not isinstance(command, Hold):
            return command.decide(self.ledger, self.timetable, self.now, client_id)
        key = slot_key(command)
        refused = self.refusals.get(key)
        if not refused and not self.events:
            refused = self.memory.refused_holds.get(command)
        if refused and refused.is_valid(self.now):
            raise refused.error.copy()
        try:
            return command.decide(self.ledger, self.timetable, self.now, client_id)
        except SlotUnavailable as error:
            self.refusals[key] = RefusedHold(error.copy(), self.now)
            raise

    def _add(self, decision: Decision) -> None:
        """Apply the events of a decision."""
        for event in decision.events:
            self.ledger = evolve(self.ledger, event)
        self.events += decision.events
        if decision.events:
            self.refusals = {}
        if decision.catalog is not None:
            version = self.ledger.catalog_version
            self.timetable = Timetable(replace(decision.catalog, version=version))

    def to_append(self) -> Append | None:
        """The changes to write; None without changes."""
        if not self.events and not self.responses:
            return None
        assert self.memory.ledger is not None
        spans = (
            session.busy[1] - session.busy[0]
            for event in reservation_events(self.events)
            for session in event.sessions
        )
        span = max(spans, default=0)
        longest = span if span > self.timetable.catalog.longest_span else 0
        return Append(
            self.memory.ledger, self.ledger, self.events, self.now, self.responses, longest
        )

    def update_memory(self) -> None:
        """Bring memory to the state that is on disk now: the draft has been written."""
        ledger = self.ledger.merged(self.now)
        self.memory.evolved(ledger, self.timetable, self.events)
        self.remember_refusals()

    def remember_refusals(self) -> None:
        """Add the refusals to memory; any effects of the draft must have been written."""
        self.memory.refused_holds.update(self.refusals)
        self.memory.weigh()


class GroupDecision:
    """The decisions of a group whose ledgers are locked.

    Finished drafts are confirmed by their append or by a read, and the locks keep them valid.
    Drafts that were decided in memory and have no such append are unconfirmed. `lacking` are the
    organizations whose commands need more of their ledgers, which is loaded beside the lane.
    """

    def __init__(
        self, store: LedgerStore, clock: Clock, memories: Mapping[str, LedgerMemory]
    ) -> None:
        self._store, self._clock, self._memories = store, clock, memories
        self._finished: list[Draft] = []
        self._unconfirmed: dict[str, Draft] = {}
        self._needs: dict[str, Needs] = {}
        self.lacking: Mapping[str, Needs] = {}

    async def drafts(self, group: Sequence[PendingCommand], is_first: bool) -> list[Draft]:
        """The drafts of all commands that do not lack anything.

        Where this is not the first attempt, ledgers are loaded here, and their commands decided as
        often as they need more.
        """
        if is_first:
            await self._decide_in_memory(by_organization(group))
            self.lacking, self._needs = self._needs, {}
            decided = {draft.memory.org_id for draft in self._finished} | self.lacking.keys()
            group = [pending for pending in group if pending.org_id not in decided]
            if commands := by_organization(group):
                await self._decide_after_read(commands)
            self.lacking |= self._needs
            return self._finished
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
                draft = self._new_draft(memory, some, self._clock.now())
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
        # At a later instant a hold would seem to have expired that another server has confirmed
        # since the read.
        now = self._clock.now()
        updates = await self._store.read(reads)
        pause = Pause(MAX_DECISION)
        for (org_id, some), update in zip(commands.items(), updates, strict=True):
            draft = self._unconfirmed.pop(org_id, None)
            if draft and draft.is_confirmed_by(update):
                self._finished.append(draft)
                continue
            draft = self._open_draft(self._memories[org_id], update, some, now)
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
        self, memory: LedgerMemory, update: LedgerUpdate, commands: list[PendingCommand], now: int
    ) -> Draft:
        """A draft, as of `now` or later, on top of what was read; a new ledger where there is none.

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
        return self._new_draft(memory, commands, now, is_new)

    def _new_draft(
        self, memory: LedgerMemory, commands: list[PendingCommand], now: int, is_new: bool = False
    ) -> Draft:
        assert memory.ledger, "memory has been brought up to date"
        assert memory.timetable, "memory has been brought up to date"
        now = max(now, memory.ledger.time)
        return Draft(memory, memory.ledger, memory.timetable, now, commands, is_new)


def by_organization(group: Sequence[PendingCommand]) -> dict[str, list[PendingCommand]]:
    """The pending commands of each organization that have no outcome yet."""
    commands: dict[str, list[PendingCommand]] = {}
    for pending in group:
        if not pending.future.done():
            commands.setdefault(pending.org_id, []).append(pending)
    return commands


def _without_frames(error: ZimunError) -> ZimunError:
    """An error without references to frames, which would keep the draft and its whole group.

    An error raised while another is handled has that as its context, with its own traceback.
    """
    error.__traceback__ = error.__context__ = None
    return error


def complete(commands: Sequence[PendingCommand]) -> None:
    """Give callers the outcomes of their commands."""
    for pending in commands:
        pending.complete()


def fail(commands: Sequence[PendingCommand], error: Exception) -> None:
    """Give callers the error for which their commands were not written."""
    for pending in commands:
        if isinstance(error, Overloaded):
            # Each caller raises an exception of their own.
            error = Overloaded(error.message, error.retry_after)
        pending.refusal = error.with_traceback(None)
    complete(commands)
