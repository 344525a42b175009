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

    `external_reference` is what another system calls it. With a `recurrence` (RFC 5545) it is
    that of its `occurrences` instead, the first being [start, end), whose wall times recur in
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
        """When it is, in order."""
        return self.occurrences or ((self.start, self.end),)


Entry = tuple[Interval, TimeOff]
"""An interval, and the time off that it is of."""


class OwnerTimeOff(NamedTuple):
    """The time off of some owner: `intervals` are its union, `entries` are in order of start."""

    intervals: Sequence[Interval] = ()
    entries: Sequence[Entry] = ()

    def overlapping(self, interval: Interval) -> Sequence[Entry]:
        """What overlaps an interval, in order of start."""
        if not overlapping(self.intervals, interval):
            return ()
        before = bisect_left(self.entries, interval[1], key=lambda entry: entry[0][0])
        return [entry for entry in self.entries[:before] if entry[0][1] > interval[0]]


def of_owner(entries: Iterable[Entry]) -> OwnerTimeOff:
    """The time off of an owner, from its entries in any order."""
    ordered = sorted(entries, key=lambda entry: (entry[0], entry[1].id))
    return OwnerTimeOff(merge(interval for interval, _ in ordered), ordered)


class TimeOffIndex(dict[str, OwnerTimeOff]):
    """The time off of each owner; empty for an owner without any."""

    def __init__(self, time_off: Iterable[TimeOff], org_id: str) -> None:
        entries: dict[str, list[Entry]] = {}
        for entry in time_off:
            entries.setdefault(entry.owner_id, []).extend((each, entry) for each in entry.intervals)
        super().__init__({owner_id: of_owner(some) for owner_id, some in entries.items()})
        self._org_id = org_id
        self._places: dict[str, OwnerTimeOff] = {}

    def __missing__(self, owner_id: str) -> OwnerTimeOff:
        return OwnerTimeOff()

    def of_place(self, location_id: str) -> OwnerTimeOff:
        """The time off of a place: of the organization and, where the place is one, of the
        location."""
        if location_id not in self:
            return self[self._org_id]
        if location_id not in self._places:
            both = [*self[self._org_id].entries, *self[location_id].entries]
            self._places[location_id] = of_owner(both)
        return self._places[location_id]


def closing_note(open_time: Sequence[Interval], time_off: OwnerTimeOff) -> str | None:
    """The note of the time off in which all open time of a date lies; None where some does not."""
    if not open_time or not all(covers(time_off.intervals, interval) for interval in open_time):
        return None
    entries = time_off.overlapping((open_time[0][0], open_time[-1][1]))
    return next((entry.note for _, entry in entries if entry.note), "")
