"""The rules of API.md once more: slow, obvious, and without a line of the domain's arithmetic.

Time is walked in ticks and every tick asks zoneinfo what the wall clock shows. What was worked out
of a tick or a date is remembered, as the next start asks for it again.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache, cached_property, lru_cache, partial
from itertools import product
from zoneinfo import ZoneInfo

from zimun.domain.availability.slots import Session
from zimun.domain.catalog.booking_limit import CUSTOMER_SUBJECT, AppliedLimit, LimitPeriod
from zimun.domain.catalog.entries import Location, Organization, SlotAlignment
from zimun.domain.catalog.holiday_calendar import HolidayCalendar
from zimun.domain.catalog.weekly_hours import HasWeeklyHours, Hours, WeeklyHours

from .build import ALL_DAY, World

MINUTE = 60_000_000
HOUR = 60 * MINUTE


@lru_cache(maxsize=1 << 17)
def wall(zone: str, instant: int) -> tuple[date, int]:
    """What the wall clock shows: the date, and the microseconds since its midnight."""
    seconds, rest = divmod(instant, 1_000_000)
    shown = datetime.fromtimestamp(seconds, ZoneInfo(zone))
    since = shown.hour * 3600 + shown.minute * 60 + shown.second
    return shown.date(), since * 1_000_000 + rest


def instants(first: date, last: date, tick: int) -> range:
    """Every tick of UTC at which any zone's wall clock can show one of the dates."""
    midnights = [
        int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
        for day in (first, last + timedelta(days=1))
    ]
    return range(midnights[0] - 15 * HOUR, midnights[1] + 15 * HOUR, tick)


def is_within(hours: Hours, since_midnight: int) -> bool:
    """Whether a wall time lies in one of the openings."""
    return any(start * MINUTE <= since_midnight < end * MINUTE for start, end in hours)


def open_minutes(zone: str, day: date, hours: Hours) -> set[int]:
    """The minutes of UTC in which the wall clock shows the date and a time within its hours."""
    open_ = set()
    for instant in instants(day, day, MINUTE):
        shown, since_midnight = wall(zone, instant)
        if shown == day and is_within(hours, since_midnight):
            open_.add(instant)
    return open_


def period_of(period: LimitPeriod, zone: str, instant: int) -> tuple[int, ...]:
    """The day, the ISO week or the month that the wall clock shows."""
    day = wall(zone, instant)[0]
    if period is LimitPeriod.WEEK:
        return tuple(day.isocalendar())[:2]
    return (day.year, day.month) if period is LimitPeriod.MONTH else (day.toordinal(),)


def week_of(owner: HasWeeklyHours, day: date) -> WeeklyHours:
    """The weekly hours of a date; those of the last period that has begun, where one has."""
    week = owner.weekly_hours
    for period in sorted(owner.weekly_hours_periods, key=lambda one: one.valid_from):
        if period.valid_from <= day:
            week = period.weekly_hours
    return week


@dataclass(frozen=True)
class Facts:
    """What an answer says of a slot, as far as there is one right answer."""

    staff_ids: tuple[str, ...]
    seats_left: int
    is_new: bool
    joinable: frozenset[Session]


class Oracle:
    """Answers a world's question one instant at a time, each rule by itself."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.place_date = cache(self._place_date)
        self.given_date = cache(self._given_date)
        self.place_hours = cache(self._place_hours)
        self.service_hours = cache(self._service_hours)
        self.service_opens = cache(self._service_opens)
        self.staff_opens = cache(self._staff_opens)
        self.staff_hours = cache(self._staff_hours)
        self.works_hours = cache(self._works_hours)
        self.first_open = cache(self._first_open)
        self.place_is_active = not world.place.id or world.catalog.locations[world.place.id].active
        self.opens = world.now + world.service.lead_time
        self.closes = world.now + world.service.horizon
        self.openings: dict[tuple[str, int, bool], int] = {}

    def instants(self) -> Iterator[int]:
        """Every tick on the dates that are asked about."""
        world = self.world
        for instant in instants(world.first, world.last, world.tick):
            if world.first <= wall(world.place.time_zone, instant)[0] <= world.last:
                yield instant

    @cached_property
    def unarchived(self) -> "Oracle":
        """The same question, were the location active."""
        if self.place_is_active:
            return self
        catalog = self.world.catalog
        locations = {one: replace(catalog.locations[one], active=True) for one in catalog.locations}
        return Oracle(replace(self.world, catalog=replace(catalog, locations=locations)))

    def is_holiday(self, start: int) -> bool:
        """Whether the place's date is a public holiday that no override speaks of."""
        world = self.world
        day = wall(world.place.time_zone, start)[0]
        owners = (world.place.id, world.catalog.organization.id)
        overridden = any((owner, day) in world.catalog.overrides for owner in owners)
        return bool(self.holiday(day)) and not overridden

    def holiday(self, day: date) -> str:
        """The name of the date's holiday at the place, if its region has one."""
        catalog, place = self.world.catalog, self.world.place
        own = [catalog.locations[place.id]] if place.id else []
        levels: list[Location | Organization] = [*own, catalog.organization]
        for settings in levels:
            if settings.holiday_region == "NONE":
                return ""
            if settings.holiday_region:
                calendar = HolidayCalendar(settings.holiday_region, settings.holiday_categories)
                return catalog.holiday(calendar, day)
        return ""

    def is_place_open(self, start: int) -> bool:
        """Whether the place is open for all of an appointment that begins then."""
        return self._lasts(self.place_date, start)

    def facts(self, start: int) -> Facts:
        """Who and what can serve a start, whatever the booking window."""
        world, service = self.world, self.world.service
        on_duty = self._on_duty(start)
        free = [one for one in on_duty if one == "" or self._can_begin(one, start)]
        may_begin = not self.reached(service.id, start)
        is_new = bool(free) and may_begin and self.has_resources(start)
        joinable = frozenset(one for one in world.sessions if self._has_room(one, start, on_duty))
        if self.reached(CUSTOMER_SUBJECT, start):
            is_new, joinable = False, frozenset()
        able = {one.staff_id for one in joinable} | set(free if is_new else ())
        seats = [service.capacity - one.seats_taken for one in joinable]
        return Facts(
            staff_ids=tuple(one for one in service.staff_ids if one in able),
            seats_left=service.capacity if is_new else max(seats, default=0),
            is_new=is_new,
            joinable=joinable,
        )

    def wanted(self) -> list[str]:
        """The members who may serve; the empty id where none is needed."""
        staff_ids = self.world.service.staff_ids or ("",)
        return [one for one in staff_ids if self.world.staff_id in ("", one)]

    def _on_duty(self, start: int) -> list[str]:
        """The members with whom a start is on the grid; the empty id where none is needed."""
        if not self.world.service.active or not self._lasts(self.given_date, start):
            return []
        if self.time_off(start, "o_1", self.world.place.id):
            return []
        return [
            one for one in self.wanted() if self.works(one, start) and self.is_a_step(one, start)
        ]

    def works(self, staff_id: str, start: int) -> bool:
        """Whether a member is there for all of an appointment; true where none is needed."""
        staff = self.world.catalog.staff
        return staff_id == "" or (
            staff[staff_id].active
            and self.is_here(staff[staff_id].location_ids)
            and self.works_hours(staff_id, start)
            and not self.time_off(start, staff_id)
        )

    def time_off(self, start: int, *owners: str) -> list[tuple[int, int]]:
        """The time off of some owners that an appointment overlaps which begins then."""
        end = start + self.world.service.duration
        return sorted(
            (one.start, one.end)
            for one in self.world.catalog.time_off.values()
            if one.owner_id in owners and one.start < end and start < one.end
        )

    def _works_hours(self, staff_id: str, start: int) -> bool:
        """Whether a staff member's hours have room for an appointment that begins then."""
        return self._lasts(partial(self.staff_opens, staff_id), start)

    def _lasts(self, is_open: Callable[[int], object], start: int) -> bool:
        """Whether it is open at every tick of an appointment that begins then."""
        ticks = range(start, start + self.world.service.duration, self.world.tick)
        return all(map(is_open, ticks))

    def is_here(self, location_ids: Collection[str]) -> bool:
        """Whether an entry of these locations, or of all where there are none, serves here."""
        return not location_ids or self.world.place.id in location_ids

    def is_a_step(self, staff_id: str, start: int) -> bool:
        """Whether a start at which all are open is one of the service's steps."""
        service = self.world.service
        if service.slot_alignment is SlotAlignment.HOUR:
            return wall(self.world.place.time_zone, start)[1] % service.slot_step == 0
        return (start - self._opening(staff_id, start)) % service.slot_step == 0

    def _opening(self, staff_id: str, instant: int) -> int:
        """Since when place and staff member have both been open.

        If that is eight days before the place first opens on the date, or longer, it is since
        when they have been open on the date.
        """
        day = wall(self.world.place.time_zone, instant)[0]
        begin = self._since(staff_id, instant, any_date=True)
        if begin > self.first_open(day) - 8 * 24 * HOUR:
            return begin
        return self._since(staff_id, instant, any_date=False)

    def _first_open(self, day: date) -> int:
        """The first instant at which the service is given on a date."""
        ticks = instants(day, day, self.world.tick)
        return next(instant for instant in ticks if self.given_date(instant) == day)

    def _since(self, staff_id: str, instant: int, any_date: bool) -> int:
        """Since when both have been open, on the instant's date or at any time before.

        The moment is kept, as the next tick asks for it again; nine days are far enough.
        """
        begin, limit = instant, instant - 10 * 24 * HOUR
        while begin > limit and self._goes_back(staff_id, begin, any_date):
            begin -= self.world.tick
            if (staff_id, begin, any_date) in self.openings:
                begin = self.openings[staff_id, begin, any_date]
                break
        self.openings[staff_id, instant, any_date] = begin
        return begin

    def _goes_back(self, staff_id: str, instant: int, any_date: bool) -> bool:
        """Whether both are open at the tick before, too."""
        before = instant - self.world.tick
        if staff_id and not self.staff_opens(staff_id, before):
            return False
        if any_date:
            return self.given_date(before) is not None
        return self.given_date(before) == self.given_date(instant)

    def _place_date(self, instant: int) -> date | None:
        """The date that the place's clock shows, when it is open."""
        day, since_midnight = wall(self.world.place.time_zone, instant)
        return day if is_within(self.place_hours(day), since_midnight) else None

    def is_within_service_hours(self, start: int) -> bool:
        """Whether the service's own hours have room for an appointment that begins then."""
        return self._lasts(self.service_opens, start)

    def _service_opens(self, instant: int) -> bool:
        """Whether it is one of the service's own hours; all are where it has none."""
        day, since_midnight = wall(self.world.place.time_zone, instant)
        return is_within(self.service_hours(day), since_midnight)

    def _service_hours(self, day: date) -> Hours:
        week = week_of(self.world.service, day)
        return week.get(day.weekday(), ()) if week else ALL_DAY

    def _given_date(self, instant: int) -> date | None:
        """The date that the place's clock shows, when the service is given."""
        return self.place_date(instant) if self.service_opens(instant) else None

    def _staff_opens(self, staff_id: str, instant: int) -> bool:
        day, since_midnight = wall(self.world.catalog.staff[staff_id].time_zone, instant)
        return is_within(self.staff_hours(staff_id, day), since_midnight)

    def _staff_hours(self, staff_id: str, day: date) -> Hours:
        if override := self.world.catalog.overrides.get((staff_id, day)):
            return override.hours
        return week_of(self.world.catalog.staff[staff_id], day).get(day.weekday(), ())

    def _place_hours(self, day: date) -> Hours:
        catalog, place = self.world.catalog, self.world.place
        organization = catalog.organization
        if not self.place_is_active:
            return ()
        if place.id and (place.id, day) in catalog.overrides:
            return catalog.overrides[place.id, day].hours
        if (organization.id, day) in catalog.overrides:
            return catalog.overrides[organization.id, day].hours
        if self.holiday(day):
            return ()
        if place.id and (week := week_of(catalog.locations[place.id], day)):
            return week.get(day.weekday(), ())
        if week := week_of(organization, day):
            return week.get(day.weekday(), ())
        return ALL_DAY

    def _can_begin(self, staff_id: str, start: int) -> bool:
        """Whether a staff member is free, and begins fewer bookings than limits allow."""
        is_limited = self.is_full(staff_id, start) or self.reached(staff_id, start)
        return self.is_free(staff_id, start) and not is_limited

    def reached(self, subject: str, start: int) -> list[AppliedLimit]:
        """The limits of a subject by which no more may begin then."""
        found = []
        for applied, zone, starts in self.world.tallies:
            if applied.subject_id == subject:
                limit = applied.limit
                counting = [
                    other
                    for other in starts
                    if limit.period is LimitPeriod.UPCOMING
                    or period_of(limit.period, zone, other) == period_of(limit.period, zone, start)
                ]
                if len(counting) >= limit.max_bookings:
                    found.append(applied)
        return found

    def is_full(self, staff_id: str, start: int) -> bool:
        """Whether as many bookings begin on the member's date as they take."""
        member = self.world.catalog.staff[staff_id]
        day = wall(member.time_zone, start)[0]
        begun = [
            other
            for whose, other in self.world.starts
            if whose == staff_id and wall(member.time_zone, other)[0] == day
        ]
        return 0 < member.daily_limit <= len(begun)

    def is_free(self, subject: str, start: int) -> bool:
        """Whether nothing takes a subject during an appointment, buffers included."""
        service = self.world.service
        begin = start - service.buffer_before
        end = start + service.duration + service.buffer_after
        return not any(
            taken == subject and since < end and begin < until
            for taken, since, until in self.world.taken
        )

    def has_resources(self, start: int) -> bool:
        """Whether any assignment of resources to requirements is possible."""
        service = self.world.service
        if not service.staff_ids and not service.resource_requirements:
            return self.is_free(f"{service.id}@{self.world.place.id}", start)
        able = self.able_resources(start)
        return any(
            able.issuperset(chosen) and len(set(chosen)) == len(chosen)
            for chosen in product(*service.resource_requirements)
        )

    def able_resources(self, start: int) -> set[str]:
        """The resources that are here and free."""
        return {
            one.id
            for one in self.world.catalog.resources.values()
            if one.active
            and self.is_here({one.location_id} - {""})
            and self.is_free(one.id, start)
            and not self.time_off(start, one.id)
            and not self.reached(one.id, start)
        }

    def _has_room(self, session: Session, start: int, on_duty: list[str]) -> bool:
        service = self.world.service
        return (
            service.capacity > 1
            and session.start == start
            and session.end == start + service.duration
            and session.location_id == self.world.place.id
            and session.staff_id in on_duty
            and session.seats_taken + self.world.seats <= service.capacity
        )
