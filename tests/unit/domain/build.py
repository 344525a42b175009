"""Small catalogues, reservations and hours; what a test does not name is plain."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from zimun.domain.availability.slot_search import Search
from zimun.domain.availability.slots import Busy, Session
from zimun.domain.availability.tallies import Tally
from zimun.domain.availability.timetable import Timetable
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
    StaffMember,
)
from zimun.domain.catalog.holiday_calendar import HolidayCalendar
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.catalog.weekly_hours import Hours, WeeklyHours
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.intervals import Interval
from zimun.domain.ledger.reservation import Contact, Reservation, State

E = TypeVar("E", bound=Entry | TimeOff)


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


MONDAY = date(2026, 1, 5)
NINE = utc("2026-01-05T09:00")
TEN = NINE + HOUR

CONTACT = Contact(name="Grace", email="grace@example.com", metadata={"k": "v"})


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
    """Half an hour, every half an hour, up to a year ahead, without staff and resources."""
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
        services=by_id(services),
        locations=by_id(locations),
        staff=by_id(staff),
        resources=by_id(resources),
        overrides={key: override for override in overrides for key in override.keys},
        longest_span=DAY,
        holiday=lambda calendar, day: others.get(calendar, usual).get(day, ""),
        time_off={one.id: one for one in time_off},
    )


def by_id(entries: Iterable[E]) -> dict[str, E]:
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
