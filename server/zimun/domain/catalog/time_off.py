"""Time off: when an owner takes no appointments, and which starts and dates that leaves.

An owner is a staff member, resource, location or the organization. Time off forbids the
appointments that overlap it; their buffers may lie in it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from zimun.domain.intervals import Interval, covers, merge, overlapping


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOff:
    """`f_…`: a stretch of time, [start, end), in which its owner takes no appointments.

    `external_reference` is its id in another system. With a `recurrence` (RFC 5545) it is the
    time of all `occurrences`, the first of which is [start, end); their wall times recur in
    `time_zone`.
    """

    owner_id: str
    start: int
    end: int
    note: str = ""
    external_reference: str = ""
    recurrence: str = ""
    time_zone: str = ""
    occurrences: tuple[Interval, ...] = ()
    id: str = ""
    create_time: int = 0
    update_time: int = 0
    revision: int = 1

    @property
    def etag(self) -> str:
        """Opaque to callers; another one after every change."""
        return f"{self.revision}"

    @property
    def intervals(self) -> Sequence[Interval]:
        """Its occurrences' intervals in order, or the one interval of time off without a rule."""
        return self.occurrences or ((self.start, self.end),)


Occurrence = tuple[Interval, TimeOff]
"""One interval of time off, and the time off itself."""


class OwnerTimeOff(NamedTuple):
    """The time off of an owner: its occurrences in order of start, and their union."""

    intervals: Sequence[Interval] = ()
    occurrences: Sequence[Occurrence] = ()

    def overlapping(self, interval: Interval) -> Sequence[Occurrence]:
        """The occurrences that overlap an interval, in order of start."""
        touched = overlapping(self.intervals, interval)
        if not touched:
            return ()
        # No occurrence that starts before an interval of the union reaches into it.
        low, before = (
            bisect_left(self.occurrences, start, key=lambda occurrence: occurrence[0][0])
            for start in (touched[0][0], interval[1])
        )
        return [
            occurrence
            for occurrence in self.occurrences[low:before]
            if occurrence[0][1] > interval[0]
        ]


def of_owner(occurrences: Iterable[Occurrence]) -> OwnerTimeOff:
    """The time off of an owner, from its occurrences in any order."""
    ordered = sorted(occurrences, key=lambda occurrence: (occurrence[0], occurrence[1].id))
    return OwnerTimeOff(merge(interval for interval, _ in ordered), ordered)


class TimeOffIndex(dict[str, OwnerTimeOff]):
    """The time off of each owner; empty for an owner without any."""

    def __init__(self, time_off: Iterable[TimeOff], org_id: str) -> None:
        by_owner: dict[str, list[Occurrence]] = {}
        for entry in time_off:
            occurrences = ((interval, entry) for interval in entry.intervals)
            by_owner.setdefault(entry.owner_id, []).extend(occurrences)
        super().__init__(
            {owner_id: of_owner(occurrences) for owner_id, occurrences in by_owner.items()}
        )
        self._org_id = org_id

    def __missing__(self, owner_id: str) -> OwnerTimeOff:
        return OwnerTimeOff()

    def of_place(self, location_id: str, within: Interval) -> OwnerTimeOff:
        """The time off of a place that overlaps an interval: of the organization and, where the
        place is one, of the location."""
        owners = self[self._org_id], self[location_id]
        return of_owner(one for owner in owners for one in owner.overlapping(within))


def closing_note(open_time: Sequence[Interval], time_off: OwnerTimeOff) -> str | None:
    """The note of the time off that covers all open time of a date; None where it does not."""
    if not open_time or not all(covers(time_off.intervals, interval) for interval in open_time):
        return None
    overlapping_time_off = time_off.overlapping((open_time[0][0], open_time[-1][1]))
    return next((entry.note for _, entry in overlapping_time_off if entry.note), "")
