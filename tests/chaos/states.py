"""What was taken and what was time off in an organization on a day, after each event.

So an answer about what is open is compared with what it must have been, for
each number of the ledger and each instant at which it may have been worked out.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from .history import Attempt
from .ledger import FOREVER, EventOrder, Ledger, Taking, runs_out
from .occupancy import Occupancy
from .scenario import DAY

Positions = tuple[int, int]
"""The first and the last place among an organization's events (`Revision.position`) after which
something was so."""

ALWAYS: Positions = (0, FOREVER)


class _State(NamedTuple):
    """What was taken of a day after so many events, the last of which was of the instant `at`."""

    position: int
    at: int
    taken: tuple[tuple[str, Taking], ...]


class States:
    """The states of all days of all organizations."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._states: dict[tuple[str, int], list[_State]] = defaultdict(lambda: [_State(0, 0, ())])
        for org, order in ledger.orders.items():
            self._replay(org, order)

    def _replay(self, org: str, order: EventOrder) -> None:
        days: dict[int, dict[str, tuple[tuple[str, Taking], ...]]] = defaultdict(dict)
        places: dict[str, set[int]] = {}
        for life, revision in order.entries:
            before = places.pop(life.hold_id, set())
            for day in before:
                del days[day][life.hold_id]
            taken = revision.takes(until=runs_out(revision.row))
            places[life.hold_id] = {one.start // DAY for _, one in taken}
            for day in places[life.hold_id]:
                there = tuple(one for one in taken if one[1].start // DAY == day)
                days[day][life.hold_id] = there
            for day in before | places[life.hold_id]:
                taken = tuple(one for some in days[day].values() for one in some)
                self._states[org, day].append(_State(revision.position, revision.at, taken))

    def during(
        self, attempt: Attempt, when: int, positions: Positions = ALWAYS
    ) -> Iterator[Occupancy]:
        """What was taken on the day of an instant, at each moment at which an attempt may have been
        decided: one number of the ledger, and one instant of the server's clock. Of these numbers
        only those at some positions count."""
        order = self._ledger.orders.get(attempt.org)
        first, last = order.positions(attempt.sent, attempt.answered) if order else (0, 0)
        first, last = max(first, positions[0]), min(last, positions[1])
        if first > last:
            return
        states = self._states[attempt.org, when // DAY]
        begin = bisect_right(states, first, key=lambda state: state.position) - 1
        for state in states[begin : bisect_right(states, last, key=lambda state: state.position)]:
            yield from _over_time(state, attempt.sent, attempt.answered + self._ledger.skew)


def _over_time(state: _State, since: int, until: int) -> Iterator[Occupancy]:
    """A state as it is while time alone ends holds, from one instant until another."""
    since = max(since, state.at)
    ends = {taking.until for _, taking in state.taken if since < taking.until <= until}
    for now in sorted({since, *ends}):
        occupancy: dict[str, list[Taking]] = defaultdict(list)
        for subject, taking in state.taken:
            if taking.until > now:
                occupancy[subject].append(taking)
        yield occupancy
