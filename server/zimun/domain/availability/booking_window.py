"""The booking window: the time from lead time to horizon, in which starts can be booked."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from zimun.domain.catalog.entries import Service
from zimun.domain.ignored_rules import BookingRule, IgnoredRules
from zimun.domain.instant import DAY, SECOND
from zimun.domain.intervals import Interval

LAST_START = 253_370_764_800 * SECOND - 1
"""The latest start where the horizon is ignored: the last instant of the year 9998."""

_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class BookingWindow:
    """The instants from `earliest` to `latest`, both included."""

    earliest: int
    latest: int

    @classmethod
    def of(cls, service: Service, now: int, ignored: IgnoredRules) -> "BookingWindow":
        """The booking window of a service as of an instant, without the ignored rules."""
        earliest = now if BookingRule.LEAD_TIME in ignored else now + service.lead_time
        latest = LAST_START if BookingRule.HORIZON in ignored else now + service.horizon
        return cls(earliest, latest)

    def __contains__(self, start: int) -> bool:
        return self.earliest <= start <= self.latest

    def clip(self, interval: Interval) -> Interval:
        """The part of an interval within the window; it ends before it begins for none."""
        return max(interval[0], self.earliest), min(interval[1], self.latest + 1)

    def dates(self, first: date, last: date) -> tuple[date, date]:
        """The dates of any zone that can have a start within the window; last before first for
        none."""
        # The date of a zone differs from that of UTC by one at most.
        earliest = date.fromordinal(_EPOCH + self.earliest // DAY - 1)
        latest = date.fromordinal(_EPOCH + self.latest // DAY + 1)
        return max(first, earliest), min(last, latest)

    def positions(self, starts: Sequence[int]) -> range:
        """The positions of those of some sorted starts that are within the window."""
        return range(bisect_left(starts, self.earliest), bisect_right(starts, self.latest))
