"""Blocks: the allocations of a subject within eight days, and queries of them.

Allocations of one subject are disjoint, so of those that begin before an
interval only the last can overlap it.
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import NamedTuple

from zimun.domain.intervals import Interval
from zimun.domain.ledger.events import FOREVER
from zimun.domain.ledger.loading import BLOCK, OPEN_BLOCK, Allocation


class Block(NamedTuple):
    """The allocations of a subject that touch a block of time, in order.

    None of them ends by itself before `stands_until`. `seq` is the ledger's number at its last
    change, or when it was loaded.
    """

    allocations: tuple[Allocation, ...]
    stands_until: int
    seq: int = 0

    def replaced(self, new: Allocation, seq: int) -> "Block":
        """The block with a session's new allocation, or none, in place of its earlier one."""
        others, until = self.allocations, self.stands_until
        at = bisect_left(others, new[:1])
        before, after = others[:at], others[at:]
        earlier = after[0] if after else None
        if earlier and (earlier[0], earlier[4]) == (new[0], new[4]):
            after = after[1:]
            if earlier.until == until:
                until = min([allocation.until for allocation in before + after], default=FOREVER)
        if not new.until:
            return Block(before + after, until, seq)
        return Block((*before, new, *after), min(until, new.until), seq)

    def overlapping(self, within: Interval) -> tuple[Allocation, ...]:
        """The allocations that overlap an interval."""
        allocations = self.allocations
        low = bisect_left(allocations, within[:1])
        if low and allocations[low - 1][1] > within[0]:
            low -= 1
        return allocations[low : bisect_left(allocations, within[1:], low)]

    def beginning(self, within: Interval) -> tuple[Allocation, ...]:
        """The allocations that begin within an interval, buffers included."""
        low, high = (bisect_left(self.allocations, (instant,)) for instant in within)
        return self.allocations[low:high]

    def count_starts(self, within: Interval, now: int) -> int:
        """How many appointments start within an interval, of those that are not over at `now`."""
        if self.stands_until <= now:
            live = [allocation for allocation in self.allocations if allocation.until > now]
            return sum(within[0] <= allocation.start < within[1] for allocation in live)
        return self._starts_before(within[1]) - self._starts_before(within[0])

    def _starts_before(self, instant: int) -> int:
        """How many appointments, whose buffers may begin earlier, start before an instant."""
        count = bisect_left(self.allocations, (instant,))
        return count - 1 if count and self.allocations[count - 1].start >= instant else count


def block_of(allocations: Iterable[Allocation], seq: int = 0) -> Block:
    """A block of allocations in any order, loaded at a number of the ledger."""
    ordered = tuple(sorted(allocations))
    until = min([allocation.until for allocation in ordered], default=FOREVER)
    return Block(ordered, until, seq)


def block_numbers(begin: int, end: int) -> range:
    """The numbers of the blocks that an interval touches; of one without an end, the open block."""
    if end == FOREVER:
        return range(OPEN_BLOCK, OPEN_BLOCK + 1)
    return range(begin // BLOCK, (end - 1) // BLOCK + 1)
