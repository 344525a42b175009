"""Conflicts of time off: the appointments and live holds that overlap it."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest
from typing import NamedTuple

from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.intervals import Interval, merge
from zimun.domain.ledger.events import FOREVER, Session
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import BLOCK, Needs, NotLoaded
from zimun.domain.ledger.reservation import Reservation

MAX_CONFLICTS = 100
"""The most appointments and holds that an error or an answer names."""


class Conflicts(NamedTuple):
    """The first appointments and live holds that overlap time off, and how many there are."""

    reservations: Sequence[Reservation] = ()
    total: int = 0


def conflicts_of(
    ledger: Ledger, catalog: Catalog, time_off: TimeOff, now: int, before: TimeOff | None = None
) -> Conflicts:
    """What overlaps time off and is not over, without what overlapped it `before` a change.

    The first MAX_CONFLICTS by start are named. Raises NotLoaded.
    """
    if before and before.intervals == time_off.intervals:
        return Conflicts()
    holds = _overlapping_holds(ledger, catalog, time_off, now)
    if before:
        overlapped_before = _overlapping_holds(ledger, catalog, before, now)
        holds = {
            hold_id: start for hold_id, start in holds.items() if hold_id not in overlapped_before
        }
    first = nsmallest(MAX_CONFLICTS, ((start, hold_id) for hold_id, start in holds.items()))
    missing = {hold_id for _, hold_id in first if ledger.reservations.get(hold_id) is None}
    if missing:
        raise NotLoaded(Needs(hold_ids=missing))
    return Conflicts([ledger.reservation(hold_id) for _, hold_id in first], len(holds))


def _overlapping_holds(
    ledger: Ledger, catalog: Catalog, time_off: TimeOff, now: int
) -> Mapping[str, int]:
    """The live holds and appointments that overlap time off, each with its start."""
    holds: dict[str, int] = {}
    needs = Needs()
    intervals = merge((max(begin, now), end) for begin, end in time_off.intervals)
    # Intervals near each other are looked up at once.
    for begin, end in merge((begin, end + BLOCK) for begin, end in intervals):
        try:
            sessions = _sessions(ledger, catalog, time_off.owner_id, (begin, end - BLOCK))
        except NotLoaded as lacking:
            needs |= lacking.needs
        else:
            _add_live(holds, sessions, intervals, now)
    if needs:
        raise NotLoaded(needs)
    return holds


def _add_live(
    holds: dict[str, int], sessions: Iterable[Session], intervals: Sequence[Interval], now: int
) -> None:
    """Add the live holds of the sessions that overlap intervals: a few instructions for each, as
    there may be tens of thousands."""
    ends = [end for _, end in intervals]
    begins = [*(begin for begin, _ in intervals), FOREVER]
    for session in sessions:
        start, members = session.start, session.members
        # The first interval that ends after the start is the only one that may begin before it.
        if members and begins[bisect_right(ends, start)] < session.end:
            for hold_id, member in members.items():
                if member.until > now:
                    holds[hold_id] = start


def _sessions(
    ledger: Ledger, catalog: Catalog, owner_id: str, within: Interval
) -> Iterable[Session]:
    """The sessions of an owner that may overlap an interval; raises NotLoaded."""
    if owner_id in catalog.staff or owner_id in catalog.resources:
        return _sessions_of_subject(ledger, owner_id, within)
    sessions = ledger.all_sessions((within[0] - catalog.longest_span, within[1]))
    if owner_id == catalog.organization.id:
        return sessions
    return [session for session in sessions if session.location_id == owner_id]


def _sessions_of_subject(ledger: Ledger, subject: str, within: Interval) -> Iterable[Session]:
    [(_, allocations)] = ledger.allocations([subject], within)
    ids = [allocation.session_id for allocation in allocations]
    missing = {session_id for session_id in ids if ledger.sessions.get(session_id) is None}
    if missing:
        raise NotLoaded(Needs(session_ids=missing))
    return [ledger.session(session_id) for session_id in ids]
