"""The dates that a zone's wall clock shows within an interval, and ranges of them."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from zimun.domain.availability.opening_hours import (
    dates,
    is_shown_early,
    local_date,
    midnight,
    segments,
)
from zimun.domain.catalog.weekly_hours import Hours
from zimun.domain.instant import HOUR, MINUTE
from zimun.domain.intervals import Interval, merge

MAX_SET_BACK = 4 * HOUR
"""The most by which a clock is set back at once: none was set back so far since 1970."""


MAX_RANGE_DAYS = 8
"""The most dates of one DateRangeGrid."""


class ZoneDates(NamedTuple):
    """The dates around an opening, and when the wall clock shows them, relative to its beginning.

    `shown` has for each segment the number of its date, begin and end, and the
    midnight from which its wall time counts.
    """

    weekday: int
    days: int
    shown: tuple[tuple[int, int, int, int], ...]

    def open(self, hours: Sequence[Hours]) -> list[Interval]:
        """The open time, given the hours of each of the dates."""
        return merge(
            (max(begin, midnight + opens * MINUTE), min(end, midnight + closes * MINUTE))
            for n, begin, end, midnight in self.shown
            for opens, closes in hours[n]
        )


def dates_touching(zone: str, interval: Interval) -> Iterator[date]:
    """The dates that a wall clock may show within an interval.

    A little more on both sides: where a clock was set back over midnight (St
    John's, until 2010), tomorrow's date had a minute before the rest of today.
    """
    return dates(
        local_date(zone, interval[0] - MAX_SET_BACK), local_date(zone, interval[1] + MAX_SET_BACK)
    )


def date_ranges(zone: str, first: date, last: date) -> Iterator[tuple[date, date]]:
    """Cut the dates from first to last into ranges, in order, that a DateRangeGrid can hold.

    Ranges begin at the same dates for every request, so that requests share them, and a
    range ends before a date that the zone's clock shows early (`is_shown_early`).
    """
    while first <= last:
        days = min(MAX_RANGE_DAYS - first.toordinal() % MAX_RANGE_DAYS, (last - first).days + 1)
        for n in range(1, days):
            if is_shown_early(zone, first + timedelta(days=n)):
                days = n
                break
        end = first + timedelta(days=days - 1)
        yield first, end
        first = end + timedelta(days=1)


def zone_dates(zone: str, days: Sequence[date], origin: int) -> ZoneDates:
    """Some consecutive dates of a zone, at times relative to an instant."""
    shown = tuple(
        (n, segment.start - origin, segment.end - origin, midnight(day) - segment.offset - origin)
        for n, day in enumerate(days)
        for segment in segments(zone, day)
    )
    return ZoneDates(days[0].weekday(), len(days), shown)
