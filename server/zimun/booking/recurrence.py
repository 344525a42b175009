"""Recurrence rules (RFC 5545, 3.3.10) to intervals, by `dateutil`.

What recurs is the wall time of a zone: the start and the end of each occurrence show the
same times of day, whatever the zone's offset then is.
"""

import re
from calendar import isleap, monthrange
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

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


def with_occurrences(time_off: TimeOff, catalog: Catalog) -> TimeOff:
    """Time off with its time zone and the occurrences of its recurrence; raises InvalidRequest."""
    if not time_off.recurrence:
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
    others = ((_instant(one, zone), _instant(one + (end - start), zone)) for one in starts[1:])
    return first, *(one for one in others if one[0] < one[1])


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
            raise ValueError(f"must have a {name} of 1 to {most}")
    return parts


def _number(text: str) -> int:
    """A whole number of a few digits; 0 for another text."""
    return int(text) if re.fullmatch("[+-]?[0-9]{1,4}", text, re.ASCII) else 0


def _starts(parts: Parts, start: datetime, zone: str) -> Iterator[datetime]:
    """The wall times at which it recurs, at most one more than there may be."""
    limit = start + MAX_SPAN
    if "UNTIL" in parts:
        limit, most = _until(parts["UNTIL"], zone), limit
        if limit > most:
            raise ValueError(f"must end within {MAX_SPAN.days} days of start_time")
    # Without it, a rule such as the 30th of February would be searched for to the end of time.
    if not _begins(parts, start) or limit < start:
        raise ValueError("must have an occurrence at start_time")
    text = ";".join(f"{name}={parts[name]}" for name in parts if name not in ("COUNT", "UNTIL"))
    fraction = timedelta(microseconds=start.microsecond)
    try:
        rule = rrulestr(text, dtstart=start - fraction).replace(until=limit)
    except (ValueError, KeyError, TypeError):
        raise ValueError("must be a rule as RFC 5545, section 3.3.10 has it") from None
    count = int(parts.get("COUNT", MAX_OCCURRENCES + 1))
    return (one + fraction for one in islice(rule, count))


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


def _begins(parts: Parts, start: datetime) -> bool:
    """Whether a start is among the times of its rule; raises ValueError for what is no rule."""
    length = monthrange(start.year, start.month)[1]
    months = [_number(one) for one in parts.get("BYMONTH", f"{start.month}").split(",")]
    days = [_number(one) for one in parts.get("BYMONTHDAY", f"{start.day}").split(",")]
    weekdays = parts.get("BYDAY", _WEEKDAYS[start.weekday()]).split(",")
    on_weekday = [_is_weekday(one, parts, start) for one in weekdays]
    on_month_day = not {start.day, start.day - length - 1}.isdisjoint(days)
    return start.month in months and on_month_day and any(on_weekday)


def _is_weekday(text: str, parts: Parts, start: datetime) -> bool:
    """Whether a start is on a day of BYDAY, such as MO, 2TU or -1FR."""
    match = _DAY.fullmatch(text)
    if not match:
        raise ValueError("must have a BYDAY such as MO,TU or -1FR")
    number, weekday = match.groups()
    if _WEEKDAYS[start.weekday()] != weekday:
        return False
    if number is None:
        return True
    if parts["FREQ"] not in ("MONTHLY", "YEARLY"):
        raise ValueError("must have a FREQ of MONTHLY or YEARLY where BYDAY counts weeks")
    day, length = start.day, monthrange(start.year, start.month)[1]
    if parts["FREQ"] == "YEARLY" and "BYMONTH" not in parts:
        day, length = start.timetuple().tm_yday, 366 if isleap(start.year) else 365
    return int(number) in ((day - 1) // 7 + 1, -((length - day) // 7 + 1))


def _wall(instant: int, zone: str) -> datetime:
    """What the wall clock of a zone shows."""
    return to_datetime(instant).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def _instant(wall: datetime, zone: str) -> int:
    """The instant of a wall time: the first of two; in a gap that of the offset before it."""
    return from_datetime(wall.replace(tzinfo=ZoneInfo(zone)))
