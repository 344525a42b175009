"""Local hours to open time, exact through every change of a zone's offset.

The one rule: an instant is open on a date exactly when the wall clock of the
zone shows that date and a time within the date's hours. So an hour that a
spring change skips is never open, an hour that an autumn change repeats is open
twice, and a date that a zone skipped has no open time at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Place, Service, StaffMember
from zimun.domain.catalog.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from zimun.domain.catalog.weekly_hours import Hours, WeeklyHours, week_on
from zimun.domain.instant import DAY, MINUTE, SECOND, to_datetime, wall_microseconds
from zimun.domain.intervals import Interval, intersect, merge

ALL_DAY: Hours = ((0, 24 * 60),)


class DayStatus(StrEnum):
    """The status of a date at a place."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"
    HOLIDAY = "HOLIDAY"


@dataclass(frozen=True, slots=True)
class Day:
    """A date of a place: its status, the note of its override or holiday, and its hours."""

    date: date
    status: DayStatus
    note: str
    hours: Hours


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of UTC, [start, end), in which a wall clock shows one date at one offset."""

    start: int
    end: int
    offset: int


def is_zone(name: str) -> bool:
    """Whether this is the name of an IANA time zone."""
    return name in _zones()


NOT_ZONES = frozenset({"Factory", "localtime", "posixrules"})
"""Files beside the zones: a placeholder for none, and what this machine is set to."""


@cache
def _zones() -> set[str]:
    return available_timezones() - NOT_ZONES


def local_date(zone: str, instant: int) -> date:
    """The date that the zone's wall clock shows."""
    return to_datetime(instant).astimezone(ZoneInfo(zone)).date()


def local_rfc3339(zone: str, instant: int) -> str:
    """Wall time with its offset (RFC 3339 section 5.6), e.g. 2026-02-20T10:00:00+01:00."""
    offset = _day_offset(zone, instant // DAY)
    if offset is None or instant % SECOND:
        return to_datetime(instant).astimezone(ZoneInfo(zone)).isoformat()
    days, seconds = divmod((instant + offset[0]) // SECOND, DAY // SECOND)
    return _date_text(days) + _time_text(seconds) + offset[1]


@lru_cache(maxsize=1 << 14)
def _day_offset(zone: str, number: int) -> tuple[int, str] | None:
    """The offset on a day of UTC since 1970, and as text; None where it changes."""
    first, last = (
        to_datetime(instant).astimezone(ZoneInfo(zone))
        for instant in (number * DAY, (number + 1) * DAY - SECOND)
    )
    if first.utcoffset() != last.utcoffset():
        return None
    return _offset(zone, number * DAY), first.isoformat()[19:]


@lru_cache(maxsize=1 << 12)
def _date_text(days: int) -> str:
    return date.fromordinal(_EPOCH + days).isoformat()


@lru_cache(maxsize=1 << 12)
def _time_text(seconds: int) -> str:
    minutes, second = divmod(seconds, 60)
    return f"T{minutes // 60:02}:{minutes % 60:02}:{second:02}"


_EPOCH = date(1970, 1, 1).toordinal()


def time_of_day(minutes: int) -> str:
    """Minutes since midnight as HH:MM; 1440 is 24:00."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


def dates(first: date, last: date) -> Iterator[date]:
    """Every date from first to last, both included."""
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


def midnight(day: date) -> int:
    """The date's 00:00 in wall microseconds."""
    return wall_microseconds(datetime.combine(day, time.min))


@lru_cache(maxsize=1 << 14)
def segments(zone: str, day: date) -> tuple[Segment, ...]:
    """Where the zone's wall clock shows the date, in order of UTC.

    One segment on most dates, two around a change of offset, none for a date
    that the zone skipped (Pacific/Apia, 2011-12-30).
    """
    wall = midnight(day)
    shown = (
        Segment(max(start, wall - offset), min(end, wall + DAY - offset), offset)
        for start, end, offset in _constant_offsets(zone, wall - DAY, wall + 2 * DAY)
    )
    return tuple(segment for segment in shown if segment.start < segment.end)


@lru_cache(maxsize=1 << 14)
def is_shown_early(zone: str, day: date) -> bool:
    """Whether the zone's wall clock shows the date before it last shows the date before.

    So it is where a clock is set back over midnight (St John's, until 2010).
    """
    before, shown = segments(zone, day - timedelta(days=1)), segments(zone, day)
    return bool(before and shown and shown[0].start < before[-1].end)


def _constant_offsets(zone: str, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Cut [start, end), whole days of UTC, where the zone's offset changes.

    Offsets are compared day by day; since 1970 no zone has changed twice within a week.
    """
    begin = start
    for day in range(start, end, DAY):
        offset, next_offset = _offset(zone, day), _offset(zone, day + DAY)
        if offset != next_offset:
            change = _change(ZoneInfo(zone), day, day + DAY)
            yield begin, change, offset
            begin = change
    yield begin, end, _offset(zone, end)


def _change(zone: ZoneInfo, before: int, after: int) -> int:
    """The first whole second at which the offset is that of `after`."""
    first = _utc_offset(zone, before)
    while after - before > SECOND:
        middle = (before + after) // (2 * SECOND) * SECOND
        if _utc_offset(zone, middle) == first:
            before = middle
        else:
            after = middle
    return after


@lru_cache(maxsize=1 << 14)
def _offset(zone: str, instant: int) -> int:
    return _utc_offset(ZoneInfo(zone), instant)


def _utc_offset(zone: ZoneInfo, instant: int) -> int:
    moment = to_datetime(instant)
    wall = moment.astimezone(zone).replace(tzinfo=UTC)
    return (wall - moment) // timedelta(microseconds=1)


def open_time(zone: str, day: date, hours: Hours) -> list[Interval]:
    """The UTC intervals in which the wall clock shows the date and a time within its hours."""
    wall = midnight(day)
    return merge(
        (
            max(segment.start, wall + start * MINUTE - segment.offset),
            min(segment.end, wall + end * MINUTE - segment.offset),
        )
        for segment in segments(zone, day)
        for start, end in hours
    )


def place_day(catalog: Catalog, place: Place, day: date) -> Day:
    """The status and the hours of a date at a place; a date that its zone skipped is closed,
    and so is every date of a location that is not active.

    The first of these that is set decides: the location's override, the organization's
    override, a public holiday, the location's week, the organization's week;
    where none is, the place is open all day.
    """
    if not segments(place.time_zone, day):
        return Day(day, DayStatus.CLOSED, f"{place.time_zone} skipped this date", ())
    if place.id and not catalog.locations[place.id].active:
        return Day(day, DayStatus.CLOSED, "this location cannot be booked now", ())
    override = catalog.overrides.get((place.id, day)) or catalog.overrides.get(
        (catalog.organization.id, day)
    )
    if override:
        return _open_day(place, day, override.note, override.hours)
    if holiday := catalog.holiday(_place_calendar(catalog, place), day):
        return Day(day, DayStatus.HOLIDAY, holiday, ())
    return _open_day(place, day, "", weekly(_place_week(catalog, place, day), day.weekday()))


def service_hours(service: Service, day: date) -> Hours:
    """A service's own hours; all day where its week of the date has none."""
    week = week_on(service, day)
    return weekly(week, day.weekday()) if week else ALL_DAY


def service_day(service: Service, place: Place, day: Day) -> Day:
    """The status and the hours of a date for a service: open within the hours of both."""
    if not service.has_hours or not day.hours:
        return day
    shared = intersect(merge(day.hours), merge(service_hours(service, day.date)))
    return _open_day(place, day.date, day.note, tuple(shared))


def _open_day(place: Place, day: date, note: str, hours: Hours) -> Day:
    """A date with these hours; closed where its clock shows none of them."""
    if not open_time(place.time_zone, day, hours):
        return Day(day, DayStatus.CLOSED, note, ())
    return Day(day, DayStatus.OPEN, note, hours)


def _place_week(catalog: Catalog, place: Place, day: date) -> WeeklyHours:
    own = week_on(catalog.locations[place.id], day) if place.id else {}
    return own or week_on(catalog.organization, day) or dict.fromkeys(range(7), ALL_DAY)


def _place_calendar(catalog: Catalog, place: Place) -> HolidayCalendar:
    location = catalog.locations[place.id] if place.id else None
    if not location or not location.holiday_region:
        organization = catalog.organization
        return HolidayCalendar(organization.holiday_region, organization.holiday_categories)
    if location.holiday_region == NO_HOLIDAYS:
        return HolidayCalendar()
    return HolidayCalendar(location.holiday_region, location.holiday_categories)


def staff_hours(catalog: Catalog, member: StaffMember, day: date) -> Hours:
    """A staff member's hours: their override of the date, else their week."""
    if override := catalog.overrides.get((member.id, day)):
        return override.hours
    return weekly(week_on(member, day), day.weekday())


def weekly(week: WeeklyHours, weekday: int) -> Hours:
    """The hours of a weekday (date.weekday; 7 is Monday again); none where it is not named."""
    return week.get(weekday % 7, ())
