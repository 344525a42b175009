"""Servers with a planted fault, which the judge must find: `python -m tests.chaos.faulty_server`.

The first argument names the fault, or several joined by `+`; the others are those of `serving`.
"""

import asyncio
import itertools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from zimun.booking import group_decision, reader, writer
from zimun.booking import time_off as booking_time_off
from zimun.booking.group_decision import Draft, GroupDecision
from zimun.booking.reader import LedgerMemory
from zimun.booking.store import Append, Head
from zimun.domain import appointment_commands, commands
from zimun.domain.availability import busy_time as busy_times
from zimun.domain.availability import slot_request
from zimun.domain.availability.busy_time import busy_time
from zimun.domain.availability.slots import Busy
from zimun.domain.availability.tallies import Tallies
from zimun.domain.catalog import time_off
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Service
from zimun.domain.errors import Overloaded
from zimun.domain.intervals import Interval
from zimun.domain.ledger import reservation as rules
from zimun.domain.ledger.events import FOREVER, Event
from zimun.domain.ledger.evolve import evolve
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.reservation import Reservation
from zimun.domain.ledger.time_off_conflicts import Conflicts
from zimun.storage import contacts
from zimun.storage.postgresql import group_statement
from zimun.storage.postgresql.ledger_store import PostgresqlLedgers
from zimun.storage.sqlite.ledger_store import SqliteLedgers

from .serving import main

GAP = 0.05
"""Seconds for which a fault lasts, so that others come in between."""

AGE = 3.0
"""Seconds for which a look at the heads is used."""

FAILING = 4
"""One group in so many fails."""

MOMENT = 400_000
"""Microseconds by which a hold's end is missed: so many that a busy machine meets it, too."""


def _plant(where: object, name: str, fault: object) -> None:
    """Put a fault in the place of what has this name there, which must be there."""
    assert hasattr(where, name), f"{where} has no {name} to be replaced"
    setattr(where, name, fault)


def search_ignores_bookings() -> None:
    """The search sees nothing taken."""
    _plant(slot_request, "busy_time", lambda *_: Busy({}))


def catch_up_skips_holds() -> None:
    """What another server held is not taken up by catching up: its event only counts."""

    def skip(ledger: Ledger, event: Event) -> Ledger:
        if event.type == "HOLD_CREATED":
            return replace(ledger, seq=ledger.seq + 1)
        return evolve(ledger, event)

    _plant(reader, "evolve", skip)


def head_not_compared() -> None:
    """A group is written wherever the head of its ledger is."""
    made = group_statement._group_sql

    def group_sql(*arguments: Any) -> str:
        sql = made(*arguments)
        for comparison in (
            "AND ledgers.seq = h.seq::bigint ",
            "AND ledgers.time = h.known_time::bigint ",
        ):
            assert comparison in sql
            sql = sql.replace(comparison, "")
        return sql

    _plant(group_statement, "_group_sql", group_sql)


def memory_before_commit() -> None:
    """Memory evolves before the commit, and stays so where another server was quicker."""
    append = Draft.to_append

    def evolve_first(draft: Draft) -> Append | None:
        made: Append | None = append(draft)
        draft.memory.ledger = replace(draft.ledger, time=draft.now)
        return made

    _plant(Draft, "to_append", evolve_first)


def memory_kept_after_failure() -> None:
    """Memory keeps what a group came to that failed, and now and then one fails."""
    drafts: dict[str, Draft] = {}
    decide = GroupDecision.drafts

    async def decide_group(decision: Any, *arguments: Any) -> list[Draft]:
        decided = await decide(decision, *arguments)
        drafts.update({draft.memory.org_id: draft for draft in decided})
        return decided

    def keep(memories: Iterable[LedgerMemory]) -> None:
        for memory in memories:
            if draft := drafts.pop(memory.org_id, None):
                draft.update_memory()

    append = PostgresqlLedgers.append
    count = itertools.count(1)

    async def fail_some(self: PostgresqlLedgers, appends: Sequence[Append]) -> Set[str]:
        if next(count) % FAILING == 0:
            raise Overloaded("planted: the database refused a group")
        return await append(self, appends)

    _plant(GroupDecision, "drafts", decide_group)
    _plant(writer, "_drop", keep)
    _plant(PostgresqlLedgers, "append", fail_some)


def stale_head() -> None:
    """A head that was read is used for questions that come after the read, for a while."""
    head_reads = reader._SharedHeadReads
    head = head_reads.head
    kept: dict[str, tuple[float, Head | None]] = {}

    async def join(self: Any, org_id: str) -> Head | None:
        began = asyncio.get_running_loop().time()
        if org_id not in kept or began - kept[org_id][0] > AGE:
            kept[org_id] = (began, await head(self, org_id))
        return kept[org_id][1]

    _plant(head_reads, "head", join)


def answer_before_commit() -> None:
    """Callers are answered before the commit."""
    append = Draft.to_append

    def answer_first(draft: Draft) -> Append | None:
        group_decision.complete(draft.commands)
        made: Append | None = append(draft)
        return made

    _plant(Draft, "to_append", answer_first)


def responses_written_apart() -> None:
    """Responses are kept in a transaction of their own, after the changes."""
    whole = SqliteLedgers.append

    async def append(self: SqliteLedgers, appends: Sequence[Append]) -> Set[str]:
        written = await whole(self, [replace(one, responses={}) for one in appends])
        await asyncio.sleep(GAP)
        await whole(self, [_responses_alone(one) for one in appends])
        return written

    _plant(SqliteLedgers, "append", append)


def _responses_alone(append: Append) -> Append:
    after = append.after
    bare = Ledger(after.org_id, after.seq, append.time, after.catalog_version)
    return Append(bare, bare, (), append.time, append.responses)


def clock_without_ledger_time() -> None:
    """The instant of a decision is this server's clock, whatever the ledger's time."""
    make = GroupDecision._new_draft

    def new_draft(decision: Any, *arguments: Any) -> Draft:
        draft = make(decision, *arguments)
        draft.now = decision._clock.now()
        return draft

    _plant(GroupDecision, "_new_draft", new_draft)


def holds_end_late() -> None:
    """A hold still stands for a moment when its time has run out."""
    original_state = rules.as_of

    def stand(reservation: Reservation, now: int) -> Reservation:
        return original_state(reservation, now - MOMENT)

    _plant(rules, "as_of", stand)


def holds_end_early() -> None:
    """The search sees holds end a moment before they do."""

    def see(
        ledger: Ledger,
        catalog: Catalog,
        service: Service,
        location_id: str,
        within: Interval,
        now: int,
        leaving: Reservation | None = None,
    ) -> Busy:
        return busy_time(ledger, catalog, service, location_id, within, now + MOMENT, leaving)

    _plant(slot_request, "busy_time", see)


def refusal_not_confirmed() -> None:
    """A refusal is answered from memory, though nothing is written that would confirm it."""
    _plant(Draft, "is_confirmed_by_append", property(lambda _: True))


def limits_ignored() -> None:
    """No booking counts for a limit."""
    _plant(busy_times, "count", lambda *_: Tallies({}, FOREVER))


def customer_limit_ignored() -> None:
    """No appointment counts for its customer's limit when it is confirmed or changed."""
    for module in (commands, appointment_commands):
        _plant(module, "check_customer", lambda *_: None)


def recurrence_ignored() -> None:
    """Of time off that recurs the search knows the first occurrence alone."""
    make: Callable[..., None] = time_off.TimeOffIndex.__init__

    def first(self: Any, entries: Iterable[time_off.TimeOff], org_id: str) -> None:
        make(self, [replace(entry, occurrences=()) for entry in entries], org_id)

    _plant(time_off.TimeOffIndex, "__init__", first)


def location_ignores_bookings() -> None:
    """A search at a location sees no bookings at all."""

    def see(
        ledger: Ledger, catalog: Catalog, service: Service, location_id: str, *more: Any
    ) -> Busy:
        found = busy_time(ledger, catalog, service, location_id, *more)
        return replace(found, taken={}) if location_id else found

    _plant(slot_request, "busy_time", see)


def time_off_ignored() -> None:
    """The search knows no time off."""
    make: Callable[..., None] = time_off.TimeOffIndex.__init__

    def empty(self: Any, _: object, org_id: str) -> None:
        make(self, (), org_id)

    _plant(time_off.TimeOffIndex, "__init__", empty)


def time_off_over_bookings() -> None:
    """Time off is made over bookings without being told to."""
    _plant(booking_time_off, "conflicts_of", lambda *_: Conflicts())


def events_not_erased() -> None:
    """The erasure of a contact leaves events as they are."""
    _plant(contacts, "_emptied", lambda data: data)


def responses_not_erased() -> None:
    """The erasure of a contact leaves stored responses as they are."""

    async def leave(*_: object) -> bool:
        return True

    _plant(SqliteLedgers, "empty_responses", leave)


FAULTS: Mapping[str, Callable[[], None]] = {
    fault.__name__: fault
    for fault in (
        search_ignores_bookings,
        catch_up_skips_holds,
        head_not_compared,
        memory_before_commit,
        memory_kept_after_failure,
        stale_head,
        answer_before_commit,
        responses_written_apart,
        clock_without_ledger_time,
        holds_end_late,
        holds_end_early,
        refusal_not_confirmed,
        limits_ignored,
        customer_limit_ignored,
        recurrence_ignored,
        location_ignores_bookings,
        time_off_ignored,
        time_off_over_bookings,
        events_not_erased,
        responses_not_erased,
    )
}

if __name__ == "__main__":
    for fault in sys.argv.pop(1).split("+"):
        FAULTS[fault]()
    main()
