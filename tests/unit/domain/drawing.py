"""The parts of a random catalogue with bookings, drawn one after the other."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, timedelta
from itertools import chain
from typing import TypeVar

from zimun.domain.availability.opening_hours import local_date, segments
from zimun.domain.availability.slots import Session
from zimun.domain.availability.tallies import Tally
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.booking_limit import (
    CUSTOMER_SUBJECT,
    AppliedLimit,
    BookingLimit,
    LimitPeriod,
    LimitSubject,
)
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import (
    Override,
    Place,
    Resource,
    Service,
    SlotAlignment,
    StaffMember,
)
from zimun.domain.catalog.holiday_calendar import HolidayCalendar
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.catalog.weekly_hours import Hours, WeeklyHours, WeeklyHoursPeriod
from zimun.domain.instant import DAY, HOUR, MINUTE

from .build import (
    ALL_DAY,
    CHANGES,
    World,
    by_id,
    catalog,
    every_day,
    location,
    member,
    organization,
    resource,
    service,
    session,
    time_off,
    utc,
)

T = TypeVar("T")


class Drawing:
    """The parts of a random world, drawn one after the other."""

    def __init__(self, pick: Callable[[int, int], int], zone: str, day: date | None) -> None:
        self.pick = pick
        self.tick_minutes = 1 if zone else self._one_of(15, 15, 15, 5)
        self.zone = zone or self._zone()
        change = self._one_of(*CHANGES[self.zone])
        self.first = day or change + timedelta(days=pick(-1, 1))
        two = self.tick_minutes == 15 and self._one_of(False, True)
        self.last = self.first + timedelta(days=two)

    def world(self) -> World:
        """A catalogue, and bookings that are about its grid: elsewhere they would not matter."""
        asked = self._catalogue()
        grid = self._grid(asked)
        given = asked.service
        sessions = tuple(self._session(given, grid, n) for n in range(self._sessions(given)))
        opens = self._near(grid) + self._one_of(0, -1, 1) - self._one_of(0, 2, 2) * DAY
        closes = self._near(grid) + self._one_of(0, -1, 1) + self._one_of(0, 2, 2) * DAY
        closes = max(opens, closes)
        offered = replace(
            asked.catalog.services[given.id], lead_time=HOUR, horizon=closes - opens + HOUR
        )
        taken = self._taken(given, grid, sessions)
        known = replace(
            asked.catalog,
            services={given.id: offered},
            time_off=by_id(self._time_off(asked.catalog, grid)),
        )
        drawn = replace(
            asked,
            catalog=known,
            service=replace(offered, duration=given.duration),
            taken=taken,
            sessions=sessions,
            starts=self._starts(asked.catalog, grid, taken, sessions),
            now=opens - HOUR,
            staff_id=self._one_of("", "", "", *given.staff_ids),
            seats=self._one_of(1, self.pick(1, given.capacity)),
        )
        return self._limited(drawn, grid) if self._one_of(True, False) else drawn

    def _limited(self, drawn: World, grid: list[int]) -> World:
        """The same with a limit or two, and what counts for them."""
        tallies: dict[object, list[Tally]] = {}
        for _ in range(self._one_of(1, 2)):
            limit = BookingLimit(
                max_bookings=self.pick(1, 3),
                period=self._one_of(*LimitPeriod),
                per=self._one_of(*LimitSubject),
            )
            owner_id = self._one_of(drawn.catalog.organization.id, drawn.service.id)
            # An entry has one limit for each period and kind of subject.
            tallies_of_limit: list[Tally] = []
            tallies[owner_id, limit.period, limit.per] = tallies_of_limit
            for subject_id in self._limit_subjects(drawn.service, limit.per):
                zone = drawn.place.time_zone
                if subject_id in drawn.catalog.staff:
                    zone = drawn.catalog.staff[subject_id].time_zone
                starts = [self._that_day(zone, grid) for _ in range(self.pick(0, 4))]
                starts += [one + self._one_of(-20, -6, 3, 9) * DAY for one in starts[:1]]
                upcoming = limit.period is LimitPeriod.UPCOMING
                counting = sorted(one for one in starts if one > drawn.now or not upcoming)
                applied = AppliedLimit(limit, owner_id, subject_id)
                tallies_of_limit.append(Tally(applied, zone, counting))
        return replace(drawn, tallies=tuple(chain.from_iterable(tallies.values())))

    def _limit_subjects(self, given: Service, per: LimitSubject) -> tuple[str, ...]:
        return {
            LimitSubject.STAFF_MEMBER: given.staff_ids,
            LimitSubject.SERVICE: (given.id,),
            LimitSubject.RESOURCE: given.resource_ids,
            LimitSubject.CUSTOMER: (CUSTOMER_SUBJECT,),
        }[per]

    def _catalogue(self) -> World:
        located = self._one_of(True, False)
        staff = [self._member(n) for n in range(self._one_of(0, 1, 2, 3))]
        things = [
            resource(
                id=f"r_{n}",
                active=self._mostly(),
                location_id=self._one_of("", "", "", "l_1", "l_1", "l_2"),
            )
            for n in range(self._one_of(0, 0, 2, 3, 4))
        ]
        given = self._service(staff, things, located)
        known = catalog(
            given,
            organization=organization(
                time_zone="Europe/Berlin" if located else self.zone,
                weekly_hours=self._week(),
                weekly_hours_periods=self._periods(),
                holiday_region="US",
                holiday_categories=("bank",),
            ),
            locations=[
                location(
                    active=self.pick(0, 30) != 13,
                    time_zone=self.zone,
                    weekly_hours=self._week(),
                    weekly_hours_periods=self._periods(),
                    holiday_region=self._one_of("", "", "NONE", "HK", "HK"),
                    holiday_categories=("optional",),
                ),
                location(id="l_2"),
            ],
            staff=staff,
            resources=things,
            overrides=self._overrides(["o_1", "l_1", *(one.id for one in staff)]),
            regional={
                HolidayCalendar("US", ("bank",)): self._holidays("Labor Day"),
                HolidayCalendar("HK", ("optional",)): self._holidays("Good Friday"),
            },
        )
        place = Place("l_1" if located else "", self.zone)
        return World(
            tick=self.tick_minutes * MINUTE,
            catalog=known,
            service=replace(given, duration=self._one_of(given.duration, *given.duration_options)),
            place=place,
            first=self.first,
            last=self.last,
        )

    def _grid(self, asked: World) -> list[int]:
        """Starts to draw from; what the domain takes for its grid will do for that."""
        timetable = Timetable(asked.catalog)
        found = [
            start
            for day in (self.first, self.last)
            for start in timetable.grid(asked.service, asked.place, day).starts
        ]
        return found or [utc(f"{self.first}T12:00")]

    def _one_of(self, *values: T) -> T:
        return values[self.pick(0, len(values) - 1)]

    def _zone(self) -> str:
        return self._one_of(*sorted(CHANGES))

    def _shuffled(self, values: Iterable[T]) -> list[T]:
        left, shuffled = list(values), []
        while left:
            shuffled.append(left.pop(self.pick(0, len(left) - 1)))
        return shuffled

    def _mostly(self) -> bool:
        return self.pick(0, 15) != 6

    def _ticks(self, low: int, high: int) -> int:
        return self.pick(low, high) * self.tick_minutes * MINUTE

    def _near(self, grid: list[int]) -> int:
        """A start on the grid, or a tick beside it."""
        beside = self._one_of(0, 0, -1, 1)
        return self._one_of(*grid) + beside * self.tick_minutes * MINUTE

    def _hours(self) -> Hours:
        """All day, or most of it, or anything."""
        tick, kind = self.tick_minutes, self._one_of("all day", "most", "most", "any")
        if kind == "all day":
            return ALL_DAY
        if kind == "any":
            return tuple(self._opening() for _ in range(self._one_of(0, 1, 2, 3)))
        start = self.pick(0, 600 // tick) * tick
        end = self.pick(1000 // tick, 1440 // tick) * tick
        lunch = self.pick(601 // tick + 1, 1000 // tick) * tick
        return ((start, lunch), (self._one_of(lunch, lunch + tick, start), end))

    def _opening(self) -> tuple[int, int]:
        """Any, in whole ticks; every other one touches a midnight."""
        last = 1440 // self.tick_minutes
        one = self._one_of(0, last, self.pick(0, last), self.pick(0, last))
        other = (one + self.pick(1, last)) % (last + 1)
        return min(one, other) * self.tick_minutes, max(one, other) * self.tick_minutes

    def _week(self) -> WeeklyHours:
        """None, one like the others every day, or one weekday unlike them."""
        kind = self._one_of("none", "same", "same", "unlike")
        if kind == "none":
            return {}
        unlike = {self.first.weekday(): self._hours()} if kind == "unlike" else {}
        return {**every_day(self._hours()), **unlike}

    def _periods(self) -> tuple[WeeklyHoursPeriod, ...]:
        """None mostly, or new hours from a date near those asked about on, in any order."""
        days = self._shuffled(range(-3, 4))[: self._one_of(0, 0, 0, 0, 1, 2)]
        return tuple(
            WeeklyHoursPeriod(
                valid_from=self.first + timedelta(days=days_on), weekly_hours=self._week()
            )
            for days_on in days
        )

    def _member(self, number: int) -> StaffMember:
        return member(
            id=f"t_{number}",
            active=self._mostly(),
            time_zone=self.zone if self._one_of(True, True, False) else self._zone(),
            weekly_hours=every_day(ALL_DAY) if self._one_of(True, False) else self._week(),
            weekly_hours_periods=self._periods(),
            daily_limit=self._one_of(0, 0, 1, 2),
            location_ids=self._one_of(*[()] * 7, ("l_1",), ("l_2", "l_1"), ("l_2",)),
        )

    def _service(self, staff: list[StaffMember], things: list[Resource], located: bool) -> Service:
        ids = [one.id for one in things]
        needs = [
            tuple(self._shuffled(ids)[: self.pick(1, len(ids))])
            for _ in range(self._one_of(0, 1, 2, 3) if things else 0)
        ]
        lengths = [1, 2, 2, 3, 4, 5, 9, 40 if self.tick_minutes < 15 else 104]
        options = self._shuffled(set(lengths))[: self._one_of(0, 0, 1, 2)]
        duration = self._one_of(*[one for one in lengths if one not in options])
        return service(
            active=self.pick(0, 40) != 13,
            duration=duration * self.tick_minutes * MINUTE,
            duration_options=tuple(one * self.tick_minutes * MINUTE for one in options),
            slot_step=self._ticks(1, 7),
            slot_alignment=self._one_of(*SlotAlignment),
            buffer_before=self._ticks(0, 2),
            buffer_after=self._ticks(0, 2),
            capacity=self._one_of(1, 3),
            staff_ids=tuple(self._shuffled(one.id for one in staff)),
            resource_requirements=tuple(needs),
            location_ids=self._one_of(("l_1",), ("l_1", "l_2")) if located else (),
            weekly_hours=self._week() if self._one_of(True, False, False) else {},
            weekly_hours_periods=self._periods(),
        )

    def _overrides(self, owners: list[str]) -> list[Override]:
        return [
            Override(
                owner_id=self._one_of(*owners),
                date=(first := self.first + timedelta(days=self.pick(-1, 2))),
                last=self._one_of(None, None, first + timedelta(days=self.pick(1, 3))),
                hours=() if self._one_of(True, False, False) else self._hours(),
                note="Inventory",
            )
            for _ in range(self._one_of(0, 0, 1, 2, 3))
        ]

    def _time_off(self, known: Catalog, grid: list[int]) -> list[TimeOff]:
        """Near starts: of a few ticks, or of days."""
        staff = [*known.staff] * 3
        owners = ["o_1", "l_1", "l_2", *staff, *known.resources, *known.resources]
        return [
            time_off(
                self._one_of(*owners),
                start := self._near(grid),
                start + self._one_of(self._ticks(1, 9), self._ticks(1, 9), self.pick(1, 2) * DAY),
                id=f"f_{n}",
            )
            for n in range(self._one_of(0, 0, 0, 1, 2, 4))
        ]

    def _holidays(self, name: str) -> dict[date, str]:
        day = self.first + timedelta(days=self.pick(-1, 2))
        return {day: name} if self._one_of(True, False, False, False) else {}

    def _sessions(self, given: Service) -> int:
        return self._one_of(0, 2, 4, 6) if given.capacity > 1 else 0

    def _session(self, given: Service, grid: list[int], number: int) -> Session:
        start = self._one_of(*grid) if self._mostly() else self._near(grid)
        shorter = 0 if self._mostly() else self.tick_minutes * MINUTE
        who = given.staff_ids or ("",)
        return session(
            session_id=f"x_{number}",
            start=start,
            end=start + given.duration - shorter,
            staff_id=self._one_of(*(who if self._mostly() else ("", "t_9"))),
            resource_ids=self._things(given),
            location_id=next(iter(given.location_ids), "") if self._mostly() else "l_2",
            seats_taken=self.pick(1, given.capacity),
        )

    def _things(self, given: Service) -> tuple[str, ...]:
        """A resource for every requirement that one is left for."""
        chosen: list[str] = []
        for one_of in given.resource_requirements:
            left = [one for one in one_of if one not in chosen]
            chosen += [self._one_of(*left)] if left else []
        return tuple(chosen)

    def _taken(
        self, given: Service, grid: list[int], sessions: tuple[Session, ...]
    ) -> tuple[tuple[str, int, int], ...]:
        """What sessions and other bookings take, no subject twice at one time."""
        wanted = [
            (subject, one.start - given.buffer_before, one.end + given.buffer_after)
            for one in sessions
            for subject in (
                one.staff_id or self._one_of(*given.subjects(one.location_id)),
                *one.resource_ids,
            )
        ]
        here = next(iter(given.location_ids), "")
        subjects = *given.subjects(here), *given.subjects(self._one_of(here, "l_2"))
        for _ in range(self._one_of(0, 2, 4, 8)):
            start = self._near(grid)
            wanted.append((self._one_of(*subjects), start, start + self._ticks(1, 12)))
        kept: list[tuple[str, int, int]] = []
        for subject, start, end in wanted:
            if start < end and not any(
                subject == other and start < until and since < end for other, since, until in kept
            ):
                kept.append((subject, start, end))
        return tuple(kept)

    def _starts(
        self,
        known: Catalog,
        grid: list[int],
        taken: tuple[tuple[str, int, int], ...],
        sessions: tuple[Session, ...],
    ) -> tuple[tuple[str, int], ...]:
        """When bookings of members with a limit begin: those drawn already, and others near."""
        about = {(one.staff_id, one.start) for one in sessions}
        about |= {(subject, start) for subject, start, _ in taken}
        found = [(subject, start) for subject, start in sorted(about) if known.daily_limit(subject)]
        for one in known.staff.values():
            for _ in range(self._one_of(0, 1, 2, 3) if one.daily_limit else 0):
                found.append((one.id, self._that_day(one.time_zone, grid)))
        return tuple(found)

    def _that_day(self, zone: str, grid: list[int]) -> int:
        """An instant about where a date begins or ends, or anywhere near."""
        near = self._near(grid)
        if self._one_of(True, False, False):
            return near + self.pick(-30, 30) * HOUR
        shown = segments(zone, local_date(zone, near))
        edge = self._one_of(*[one.start for one in shown], *[one.end for one in shown])
        return edge + self._one_of(0, 0, -1, 1, -HOUR, HOUR)
