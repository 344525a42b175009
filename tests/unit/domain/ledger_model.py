"""A slow model of ledgers: it keeps every event and works everything out anew each time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from zimun.domain.availability.slots import Busy
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.entries import Service
from zimun.domain.commands import Command
from zimun.domain.instant import HOUR
from zimun.domain.ledger.events import FOREVER, Event, Member, ReservationEvent, Session
from zimun.domain.ledger.evolve import evolve
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import BLOCK, OPEN_BLOCK, Allocation, Loaded, Needs, NotLoaded
from zimun.domain.ledger.reservation import LIVE, Reservation, State

T = TypeVar("T")

EDGE = 2600 * BLOCK
"""Where one block ends and the next begins: the bookings of these tests lie on both sides."""

WITHIN = (EDGE - 5 * HOUR, EDGE + 5 * HOUR)


@dataclass
class Model:
    """Every event there was."""

    events: list[ReservationEvent] = field(default_factory=list)

    @property
    def reservations(self) -> dict[str, Reservation]:
        return {event.reservation.hold_id: event.reservation for event in self.events}

    @property
    def sessions(self) -> dict[str, Session]:
        """The sessions that have not ended."""
        facts = {one.session_id: one for event in self.events for one in event.sessions}
        members: dict[str, dict[str, Member]] = {}
        for found in self.reservations.values():
            if found.state in LIVE:
                until = FOREVER if found.state is State.CONFIRMED else found.expires_at
                own = members.setdefault(found.session_id, {})
                own[found.hold_id] = Member(found.seats, until)
        return {key: facts[key].with_members(some) for key, some in members.items()}

    def load(self, needs: Needs) -> Loaded:
        """What a store would answer."""
        sessions = self.sessions
        allocations = [
            (subject, Allocation(*one.busy, one.until, one.start, one.session_id))
            for one in sessions.values()
            for subject in one.subjects
            if any(subject == wanted and _touches(one, number) for wanted, number in needs.blocks)
        ]
        found = [
            one
            for one in self.reservations.values()
            if one.hold_id in needs.hold_ids
            or one.appointment_id in needs.appointment_ids
            or (one.appointment_id and one.contact.email.casefold() in needs.contacts)
        ]
        ids = needs.session_ids | {one.session_id for one in found}
        some = [
            one
            for one in sessions.values()
            if one.session_id in ids
            or (one.service_id, one.start // BLOCK) in needs.group_blocks
            or (one.service_id, OPEN_BLOCK) in needs.group_blocks
            or ("o_1", one.start // BLOCK) in needs.group_blocks
        ]
        last = {staff_id: self.last_booked(staff_id) for staff_id in needs.staff_ids}
        return Loaded(needs, allocations, some, found, last)

    def last_booked(self, staff_id: str) -> int:
        booked = [one.booked_at for one in self.sessions.values() if one.staff_id == staff_id]
        return max(booked, default=0)

    def busy(self, service: Service, now: int, leaving: Reservation | None = None) -> Busy:
        """What `Ledger.busy` must answer within WITHIN."""
        taken: dict[str, list[tuple[int, int]]] = {}
        sessions: dict[int, list[tuple[str, int]]] = {}
        for one in sorted(self.sessions.values(), key=lambda one: one.busy):
            members = one.members or {}
            stay = {
                key: member
                for key, member in members.items()
                if member.until > now and not (leaving and key == leaving.hold_id)
            }
            # A session from which somebody leaves counts while others stay.
            alone = leaving is not None and leaving.hold_id in members and not stay
            if one.until > now and not alone:
                for subject in one.subjects:
                    if subject in service.subjects("") and overlap(one.busy, WITHIN):
                        taken.setdefault(subject, []).append(one.busy)
            seats = sum(member.seats for member in stay.values())
            in_reach = WITHIN[0] <= one.start < WITHIN[1]
            if one.service_id == service.id and service.capacity > 1 and seats and in_reach:
                sessions.setdefault(one.start, []).append((one.session_id, seats))
        return Busy(taken, sessions)  # type: ignore[arg-type]


def _touches(session: Session, number: int) -> bool:
    is_within = session.busy[0] < (number + 1) * BLOCK and number * BLOCK < session.busy[1]
    return number == OPEN_BLOCK or is_within


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def check_nothing_sold_twice(model: Model) -> None:
    """Of one subject no two sessions overlap, recorded as over or not; seats suffice."""
    sessions = list(model.sessions.values())
    for n, one in enumerate(sessions):
        assert one.seats_taken <= one.capacity
        for other in sessions[:n]:
            shared = set(one.subjects) & set(other.subjects)
            assert not (shared and overlap(one.busy, other.busy)), (one, other)


@dataclass
class Keeper:
    """A ledger that loads from a model whatever it is asked for."""

    model: Model
    ledger: Ledger = field(default_factory=lambda: Ledger("o_1", 0, 0, 0))

    def query(self, query: Callable[[Ledger], T]) -> T:
        for _ in range(20):
            try:
                return query(self.ledger)
            except NotLoaded as lacking:
                self.ledger = self.ledger.with_loaded(self.model.load(lacking.needs))
        raise AssertionError("it never has what it needs")

    def do(self, command: Command, timetable: Timetable, now: int) -> Any:
        """The result of a command, whose events the model keeps."""
        decision = self.query(lambda ledger: command.decide(ledger, timetable, now, "c_1"))
        self.model.events += decision.events  # type: ignore[arg-type]
        self.evolve(decision.events)
        return decision.result

    def evolve(self, events: Sequence[Event]) -> None:
        for event in events:
            self.ledger = evolve(self.ledger, event)
        self.ledger = self.ledger.merged()
