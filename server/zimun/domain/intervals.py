"""Half-open intervals [start, end) of instants, as pairs; a set is a sorted, disjoint list."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

Interval = tuple[int, int]


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """The union of any intervals; those that overlap or touch become one, empty ones vanish."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def intersect(left: Sequence[Interval], right: Sequence[Interval]) -> list[Interval]:
    """The intersection of two sets; intervals that touch in either are not joined."""
    shared: list[Interval] = []
    i = j = 0
    while i < len(left) and j < len(right):
        start, end = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if start < end:
            shared.append((start, end))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return shared


def covers(intervals: Sequence[Interval], interval: Interval) -> bool:
    """Whether one interval of a set contains all of an interval."""
    touched = overlapping(intervals, interval)
    return any(start <= interval[0] and interval[1] <= end for start, end in touched)


def overlapping(intervals: Sequence[Interval], within: Interval) -> Sequence[Interval]:
    """The intervals of a set that overlap an interval."""
    low = bisect_right(intervals, within[0], key=lambda interval: interval[1])
    return intervals[low : bisect_left(intervals, (within[1],), low)]
