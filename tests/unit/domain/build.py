"""Small catalogues, reservations and hours; what a test does not name is plain."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any, TypeVar

from hypothesis import strategies as st

from zimun.domain.availability.opening_hours import local_date, segments
from zimun.domain.availability.slot_search import Search
from zimun.domain.availability.slots import Busy, Session
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
    HOLD_LENGTH,
    Entry,
    Location,
    Organization,
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
from zimun.domain.intervals import Interval
from zimun.domain.ledger.reservation import Contact, Reservation, State

E = TypeVar("E", bound=Entry | TimeOff)
T = TypeVar("T")

ALL_DAY: Hours = ((0, 1440),)
NINE_TO_FIVE: Hours = ((540, 1020),)

CHANGES: Mapping[str, tuple[date, ...]] = {
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25)),
    "Australia/Lord_Howe": (date(2026, 4, 5), date(2026, 10, 4)),
    "Asia/Kathmandu": (date(2024, 2, 29), date(2026, 1, 1)),
    "Asia/Kolkata": (date(2024, 2, 29), date(2026, 1, 1)),
    "Pacific/Apia": (date(2011, 4, 2), date(2011, 9, 24), date(2011, 12, 30)),
    "Africa/Casablanca": (date(2026, 2, 15), date(2026, 3, 22)),
    "America/St_Johns": (date(2026, 3, 8), date(2026, 11, 1)),
    "Pacific/Chatham": (date(2026, 4, 5), date(2026, 9, 27)),
    "UTC": (date(2024, 2, 29), date(2026, 1, 1)),
    "Europe/Dublin": (date(2026, 3, 29), date(2026, 10, 25)),
    "Antarctica/Troll": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/Sao_Paulo": (date(2017, 2, 18), date(2017, 10, 15), date(2018, 11, 4)),
    "Asia/Beirut": (date(2026, 3, 29), date(2026, 10, 24)),
    "Antarctica/Casey": (date(2020, 3, 8), date(2021, 3, 14), date(2022, 3, 12)),
}
"""Zones, each with dates that its clock changes on, or near."""

BACK_INTO_YESTERDAY = date(2010, 11, 7)
"""St John's set its clock at 00:01 of this date back to 23:01 of the day before."""


def utc(text: str) -> int:
    """The instant of `2026-03-08T07:00`, read as UTC."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000


def every_day(hours: Hours) -> WeeklyHours:
    return dict.fromkeys(range(7), hours)


def organization(**changes: Any) -> Organization:
    return Organization(**{"id": "o_1", "name": "Salon", "time_zone": "UTC", **changes})


def location(**changes: Any) -> Location:
    return Location(**{"id": "l_1", "name": "Main street", "time_zone": "UTC", **changes})


def member(**changes: Any) -> StaffMember:
    usual = {"id": "t_1", "name": "Ada", "time_zone": "UTC", "weekly_hours": every_day(ALL_DAY)}
    return StaffMember(**{**usual, **changes})


def resource(**changes: Any) -> Resource:
    return Resource(**{"id": "r_1", "name": "Chair", **changes})


def service(**changes: Any) -> Service:
    """Half an hour, every half an hour, up to a year ahead, needing nobody and nothing."""
    usual = {"duration": 30 * MINUTE, "slot_step": 30 * MINUTE, "horizon": 365 * DAY}
    return Service(**{"id": "s_1", "name": "Haircut", **usual, **changes})


def catalog(
    *services: Service,
    organization: Organization = organization(),  # noqa: B008 - frozen
    locations: Iterable[Location] = (),
    staff: Iterable[StaffMember] = (),
    resources: Iterable[Resource] = (),
    overrides: Iterable[Override] = (),
    holidays: Mapping[date, str] | None = None,
    time_off: Iterable[TimeOff] = (),
    regional: Mapping[HolidayCalendar, Mapping[date, str]] | None = None,
) -> Catalog:
    """With the same holidays in all calendars but the regional ones."""
    usual, others = holidays or {}, regional or {}
    return Catalog(
        version=1,
        organization=organization,
        services=_by_id(services),
        locations=_by_id(locations),
        staff=_by_id(staff),
        resources=_by_id(resources),
        overrides={key: override for override in overrides for key in override.keys},
        longest_span=DAY,
        holiday=lambda calendar, day: others.get(calendar, usual).get(day, ""),
        time_off={one.id: one for one in time_off},
    )


def _by_id(entries: Iterable[E]) -> dict[str, E]:
    return {entry.id: entry for entry in entries}


def time_off(owner_id: str, start: int, end: int, **changes: Any) -> TimeOff:
    """Named by its owner and start unless told."""
    usual = {"id": f"f_{owner_id}_{start}", "note": "Training"}
    return TimeOff(owner_id=owner_id, start=start, end=end, **{**usual, **changes})


def session(**changes: Any) -> Session:
    usual = {"session_id": "x_1", "start": 0, "end": HOUR, "staff_id": "", "resource_ids": ()}
    return Session(**{**usual, "location_id": "", "seats_taken": 1, **changes})


def reservation(**changes: Any) -> Reservation:
    """A hold, made at 100 h, of the hour from 200 h on."""
    usual = {
        "org_id": "o_1",
        "hold_id": "h_1",
        "session_id": "x_1",
        "service_id": "s_1",
        "location_id": "l_1",
        "staff_id": "t_1",
        "resource_ids": ("r_1",),
        "seats": 1,
        "start": 200 * HOUR,
        "end": 201 * HOUR,
        "state": State.HELD,
        "expires_at": 100 * HOUR + HOLD_LENGTH,
        "create_time": 100 * HOUR,
        "update_time": 100 * HOUR,
    }
    return Reservation(**{**usual, **changes})


def appointment(**changes: Any) -> Reservation:
    """The hold, confirmed a minute after it was made."""
    confirmed = {
        "state": State.CONFIRMED,
        "appointment_id": "a_1",
        "confirm_time": 100 * HOUR + MINUTE,
        "update_time": 100 * HOUR + MINUTE,
        "revision": 2,
        "contact": Contact(name="Grace", email="grace@example.com"),
    }
    return reservation(**{**confirmed, **changes})


@dataclass(frozen=True, kw_only=True)
class World:
    """A question about availability and all that its answer depends on.

    Every time in it but `now` and `starts` is a multiple of `tick` microseconds.
    `starts` are when the bookings of staff members with a daily limit begin;
    `tallies` are what counts for other limits.
    `service` may be another length of the one that the catalogue has.
    """

    tick: int
    catalog: Catalog
    service: Service
    place: Place
    first: date
    last: date
    taken: tuple[tuple[str, int, int], ...] = ()
    sessions: tuple[Session, ...] = ()
    starts: tuple[tuple[str, int], ...] = ()
    tallies: tuple[Tally, ...] = ()
    now: int = 0
    staff_id: str = ""
    seats: int = 1

    def search(self) -> Search:
        """The question, as the domain is asked it."""
        return Search(
            Timetable(self.catalog),
            self.service,
            self.place,
            self._busy(),
            self.now,
            self.staff_id,
            self.seats,
        )

    def _busy(self) -> Busy:
        taken: dict[str, list[Interval]] = {}
        for subject, start, end in sorted(self.taken):
            taken.setdefault(subject, []).append((start, end))
        sessions: dict[int, list[Session]] = {}
        for given in self.sessions:
            sessions.setdefault(given.start, []).append(given)
        tallies: dict[str, list[Tally]] = {}
        for tally in (*self._daily_tallies(), *self.tallies):
            tallies.setdefault(tally.applied.subject_id, []).append(tally)
        return Busy(taken, sessions, tallies)

    def _daily_tallies(self) -> Iterator[Tally]:
        for applied in self.catalog.demand(self.service, self.place.id).limits:
            if applied.is_daily_limit:
                starts = sorted(start for whose, start in self.starts if whose == applied.owner_id)
                zone = self.catalog.staff[applied.owner_id].time_zone
                yield Tally(applied, zone, starts)


def world(
    service: Service,
    first: date,
    last: date | None = None,
    *,
    now: int | None = None,
    taken: tuple[tuple[str, int, int], ...] = (),
    sessions: tuple[Session, ...] = (),
    starts: tuple[tuple[str, int], ...] = (),
    tallies: tuple[Tally, ...] = (),
    staff_id: str = "",
    seats: int = 1,
    tick: int = MINUTE,
    **catalogue: Any,
) -> World:
    """A question about a service at its place, asked a week before the first date unless told."""
    known = catalog(service, **catalogue)
    where = next(iter(service.location_ids), "")
    zone = known.locations[where].time_zone if where else known.organization.time_zone
    return World(
        tick=tick,
        catalog=known,
        service=service,
        place=Place(where, zone),
        first=first,
        last=last or first,
        taken=taken,
        sessions=sessions,
        starts=starts,
        tallies=tallies,
        now=utc(f"{first}T00:00") - 7 * DAY if now is None else now,
        staff_id=staff_id,
        seats=seats,
    )


def hours(tick: int = 1, most: int = 3) -> st.SearchStrategy[Hours]:
    """Openings in whole ticks (minutes), in any order, overlapping and touching ones among them."""
    last = 1440 // tick
    midnights = st.sampled_from([0, last])
    edge = st.integers(0, last) | midnights | st.integers(0, 24).map(lambda n: n * 60 // tick)
    opening = st.tuples(edge, edge).map(lambda pair: (min(pair), max(pair)))
    some = st.lists(opening.filter(lambda pair: pair[0] < pair[1]), max_size=most)
    return some.map(lambda all_: tuple((start * tick, end * tick) for start, end in all_))


def dates_of(zone: str) -> st.SearchStrategy[date]:
    """Any date since 1990, and every other time one near a change of the zone's clock."""
    near = st.builds(
        lambda day, days: day + timedelta(days=days),
        st.sampled_from(CHANGES[zone]),
        st.integers(-2, 2),
    )
    return near | st.dates(date(1990, 1, 1), date(2037, 12, 31))


zones = st.sampled_from(sorted(CHANGES))


@st.composite
def worlds(draw: st.DrawFn, zone: str = "", day: date | None = None) -> World:
    """Small random catalogues with bookings; at random places and dates, unless told.

    Most are drawn evenly, from a seed: Hypothesis alone likes the closed and the
    empty too well. Those that it draws itself shrink.
    """
    evenly = draw(st.integers(0, 3)) > 0
    seeded = random.Random(draw(st.integers(0, 2**64)))

    def pick(low: int, high: int) -> int:
        return seeded.randint(low, high) if evenly else draw(st.integers(low, high))

    return _Drawing(pick, zone, day).world()


def world_of(seed: int) -> World:
    """One of the worlds that are drawn evenly."""
    return _Drawing(random.Random(seed).randint, "", None).world()


class _Drawing:
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
            time_off=_by_id(self._time_off(asked.catalog, grid)),
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
