"""Conflicts of time off: the appointments and live holds that overlap it."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from typing import NamedTuple

from zimun.domain.booking_errors import TooManyBookings
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.intervals import Interval, merge
from zimun.domain.ledger.events import FOREVER, Session
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import BLOCK, Needs, NotLoaded
from zimun.domain.ledger.reservation import Reservation

MAX_CONFLICTS = 100
"""The most appointments and holds that an error or an answer names."""

MAX_MET = 20_000
"""The most appointments and live holds that time off may overlap: one decision finds them."""

WINDOW = 4 * BLOCK
"""How much time is looked up at once."""


class Conflicts(NamedTuple):
    """The first appointments and live holds that overlap time off, and how many there are."""

    reservations: Sequence[Reservation] = ()
    total: int = 0


def conflicts_of(
    ledger: Ledger, catalog: Catalog, time_off: TimeOff, now: int, before: TimeOff | None = None
) -> Conflicts:
    """What overlaps time off and is not over, without what overlapped it `before` a change.

    The first MAX_CONFLICTS by start are named. Raises TooManyBookings where it overlaps more than
    MAX_MET, and NotLoaded.
    """
    if before and before.intervals == time_off.intervals:
        return Conflicts()
    overlapped = _Times(before.intervals if before else (), now)
    new = [
        (start, hold_id)
        for hold_id, (start, end) in _overlapping_holds(ledger, catalog, time_off, now).items()
        if not overlapped.overlap(start, end)
    ]
    first = nsmallest(MAX_CONFLICTS, new)
    missing = {hold_id for _, hold_id in first if ledger.reservations.get(hold_id) is None}
    if missing:
        raise NotLoaded(Needs(hold_ids=missing))
    return Conflicts([ledger.reservation(hold_id) for _, hold_id in first], len(new))


class _Times:
    """The times of time off from an instant on, which do not touch each other."""

    def __init__(self, intervals: Iterable[Interval], now: int) -> None:
        self.intervals = list(merge((max(begin, now), end) for begin, end in intervals))
        self._ends = [end for _, end in self.intervals]
        self._begins = [*(begin for begin, _ in self.intervals), FOREVER]

    def overlap(self, begin: int, end: int) -> bool:
        """Whether one of them overlaps an interval."""
        # The first that ends after its begin is the only one that may begin before it.
        return self._begins[bisect_right(self._ends, begin)] < end

    def windows(self) -> Iterator[Interval]:
        """Intervals of at most WINDOW that cover them; those near each other are in one."""
        for begin, end in merge((begin, end + BLOCK) for begin, end in self.intervals):
            for start in range(begin, end - BLOCK, WINDOW):
                yield start, min(start + WINDOW, end - BLOCK)


def _overlapping_holds(
    ledger: Ledger, catalog: Catalog, time_off: TimeOff, now: int
) -> Mapping[str, Interval]:
    """The live holds and appointments that overlap time off, each with its start and end."""
    holds: dict[str, Interval] = {}
    needs = Needs()
    times = _Times(time_off.intervals, now)
    for window in times.windows():
        try:
            sessions = _sessions(ledger, catalog, time_off.owner_id, window, times, now)
        except NotLoaded as lacking:
            needs |= lacking.needs
            # So many sessions are loaded, and counted, before those of the next window.
            if needs.session_ids:
                break
        else:
            _add_live(holds, sessions, times, now)
            _require_few(len(holds))
    if needs:
        raise NotLoaded(needs)
    return holds


def _require_few(met: int) -> None:
    if met > MAX_MET:
        raise TooManyBookings("the appointments and holds in this time off", MAX_MET)


def _add_live(
    holds: dict[str, Interval], sessions: Iterable[Session], times: _Times, now: int
) -> None:
    """Add the live holds of the sessions that overlap some times."""
    for session in sessions:
        if session.members and times.overlap(session.start, session.end):
            for hold_id, member in session.members.items():
                if member.until > now:
                    holds[hold_id] = (session.start, session.end)


def _sessions(
    ledger: Ledger, catalog: Catalog, owner_id: str, within: Interval, times: _Times, now: int
) -> Iterable[Session]:
    """The sessions of an owner within an interval that may overlap some times; raises NotLoaded."""
    if owner_id in catalog.staff or owner_id in catalog.resources:
        return _sessions_of_subject(ledger, owner_id, within, times, now)
    sessions = ledger.all_sessions((within[0] - catalog.longest_span, within[1]))
    if owner_id == catalog.organization.id:
        return sessions
    return [session for session in sessions if session.location_id == owner_id]


def _sessions_of_subject(
    ledger: Ledger, subject: str, within: Interval, times: _Times, now: int
) -> Iterable[Session]:
    """Raises TooManyBookings before very many sessions are loaded."""
    [(_, allocations)] = ledger.allocations([subject], within)
    live = [
        allocation
        for allocation in allocations
        if allocation.until > now and times.overlap(allocation.busy_start, allocation.busy_end)
    ]
    _require_few(sum(times.overlap(allocation.start, allocation.start + 1) for allocation in live))
    ids = [allocation.session_id for allocation in live]
    missing = {session_id for session_id in ids if ledger.sessions.get(session_id) is None}
    if missing:
        raise NotLoaded(Needs(session_ids=missing))
    return [ledger.session(session_id) for session_id in ids]
