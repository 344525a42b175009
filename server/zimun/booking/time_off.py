"""Time off: the use cases of TimeOffService."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import NamedTuple

from zimun.booking.catalog import Key, chosen_id, page_of, revise
from zimun.booking.catalog_changes import catalog_decision
from zimun.booking.reader import Reader
from zimun.booking.recurrence import with_occurrences
from zimun.domain import catalog_validation
from zimun.domain.availability.timetable import Timetable
from zimun.domain.booking_errors import TimeOffHasConflicts
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.commands import Decision
from zimun.domain.errors import EtagMismatch, IdTaken, TimeOffNotFound
from zimun.domain.identity import Caller
from zimun.domain.intervals import Interval
from zimun.domain.ledger.events import TimeOffDeleted
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.time_off_conflicts import Conflicts, conflicts_of


class ChangedTimeOff(NamedTuple):
    """Time off after a change, and the bookings that it overlaps."""

    time_off: TimeOff
    conflicts: Conflicts = Conflicts()


@dataclass(frozen=True, slots=True)
class TimeOffFilter:
    """Which time off to list: what overlaps an interval; empty and None mean any."""

    owner_id: str = ""
    external_reference: str = ""
    after: int | None = None
    before: int | None = None

    def matches(self, time_off: TimeOff) -> bool:
        """Whether it is to be listed."""
        return (
            self.owner_id in ("", time_off.owner_id)
            and self.external_reference in ("", time_off.external_reference)
            and self._overlaps(time_off.intervals)
        )

    def _overlaps(self, intervals: Sequence[Interval]) -> bool:
        """Whether one of some intervals, which are in order, overlaps that of the filter."""
        begin = 0 if self.after is None else bisect_right(intervals, self.after, key=itemgetter(1))
        return begin < len(intervals) and (self.before is None or intervals[begin][0] < self.before)


async def list_time_off(
    reader: Reader, caller: Caller, criteria: TimeOffFilter, size: int, after: Key | None
) -> tuple[Sequence[TimeOff], Key | None]:
    """A page of time off by its start."""
    catalog = await reader.catalog(caller.org_id)
    matching = sorted(filter(criteria.matches, catalog.time_off.values()), key=key_of)
    return page_of(matching, key_of, size, after)


def key_of(time_off: TimeOff) -> Key:
    """The key of time off in its list, after which the next page begins."""
    return time_off.start, time_off.id


async def get_time_off(reader: Reader, caller: Caller, time_off_id: str) -> TimeOff:
    """One time off; raises TimeOffNotFound."""
    return _existing(await reader.catalog(caller.org_id), time_off_id)


def _existing(catalog: Catalog, time_off_id: str) -> TimeOff:
    if time_off := catalog.time_off.get(time_off_id):
        return time_off
    raise TimeOffNotFound(time_off_id)


@dataclass(frozen=True, slots=True)
class CreateTimeOff:
    """Create time off; the caller may choose its id."""

    time_off: TimeOff
    allow_conflicts: bool

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises InvalidRequest, IdTaken, TimeOffHasConflicts, CatalogLimitReached, NotLoaded."""
        catalog, time_off_id = timetable.catalog, chosen_id(TimeOff, self.time_off.id)
        new = replace(self.time_off, id=time_off_id, create_time=now, update_time=now)
        catalog_validation.check(new, catalog)
        new = with_occurrences(new, catalog)
        if new.id in catalog.time_off:
            raise IdTaken(new.id)
        conflicts = conflicts_of(ledger, catalog, new, now)
        return _decision(catalog, client_id, new, conflicts, self.allow_conflicts)


@dataclass(frozen=True, slots=True)
class UpdateTimeOff:
    """Change time off as `edit` does; `etag`, where given, must be the present one."""

    time_off_id: str
    etag: str
    edit: Callable[[TimeOff], TimeOff]
    allow_conflicts: bool

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises TimeOffNotFound, EtagMismatch, and as `CreateTimeOff`."""
        catalog = timetable.catalog
        before = _existing(catalog, self.time_off_id)
        _require_etag(before, self.etag)
        edited = self.edit(before)
        catalog_validation.check(edited, catalog)
        after = revise(before, with_occurrences(edited, catalog, before.time_zone), now)
        if after is before:
            return Decision((), ChangedTimeOff(before))
        conflicts = conflicts_of(ledger, catalog, after, now, before)
        return _decision(catalog, client_id, after, conflicts, self.allow_conflicts)


def _decision(
    catalog: Catalog,
    client_id: str,
    time_off: TimeOff,
    conflicts: Conflicts,
    allow_conflicts: bool,
) -> Decision:
    if conflicts.total and not allow_conflicts:
        raise TimeOffHasConflicts(time_off.owner_id, conflicts.reservations, conflicts.total)
    changed = ChangedTimeOff(time_off, conflicts)
    return catalog_decision(catalog, client_id, [time_off], changed)


@dataclass(frozen=True, slots=True)
class DeleteTimeOff:
    """Delete time off; `etag`, where given, must be the present one."""

    time_off_id: str
    etag: str

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises TimeOffNotFound or EtagMismatch."""
        before = _existing(timetable.catalog, self.time_off_id)
        _require_etag(before, self.etag)
        deleted = TimeOffDeleted(before.id)
        return catalog_decision(timetable.catalog, client_id, [deleted], None)


def _require_etag(time_off: TimeOff, etag: str) -> None:
    if etag and etag != time_off.etag:
        raise EtagMismatch("time_off_id", time_off.id)
