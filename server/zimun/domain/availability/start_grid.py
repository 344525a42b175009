"""Grids of starts as values: of a date, of several dates as one, and of a single start.

Sets of starts are bits: bit p stands for the p-th start of a grid, so that a
rule applies to all starts of several dates, and all bookings of a staff member,
in a few operations.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import reduce
from itertools import accumulate, compress
from operator import or_
from typing import NamedTuple

from zimun.domain.intervals import Interval, overlapping

_FLAGS = bytes.maketrans(b"01", b"\0\1")

MAX_CACHED_OVERLAPS = 512
"""The most intervals for which a DateRangeGrid caches the starts that they overlap."""


MAX_CACHED_ID_SETS, MAX_CACHED_IDS = 512, 1 << 14
"""The most sets of staff ids that an IdsByFlags caches, and ids if all were in each."""


class Grid(NamedTuple):
    """The starts of a date in order, and for each staff member those at which they are on duty.

    `steps` are the starts, relative to `begin`, so that dates can share them.
    `on_duty` has one entry of bits for each of the service's staff members, in the service's
    order; it has one entry where the service needs no staff, and none where there is no start.
    """

    begin: int
    steps: Sequence[int]
    on_duty: Sequence[int]

    @property
    def starts(self) -> list[int]:
        """The starts as instants."""
        begin = self.begin
        return [begin + step for step in self.steps]

    def at(self, start: int) -> list[int]:
        """For each staff member 1 if they are on duty at a start, else 0; empty off the grid."""
        step = start - self.begin
        p = bisect_left(self.steps, step)
        if p == len(self.steps) or self.steps[p] != step:
            return []
        return [bits >> p & 1 for bits in self.on_duty]


NO_STARTS = Grid(0, (), ())
"""The grid of a date on which no appointment can start."""


class _Overlaps(dict[Interval, int]):
    """A bounded cache: for an interval the starts of the appointments that overlap it, as bits.

    An appointment that starts at 0 takes its staff from `before` (0 or less: the buffer)
    until `after`.
    """

    def __init__(self, starts: Sequence[int], before: int, after: int) -> None:
        super().__init__()
        self._starts, self._before, self._after = starts, before, after

    def __missing__(self, interval: Interval) -> int:
        if len(self) >= MAX_CACHED_OVERLAPS:
            del self[next(iter(self))]
        low = bisect_right(self._starts, interval[0] - self._after)
        high = bisect_left(self._starts, interval[1] - self._before)
        self[interval] = bits = (1 << high) - (1 << low) if low < high else 0
        return bits


class DateRangeGrid:
    """The grids of consecutive dates as one; every start of a date comes before those of the next.

    `bounds` has the position of the first start of each date, and as its last entry the number
    of all starts.
    """

    starts: Sequence[int]
    on_duty: Sequence[int]
    bounds: Sequence[int]

    def __init__(self, grids: Sequence[Grid], before: int, after: int) -> None:
        self.starts = [start for grid in grids for start in grid.starts]
        self.bounds = [0, *accumulate(len(grid.steps) for grid in grids)]
        shifts = [bound for bound, grid in zip(self.bounds, grids, strict=False) if grid.steps]
        self.on_duty = [
            sum(bits << shift for bits, shift in zip(each, shifts, strict=True))
            for each in zip(*(grid.on_duty for grid in grids if grid.steps), strict=True)
        ]
        if self.starts:
            self._begin, self._end = self.starts[0] + before, self.starts[-1] + after
        self._overlap = _Overlaps(self.starts, before, after).__getitem__

    def between(self, begin: int, end: int) -> int:
        """The starts from `begin` to before `end`, as bits."""
        low, high = bisect_left(self.starts, begin), bisect_left(self.starts, end)
        return (1 << high) - (1 << low) if low < high else 0

    def overlapping(self, taken: Sequence[Interval]) -> int:
        """The starts of the appointments that overlap any of some intervals, as bits.

        Requires a start and an interval at least; the intervals are disjoint and in order.
        """
        begin, end = self._begin, self._end
        if taken[0][0] < begin or end <= taken[-1][0]:
            low = max(bisect_left(taken, (begin,)) - 1, 0)
            taken = taken[low : bisect_left(taken, (end,))]
        return reduce(or_, map(self._overlap, taken), 0)


class SingleStartGrid(DateRangeGrid):
    """The grid of a single start: sets of starts are 0 or 1."""

    def __init__(self, start: int, on_duty: Sequence[int], before: int, after: int) -> None:
        self.starts, self.on_duty, self.bounds = (start,), on_duty, (0, 1)
        self._begin, self._end = start + before, start + after

    def overlapping(self, taken: Sequence[Interval]) -> int:
        """1 if any of the intervals overlaps an appointment at this start, else 0."""
        position = bisect_left(taken, (self._end,))
        return int(position > 0 and taken[position - 1][1] > self._begin)


class IdsByFlags(dict[bytes, tuple[str, ...]]):
    """A bounded cache: for flags, one for each of `ids`, the ids whose flag is 1."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__()
        self._ids = ids
        self._max_sets = min(MAX_CACHED_ID_SETS, MAX_CACHED_IDS // max(len(ids), 1))

    def __missing__(self, flags: bytes) -> tuple[str, ...]:
        if len(self) >= self._max_sets:
            del self[next(iter(self))]
        self[flags] = ids = tuple(compress(self._ids, flags))
        return ids


def flags_of(rows: Sequence[int], count: int) -> bytes:
    """Rows of `count` bits as flags (bytes 0 and 1): `[p::count]` has bit p of each row, in order.

    With a row for each staff member, these are the flags of the staff members at start p.
    """
    bits = "".join([f"{row:0{count}b}" for row in reversed(rows)])
    return bits[::-1].encode().translate(_FLAGS)


def available_starts(
    grid: Grid, duration: int, place: Sequence[Interval], staff: Sequence[Sequence[Interval]]
) -> Grid:
    """A grid without the starts whose appointments overlap time off.

    `place` is the time off of the place, `staff` that of each staff member of the grid.
    """
    if not grid.steps:
        return grid
    starts = grid.starts
    closed, *off = [overlapped_starts(starts, duration, each) for each in (place, *staff)]
    if not closed and not any(off):
        return grid
    each = zip(grid.on_duty, off, strict=True)
    return grid._replace(on_duty=[bits & ~(closed | off_duty) for bits, off_duty in each])


def overlapped_starts(starts: Sequence[int], duration: int, intervals: Sequence[Interval]) -> int:
    """The starts whose appointments, without their buffers, overlap an interval, as bits.

    Requires a start at least.
    """
    bits = 0
    for since, until in overlapping(intervals, (starts[0], starts[-1] + duration)):
        low, high = bisect_right(starts, since - duration), bisect_left(starts, until)
        bits |= (1 << high) - (1 << low) if low < high else 0
    return bits
