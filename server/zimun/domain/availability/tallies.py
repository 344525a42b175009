"""Tallies: the bookings that count for each limit, and where no other may begin.

A staff member, a resource and a service count sessions, a customer appointments. What is
cancelled, released or expired does not count.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

from zimun.domain.availability.opening_hours import dates, local_date, segments
from zimun.domain.availability.zone_dates import dates_touching
from zimun.domain.booking_errors import LimitReached
from zimun.domain.catalog.booking_limit import (
    AppliedLimit,
    BookingLimit,
    LimitPeriod,
    LimitSubject,
)
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Service
from zimun.domain.instant import DAY
from zimun.domain.intervals import Interval, merge
from zimun.domain.ledger.events import FOREVER
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import Needs, NotLoaded
from zimun.domain.ledger.reservation import Reservation, contact_key

LIMIT_REACH = 2 * DAY
"""How far around an interval bookings count towards the daily limits of its dates, in any zone."""


class Tally(NamedTuple):
    """The bookings that count for a limit: their starts in order, on the dates of a zone."""

    applied: AppliedLimit
    zone: str
    starts: Sequence[int]

    def full(self, within: Interval) -> Iterator[Interval]:
        """The time, as far as it touches an interval, in which the limit is reached."""
        limit = self.applied.limit
        if len(self.starts) < limit.max_bookings:
            return
        if limit.period is LimitPeriod.UPCOMING:
            yield within[0], within[1] + 1
            return
        for time in periods(self.zone, limit.period, within):
            if self._count(time) >= limit.max_bookings:
                yield from time

    def ends(self, start: int) -> int:
        """The end of the period in which the limit is reached at `start`; 0 where it is not.

        For UPCOMING it is the start of the booking after which another may be made.
        """
        limit = self.applied.limit
        if limit.period is LimitPeriod.UPCOMING:
            reached = len(self.starts) >= limit.max_bookings
            return self.starts[-limit.max_bookings] if reached else 0
        first = _first(limit.period, local_date(self.zone, start))
        time = _time(self.zone, limit.period, first)
        return time[-1][1] if self._count(time) >= limit.max_bookings else 0

    def _count(self, time: Sequence[Interval]) -> int:
        starts = self.starts
        return sum(bisect_left(starts, end) - bisect_left(starts, begin) for begin, end in time)


class Tallies(NamedTuple):
    """Tallies by subject; none of them ends by itself before `stands_until`."""

    by_subject: Mapping[str, Sequence[Tally]]
    stands_until: int


def count(
    ledger: Ledger,
    catalog: Catalog,
    service: Service,
    location_id: str,
    within: Interval,
    now: int,
    vacated: str = "",
    moving: Reservation | None = None,
) -> Tallies:
    """The tallies of a service at a location, for bookings that begin within an interval.

    The session `vacated` (an id; empty: none) does not count. Limits of a customer apply to the
    contact of the appointment `moving`, which does not count itself. Raises NotLoaded.
    """
    counter = _Counter(ledger, catalog, service, location_id, within, now, vacated, moving)
    tallies: dict[str, list[Tally]] = {}
    for applied in catalog.demand(service, location_id).limits:
        try:
            tally = counter.tally(applied)
        except NotLoaded as lacking:
            counter.needs |= lacking.needs
            continue
        if tally.starts:
            tallies.setdefault(applied.subject_id, []).append(tally)
    if counter.needs:
        raise NotLoaded(counter.needs)
    return Tallies(tallies, counter.stands_until)


def check_customer(ledger: Ledger, catalog: Catalog, appointment: Reservation, now: int) -> None:
    """Raise LimitReached where a limit forbids the contact of an appointment another booking; or
    NotLoaded."""
    service = catalog.entry(Service, appointment.service_id)
    location_id, start = appointment.location_id, appointment.start
    within = (start, start + 1)
    counter = _Counter(ledger, catalog, service, location_id, within, now, "", appointment)
    for applied in catalog.demand(service, location_id).limits:
        if applied.limit.per is not LimitSubject.CUSTOMER:
            continue
        if ends := counter.tally(applied).ends(start):
            raise LimitReached(applied, limit_text("this customer", applied.limit), ends)


def limit_text(name: str, limit: BookingLimit) -> str:
    """The message that a limit is reached."""
    number = f"{limit.max_bookings} booking{'s' if limit.max_bookings > 1 else ''}"
    if limit.period is LimitPeriod.UPCOMING:
        return f"{name} may have {number} to come, and has them"
    period = limit.period.value.lower()
    return f"{name} may have {number} in a {period}, and has them in this one"


@dataclass(slots=True)
class _Counter:
    """Counts the bookings for the limits of one service at one place."""

    ledger: Ledger
    catalog: Catalog
    service: Service
    location_id: str
    within: Interval
    now: int
    vacated: str
    moving: Reservation | None
    needs: Needs = field(default_factory=Needs)
    stands_until: int = FOREVER

    def tally(self, applied: AppliedLimit) -> Tally:
        """The tally of a limit; raises NotLoaded, or adds to `needs`."""
        zone = self._zone(applied)
        upcoming = applied.limit.period is LimitPeriod.UPCOMING
        if upcoming:
            within = (self.now + 1, FOREVER)
        elif applied.limit.period is LimitPeriod.DAY:
            within = (self.within[0] - LIMIT_REACH, self.within[1] + LIMIT_REACH)
        else:
            times = [*periods(zone, applied.limit.period, self.within)]
            within = (times[0][0][0], times[-1][-1][1]) if times else (0, 0)
        starts = sorted(start for start in self._starts(applied, within) if start >= within[0])
        if upcoming and starts:
            self.stands_until = min(self.stands_until, starts[0])
        return Tally(applied, zone, starts)

    def _zone(self, applied: AppliedLimit) -> str:
        """The zone whose dates count: a staff member's own, else that of the place."""
        of_staff = applied.limit.per is LimitSubject.STAFF_MEMBER
        member = self.catalog.staff.get(applied.subject_id) if of_staff else None
        if member:
            return member.time_zone
        return self.catalog.place_of(self.location_id).time_zone

    def _starts(self, applied: AppliedLimit, within: Interval) -> Iterator[int]:
        per, subject_id = applied.limit.per, applied.subject_id
        if per is LimitSubject.CUSTOMER:
            yield from self._of_customer(applied)
        elif per is LimitSubject.SERVICE or applied.owner_id == self.service.id:
            yield from self._of_service(per, subject_id, within)
        else:
            yield from self._of_subject(subject_id, within)

    def _of_subject(self, subject_id: str, within: Interval) -> Iterator[int]:
        """The starts of all sessions that take a staff member or a resource."""
        for _, allocations in self.ledger.lookup((subject_id,), within, self.needs):
            for _, _, until, start, session_id in allocations:
                if until > self.now and session_id != self.vacated:
                    self.stands_until = min(self.stands_until, until)
                    yield start

    def _of_service(self, per: LimitSubject, subject_id: str, within: Interval) -> Iterator[int]:
        """The starts of the service's own sessions: those of a subject or (per service) all."""
        for session in self.ledger.sessions_of(self.service.id, within):
            subjects = (session.staff_id, *session.resource_ids)
            if per is not LimitSubject.SERVICE and subject_id not in subjects:
                continue
            if session.until > self.now and session.session_id != self.vacated:
                self.stands_until = min(self.stands_until, session.until)
                yield session.start

    def _of_customer(self, applied: AppliedLimit) -> Iterator[int]:
        """The starts of the other appointments of the contact for whom one is made or moved."""
        moving = self.moving
        if not moving or not moving.contact.email:
            return
        of_service = applied.owner_id == self.service.id
        for appointment in self.ledger.appointments_of(contact_key(moving.contact.email)):
            if appointment.hold_id != moving.hold_id and (
                not of_service or appointment.service_id == self.service.id
            ):
                yield appointment.start


def periods(zone: str, period: LimitPeriod, within: Interval) -> Iterator[tuple[Interval, ...]]:
    """The time of each day, week or month of a zone that an interval may touch, in order."""
    firsts = dict.fromkeys(_first(period, day) for day in dates_touching(zone, within))
    return (time for first in firsts if (time := _time(zone, period, first)))


def _first(period: LimitPeriod, day: date) -> date:
    """The first date of the period that a date belongs to."""
    if period is LimitPeriod.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period is LimitPeriod.MONTH else day


@lru_cache(maxsize=1 << 12)
def _time(zone: str, period: LimitPeriod, first: date) -> tuple[Interval, ...]:
    """When the wall clock shows a date of the period; nothing on a day that the zone skipped."""
    following = _first(period, first + timedelta(days=_LENGTHS[period]))
    shown = [
        (segment.start, segment.end)
        for day in dates(first, following - timedelta(days=1))
        for segment in segments(zone, day)
    ]
    return tuple(merge(shown))


_LENGTHS = {LimitPeriod.DAY: 1, LimitPeriod.WEEK: 7, LimitPeriod.MONTH: 31}
