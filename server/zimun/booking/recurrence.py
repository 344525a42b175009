"""Recurrence rules (RFC 5545, 3.3.10) to intervals.

What recurs is the wall time of a zone: the start and the end of each occurrence show the
same times of day, whatever the zone's offset then is.
"""

import re
from calendar import isleap, monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.errors import InvalidRequest
from zimun.domain.instant import from_datetime, to_datetime
from zimun.domain.intervals import Interval

FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")

PARTS = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "WKST")
"""The parts that a rule may have."""

MAX_OCCURRENCES = 1000

MAX_SPAN = timedelta(days=5 * 366)
"""The last occurrence starts at most this much later than the first."""

MAX_INTERVAL = 1000

MAX_YEAR = 9980
"""The last year in which a recurrence may begin: `datetime` ends with 9999."""

_UNTIL = {8: "%Y%m%d", 15: "%Y%m%dT%H%M%S", 16: "%Y%m%dT%H%M%SZ"}
"""Forms of UNTIL by their length: a date, wall time, and UTC."""

_DAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)")

_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

Parts = Mapping[str, str]
"""The values of a rule's parts by their names."""


def with_occurrences(time_off: TimeOff, catalog: Catalog, zone_before: str = "") -> TimeOff:
    """Time off with its time zone and the occurrences of its recurrence; raises InvalidRequest.

    `zone_before` is the time zone of time off that recurs no longer.
    """
    if not time_off.recurrence:
        if time_off.time_zone not in ("", zone_before):
            raise InvalidRequest({"time_zone": "is only of time off that recurs"})
        return replace(time_off, time_zone="", occurrences=())
    zone = time_off.time_zone or _zone_of(catalog, time_off.owner_id)
    first = time_off.start, time_off.end
    try:
        recurring = occurrences(time_off.recurrence, first, zone)
    except ValueError as error:
        raise InvalidRequest({"recurrence": str(error)}) from error
    return replace(time_off, time_zone=zone, occurrences=recurring)


def _zone_of(catalog: Catalog, owner_id: str) -> str:
    """The time zone of an owner; that of a resource is its location's."""
    resource = catalog.resources.get(owner_id)
    where = resource.location_id if resource else owner_id
    owner = catalog.staff.get(where) or catalog.locations.get(where)
    return (owner or catalog.organization).time_zone


def occurrences(rule: str, first: Interval, zone: str) -> tuple[Interval, ...]:
    """The intervals that recur by a rule, in order; `first` is the first of them.

    Raises ValueError, whose text says what the rule must be.
    """
    parts = _parts(rule)
    start, end = (_wall(instant, zone) for instant in first)
    if start.year > MAX_YEAR:
        raise ValueError(f"must begin in the year {MAX_YEAR} or before")
    starts = list(_starts(parts, start, zone))
    if len(starts) > MAX_OCCURRENCES:
        raise ValueError(f"must have at most {MAX_OCCURRENCES} occurrences")
    if len(starts) < int(parts.get("COUNT", 0)):
        raise ValueError(f"must end within {MAX_SPAN.days} days of start_time")
    lengths = end - start, first[1] - first[0]
    return first, *(_occurrence(one, *lengths, zone) for one in starts[1:])


def _occurrence(start: datetime, on_clock: timedelta, length: int, zone: str) -> Interval:
    """The occurrence that starts at a wall time and ends so long after it on the clock; where
    that is no later, it has the `length` of the first (RFC 5545, section 3.8.5.3)."""
    begin, end = _instant(start, zone), _instant(start + on_clock, zone)
    return begin, end if begin < end else begin + length


def _parts(rule: str) -> Parts:
    """The parts of a rule; raises ValueError."""
    parts: dict[str, str] = {}
    for part in rule.split(";"):
        name, _, value = part.partition("=")
        if name not in PARTS or not value or name in parts:
            raise ValueError(f"must have each of {', '.join(PARTS)} once at the most, nothing else")
        parts[name] = value
    if parts.get("FREQ") not in FREQUENCIES:
        raise ValueError(f"must have a FREQ of {', '.join(FREQUENCIES)}")
    if ("COUNT" in parts) == ("UNTIL" in parts):
        raise ValueError("must have either COUNT or UNTIL")
    for name, most in (("INTERVAL", MAX_INTERVAL), ("COUNT", MAX_OCCURRENCES)):
        if not 1 <= _number(parts.get(name, "1")) <= most:
            raise ValueError(f"must have {name} of 1 to {most}")
    return parts


def _number(text: str) -> int:
    """A whole number of a few digits; 0 for another text."""
    return int(text) if re.fullmatch("[+-]?[0-9]{1,4}", text, re.ASCII) else 0


def _starts(parts: Parts, start: datetime, zone: str) -> Iterator[datetime]:
    """The wall times at which it recurs, at most one more than there may be.

    All dates of MAX_SPAN are looked at: a search for the next of a rule that has few might not
    end before the year 9999.
    """
    limit = start + MAX_SPAN
    if "UNTIL" in parts:
        limit, most = _until(parts["UNTIL"], zone), limit
        if limit > most:
            raise ValueError(f"must end within {MAX_SPAN.days} days of start_time")
    rule = _read(parts, start.date())
    if not rule.matches(start) or limit < start:
        raise ValueError("must have an occurrence at start_time")
    times = (start + timedelta(days) for days in range((limit - start).days + 1))
    count = int(parts.get("COUNT", MAX_OCCURRENCES + 1))
    return islice(filter(rule.matches, times), count)


def _until(text: str, zone: str) -> datetime:
    """The last wall time at which an occurrence may start; raises ValueError."""
    try:
        until = datetime.strptime(text, _UNTIL[len(text)])
    except (KeyError, ValueError):
        raise ValueError("must have an UNTIL such as 20261231T170000Z") from None
    if until.year > MAX_YEAR + 5 or until.year < 2:
        raise ValueError(f"must have an UNTIL before the year {MAX_YEAR + 6}")
    if text.endswith("Z"):
        return until.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return until if "T" in text else until + timedelta(days=1, microseconds=-1)


@dataclass(frozen=True, slots=True)
class _Rule:
    """The dates of a rule that begins on `first`; parts that it does not have are empty.

    `weekdays` are numbers of weeks, 0 for all, each with a weekday, Monday being 0.
    """

    first: date
    frequency: str
    interval: int
    months: Sequence[int]
    month_days: Sequence[int]
    weekdays: Sequence[tuple[int, int]]
    week_start: int

    def matches(self, day: date) -> bool:
        """Whether a date is one of the rule's."""
        return (
            (not self.months or day.month in self.months)
            and (not self.month_days or self._is_month_day(day))
            and (
                not self.weekdays
                or any(self._is_weekday(day, *weekday) for weekday in self.weekdays)
            )
            and (self._period(day) - self._period(self.first)) % self.interval == 0
        )

    def _is_month_day(self, day: date) -> bool:
        from_end = day.day - 1 - monthrange(day.year, day.month)[1]
        return day.day in self.month_days or from_end in self.month_days

    def _is_weekday(self, day: date, number: int, weekday: int) -> bool:
        if day.weekday() != weekday:
            return False
        if number == 0:
            return True
        position, length = day.day, monthrange(day.year, day.month)[1]
        if self.frequency == "YEARLY" and not self.months:
            position, length = day.timetuple().tm_yday, 366 if isleap(day.year) else 365
        return number in ((position - 1) // 7 + 1, -((length - position) // 7 + 1))

    def _period(self, day: date) -> int:
        """The number of the day, week, month or year of a date."""
        if self.frequency == "MONTHLY":
            return day.year * 12 + day.month
        if self.frequency == "YEARLY":
            return day.year
        number = day.toordinal()
        return number if self.frequency == "DAILY" else (number - 1 - self.week_start) // 7


def _read(parts: Parts, first: date) -> _Rule:
    """The rule of some parts; raises ValueError.

    What a rule does not say is as on its first date.
    """
    months = _numbers(parts, "BYMONTH", 1, 12)
    month_days = _numbers(parts, "BYMONTHDAY", -31, 31)
    weekdays = _weekdays(parts)
    frequency = parts["FREQ"]
    if not month_days and not weekdays and frequency == "WEEKLY":
        weekdays = [(0, first.weekday())]
    elif not month_days and not weekdays and frequency != "DAILY":
        month_days = [first.day]
        months = months if months or frequency == "MONTHLY" else [first.month]
    interval, week_start = int(parts.get("INTERVAL", 1)), parts.get("WKST", "MO")
    if week_start not in _WEEKDAYS:
        raise ValueError(f"must have a WKST of {', '.join(_WEEKDAYS)}")
    number = _WEEKDAYS.index(week_start)
    return _Rule(first, frequency, interval, months, month_days, weekdays, number)


def _numbers(parts: Parts, name: str, least: int, most: int) -> Sequence[int]:
    """The numbers of a part, none of which is 0; raises ValueError."""
    numbers = [_number(text) for text in parts[name].split(",")] if name in parts else []
    if not all(number and least <= number <= most for number in numbers):
        raise ValueError(f"must have a {name} of {least} to {most}")
    return numbers


def _weekdays(parts: Parts) -> Sequence[tuple[int, int]]:
    """Numbers and weekdays of BYDAY; raises ValueError."""
    texts = parts["BYDAY"].split(",") if "BYDAY" in parts else []
    found = [match for text in texts if (match := _DAY.fullmatch(text))]
    weekdays = [(int(one[1] or 0), _WEEKDAYS.index(one[2])) for one in found]
    if len(weekdays) < len(texts) or any(one[1] and not 0 < abs(int(one[1])) < 54 for one in found):
        raise ValueError("must have a BYDAY such as MO,TU or -1FR")
    if parts["FREQ"] not in ("MONTHLY", "YEARLY") and any(number for number, _ in weekdays):
        raise ValueError("must have a FREQ of MONTHLY or YEARLY where BYDAY counts weeks")
    return weekdays


def _wall(instant: int, zone: str) -> datetime:
    """What the wall clock of a zone shows."""
    return to_datetime(instant).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def _instant(wall: datetime, zone: str) -> int:
    """The instant of a wall time: the first of two; in a gap that of the offset before it."""
    return from_datetime(wall.replace(tzinfo=ZoneInfo(zone)))
