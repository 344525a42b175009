"""A group of commands: pending commands, and the draft of their effects."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from zimun.booking.change_request import ChangeRequest
from zimun.booking.pause import Pause
from zimun.booking.reader import LedgerMemory
from zimun.booking.refused_holds import RefusedHold, SlotKey, slot_key
from zimun.booking.store import Append, IdempotencyKey, LedgerUpdate, StoredResponse
from zimun.domain.availability.timetable import Timetable
from zimun.domain.booking_errors import SlotUnavailable
from zimun.domain.commands import Command, Decision, Hold
from zimun.domain.errors import IdempotencyKeyReused, Overloaded, ZimunError
from zimun.domain.ledger.events import Event, reservation_events
from zimun.domain.ledger.evolve import evolve
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import Needs, NotLoaded


@dataclass(eq=False, slots=True)
class PendingCommand:
    """A command that waits, with the future of its outcome.

    `is_refused_hold` for a hold of a slot that was refused lately: it is hardly any work.
    """

    request: ChangeRequest
    command: Command
    creates: bool
    future: "asyncio.Future[bytes]"
    is_refused_hold: bool
    response: bytes = b""
    refusal: Exception | None = None

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
        self.memory.evolved(ledger, self.timetable, len(self.events))
        self.remember_refusals()

    def remember_refusals(self) -> None:
        """Add the refusals to memory; any effects of the draft must have been written."""
        self.memory.refused_holds.update(self.refusals)
        self.memory.weigh()


def _without_frames(error: ZimunError) -> ZimunError:
    """An error without references to frames, which would keep the draft and its whole group.

    An error raised while another is handled has that as its context, with its own traceback.
    """
    error.__traceback__ = error.__context__ = None
    return error


def by_organization(group: Sequence[PendingCommand]) -> dict[str, list[PendingCommand]]:
    """The pending commands of each organization that have no outcome yet."""
    commands: dict[str, list[PendingCommand]] = {}
    for pending in group:
        if not pending.future.done():
            commands.setdefault(pending.org_id, []).append(pending)
    return commands


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
