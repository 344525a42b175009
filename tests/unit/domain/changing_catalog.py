"""Worlds of a ledger whose hours and time off change: what the oracle is asked about each start.

Recurrences are expanded once more, date by date, by the wall clock of their zone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from zimun.domain.availability.slots import Session
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Service
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.catalog.weekly_hours import Hours, WeeklyHours
from zimun.domain.instant import HOUR, MINUTE
from zimun.domain.intervals import Interval
from zimun.domain.ledger.events import Session as LedgerSession
from zimun.domain.ledger.reservation import LIVE, Reservation, State

from . import build
from .build import World, by_id
from .ledger_model import Model, overlap
from .oracle import wall

STEP = 30 * MINUTE

DAYS = tuple(date(2026, 3, day) for day in (27, 28, 29, 30))
"""Friday to Monday; in Berlin the clock goes forward on Sunday."""

NOW = build.utc("2026-03-27T06:00")

STAFF = ("t_ada", "t_ben")

HOURS: tuple[Hours, ...] = (
    (),
    ((0, 1440),),
    ((480, 1080),),
    ((540, 720), (780, 1020)),
    ((630, 840),),
)

WEEKS: tuple[WeeklyHours, ...] = (
    *({} if not hours else build.every_day(hours) for hours in HOURS),
    {**build.every_day(HOURS[2]), 6: HOURS[4]},
    {**build.every_day(HOURS[1]), 0: ()},
)

CUT = build.service(
    id="s_cut",
    duration=HOUR,
    slot_step=STEP,
    buffer_after=STEP,
    staff_ids=STAFF,
    location_ids=("l_1", "l_2"),
)
CLASS = build.service(
    id="s_class",
    duration=HOUR,
    slot_step=STEP,
    capacity=3,
    staff_ids=("t_ben",),
    resource_requirements=(("r_1", "r_2"),),
    location_ids=("l_1",),
)
KIOSK = build.service(id="s_kiosk", slot_step=STEP, location_ids=("l_1", "l_2"))

OWNERS = ("o_1", "l_1", "l_2", *STAFF, "r_1", "r_2")


def first_catalog() -> Catalog:
    """Open round the clock, until something changes."""
    return build.catalog(
        CUT,
        CLASS,
        KIOSK,
        organization=build.organization(time_zone="Europe/Berlin"),
        locations=[
            build.location(time_zone="Europe/Berlin"),
            build.location(id="l_2", time_zone="America/New_York"),
        ],
        staff=[
            build.member(id="t_ada", time_zone="Europe/Berlin", daily_limit=3),
            build.member(id="t_ben"),
        ],
        resources=[build.resource(), build.resource(id="r_2", location_id="l_1")],
    )


ZONES = {"l_2": "America/New_York", "t_ben": "UTC"}
"""The zones of owners in which their time off recurs; that of the others is Berlin."""

RULES: dict[str, tuple[int, ...]] = {
    "": (0,),
    "FREQ=DAILY;COUNT=4": (0, 1, 2, 3),
    "FREQ=DAILY;INTERVAL=2;COUNT=2": (0, 2),
    "FREQ=DAILY;UNTIL=20260330": (0, 1, 2, 3),
    "FREQ=WEEKLY;COUNT=2": (0, 7),
}
"""Recurrence rules, each with the days after the first on which it recurs; UNTIL ends earlier."""


def occurrences(time_off: TimeOff) -> list[Interval]:
    """When time off is, date by date."""
    zone = ZoneInfo(ZONES.get(time_off.owner_id, "Europe/Berlin"))
    begin, end = (
        datetime.fromtimestamp(instant // 1_000_000, UTC).astimezone(zone).replace(tzinfo=None)
        for instant in (time_off.start, time_off.end)
    )
    until = DAYS[-1] if "UNTIL" in time_off.recurrence else date.max
    return [
        (_instant(begin + timedelta(days), zone), _instant(end + timedelta(days), zone))
        for days in RULES[time_off.recurrence]
        if (begin + timedelta(days)).date() <= until
    ]


def _instant(shown: datetime, zone: ZoneInfo) -> int:
    return int(shown.replace(tzinfo=zone).timestamp()) * 1_000_000


@dataclass
class ChangingModel(Model):
    """All events of reservations, and the catalogue as it is now."""

    catalog: Catalog = field(default_factory=first_catalog)

    @property
    def once(self) -> Catalog:
        """The catalogue with each occurrence of time off as one of its own."""
        return replace(
            self.catalog,
            time_off=by_id(
                build.time_off(one.owner_id, *interval, id=f"{one.id}_{n}", note=one.note)
                for one in self.catalog.time_off.values()
                for n, interval in enumerate(occurrences(one))
            ),
        )

    def world(
        self,
        service_id: str,
        location_id: str,
        now: int,
        staff_id: str = "",
        seats: int = 1,
        leaving: Reservation | None = None,
    ) -> World:
        """A question about a service; the time of the reservation `leaving` counts as free."""
        known = self.once
        service, place = known.services[service_id], known.place_of(location_id)
        standing = list(self.standing(now, leaving))
        taken = [
            (subject, *session.busy) for session, _ in standing for subject in session.subjects
        ]
        sessions = [
            Session(
                session.session_id,
                session.start,
                session.end,
                session.staff_id,
                session.resource_ids,
                session.location_id,
                seats_taken,
            )
            for session, seats_taken in standing
            if session.service_id == service_id and service.capacity > 1
        ]
        starts = [
            (session.staff_id, session.start)
            for session, _ in standing
            if known.daily_limit(session.staff_id)
        ]
        return World(
            tick=STEP,
            catalog=known,
            service=service,
            place=place,
            first=DAYS[0],
            last=DAYS[-1],
            taken=tuple(taken),
            sessions=tuple(sessions),
            starts=tuple(starts),
            now=now,
            staff_id=staff_id,
            seats=seats,
        )

    def standing(
        self, now: int, leaving: Reservation | None
    ) -> Iterator[tuple[LedgerSession, int]]:
        """The sessions that have live reservations, each with the seats taken."""
        for session in self.sessions.values():
            seats = [
                member.seats
                for hold_id, member in (session.members or {}).items()
                if member.until > now and not (leaving and hold_id == leaving.hold_id)
            ]
            if seats:
                yield session, sum(seats)

    def met_by(self, time_off: TimeOff, now: int) -> set[str]:
        """The holds that time off overlaps and that are not over."""
        return {
            one.hold_id
            for one in self.reservations.values()
            if is_live(one, now)
            and owns(time_off.owner_id, one)
            and any(
                overlap((max(begin, now), end), (one.start, one.end)) and now < end
                for begin, end in occurrences(time_off)
            )
        }


def is_live(reservation: Reservation, now: int) -> bool:
    """Whether a reservation keeps its time."""
    if reservation.state not in LIVE:
        return False
    return reservation.state is not State.HELD or reservation.expires_at > now


def owns(owner_id: str, reservation: Reservation) -> bool:
    """Whether a reservation is at an owner of time off, or takes it."""
    taken = (reservation.staff_id, *reservation.resource_ids, reservation.location_id)
    return owner_id in ("o_1", *taken)


def shown_times(service: Service, location_id: str) -> list[int]:
    """The starts of the dates between 8 and 18 o'clock at a place, as far as they are asked for."""
    zone = ZONES.get(location_id, "Europe/Berlin")
    begin = build.utc(f"{DAYS[0]}T00:00")
    return [
        start
        for start in range(begin, begin + 5 * 24 * HOUR, STEP)
        if wall(zone, start)[0] in DAYS and 8 * HOUR <= wall(zone, start)[1] < 18 * HOUR
    ]
