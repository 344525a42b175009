"""A simple model of a ledger: every reservation in a dict, which is looked through each time."""

from collections.abc import Iterable

from zimun.domain.catalog.booking_limit import BookingLimit, LimitPeriod, LimitSubject
from zimun.domain.catalog.entries import Service
from zimun.domain.instant import DAY, MINUTE
from zimun.domain.ledger.reservation import Reservation, State

from .ledger_check import is_live, subjects_of
from .sample_catalog import NOW, at

STEP = 15 * MINUTE

CUT = Service(
    id="s_cut",
    name="Cut",
    duration=30 * MINUTE,
    buffer_after=15 * MINUTE,
    slot_step=STEP,
    horizon=60 * DAY,
    staff_ids=("t_ada", "t_ben"),
    booking_limits=(
        BookingLimit(max_bookings=2, period=LimitPeriod.WEEK, per=LimitSubject.STAFF_MEMBER),
    ),
)
SPA = Service(
    id="s_spa",
    name="Spa",
    duration=45 * MINUTE,
    buffer_before=10 * MINUTE,
    buffer_after=5 * MINUTE,
    slot_step=STEP,
    horizon=60 * DAY,
    staff_ids=("t_ada", "t_ben"),
    resource_requirements=(("r_room",),),
    booking_limits=(
        BookingLimit(max_bookings=2, period=LimitPeriod.UPCOMING, per=LimitSubject.CUSTOMER),
    ),
)
CLASS = Service(
    id="s_class",
    name="Class",
    duration=60 * MINUTE,
    slot_step=STEP,
    horizon=60 * DAY,
    capacity=4,
    staff_ids=("t_ben",),
    resource_requirements=(("r_room",),),
)
SERVICES = {service.id: service for service in (CUT, SPA, CLASS)}

SOON = at(24 * 20)
"""The morning that all commands are about: no run moves the clock so far."""


class Model:
    """Every reservation there is, and what may become of it."""

    def __init__(self) -> None:
        self.now = NOW
        self.booked: dict[str, Reservation] = {}

    def live(self, leaving: str = "") -> list[Reservation]:
        return [
            found
            for hold_id, found in self.booked.items()
            if hold_id != leaving and is_live(found, self.now)
        ]

    def able(
        self, service: Service, start: int, seats: int, staff_id: str = "", leaving: str = ""
    ) -> set[str]:
        """The members who could serve then: free, with the room, or with a class that has seats."""
        live = self.live(leaving)
        members = [one for one in service.staff_ids if staff_id in ("", one)]
        return {
            member
            for member in members
            if (
                self._free(live, service, start, (member, *room(service)))
                and not _has_had_enough(live, service, member)
            )
            or any(
                found.staff_id == member and taken + seats <= service.capacity
                for found, taken in _classes(live, service, start)
            )
        }

    def joins(self, service: Service, start: int, seats: int, leaving: str = "") -> set[str]:
        """The sessions that have room, of which the fullest is taken; none if there is none."""
        roomy = [
            (taken, found.session_id)
            for found, taken in _classes(self.live(leaving), service, start)
            if taken + seats <= service.capacity
        ]
        return {max(roomy)[1]} if roomy else set()

    def _free(
        self, live: Iterable[Reservation], service: Service, start: int, subjects: Iterable[str]
    ) -> bool:
        begin, end = _taken(service, start)
        for found in live:
            busy = _taken(SERVICES[found.service_id], found.start)
            shared = set(subjects) & set(subjects_of(found))
            if shared and begin < busy[1] and busy[0] < end:
                return False
        return True

    def is_limited(self, service_id: str, leaving: str = "") -> bool:
        """Whether the customer, of whom there is one, has as many to come as the service allows."""
        upcoming = [
            found
            for found in self.live(leaving)
            if found.appointment_id and found.service_id == service_id and found.start > self.now
        ]
        return service_id == SPA.id and len(upcoming) >= 2

    def seats_left(self, one: Reservation) -> int:
        """How many seats the session of a reservation has left."""
        session = [found for found in self.live() if found.session_id == one.session_id]
        return SERVICES[one.service_id].capacity - sum(found.seats for found in session)

    def expire_session(self, session_id: str) -> None:
        """Record what time has ended in a session."""
        for found in list(self.booked.values()):
            if found.session_id == session_id:
                self.expire(only=found.hold_id)

    def expire(self, only: str = "", in_the_way_of: Reservation | None = None) -> int:
        """Record what time has ended, and answer how many holds that were."""
        stale = [
            found
            for found in self.booked.values()
            if found.state is State.HELD
            and found.expires_at <= self.now
            and only in ("", found.hold_id)
            and (in_the_way_of is None or _meet(found, in_the_way_of))
        ]
        for found in stale:
            self.keep(found, state=State.EXPIRED, update_time=found.expires_at)
        return len(stale)

    def keep(self, before: Reservation, **changes: object) -> Reservation:
        told = {"update_time": self.now, "revision": before.revision + 1, **changes}
        after = before._replace(**told)  # type: ignore[arg-type]
        self.booked[before.hold_id] = after
        return after


def room(service: Service) -> tuple[str, ...]:
    """The resources that a service takes."""
    return tuple(one_of[0] for one_of in service.resource_requirements)


def _has_had_enough(live: Iterable[Reservation], service: Service, staff_id: str) -> bool:
    """Whether a staff member gives as many cuts as they may: all are in one week."""
    cuts = [one for one in live if (one.service_id, one.staff_id) == (CUT.id, staff_id)]
    return service.id == CUT.id and len(cuts) >= 2


def _taken(service: Service, start: int) -> tuple[int, int]:
    return start - service.buffer_before, start + service.duration + service.buffer_after


def _meet(one: Reservation, other: Reservation) -> bool:
    """Whether they take something in common at the same time."""
    (begin, end), (since, until) = (
        _taken(SERVICES[found.service_id], found.start) for found in (one, other)
    )
    shared = set(subjects_of(one)) & set(subjects_of(other))
    return bool(shared) and since < end and begin < until


def _classes(
    live: Iterable[Reservation], service: Service, start: int
) -> list[tuple[Reservation, int]]:
    """The sessions that start then, each with one of its reservations and the seats taken."""
    same = [one for one in live if one.service_id == service.id and one.start == start]
    taken = {one.session_id: 0 for one in same}
    for one in same:
        taken[one.session_id] += one.seats
    first = {one.session_id: one for one in reversed(same)}
    return [(first[session_id], seats) for session_id, seats in taken.items()]
