"""Appends made event by event, and a plain model of what a store must read afterwards.

`Script` builds the events by hand rather than by commands: so it reaches states
that the rules of booking do not allow, and a fault of theirs cannot hide one of
the store.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from zimun.booking.store import Append, IdempotencyKey, LedgerStore, StoredResponse
from zimun.domain.catalog.entries import Organization
from zimun.domain.instant import DAY
from zimun.domain.intervals import Interval
from zimun.domain.ledger.blocks import block_numbers
from zimun.domain.ledger.events import (
    CatalogEvent,
    CatalogValue,
    Event,
    EventType,
    ReservationEvent,
    Session,
    member_of,
)
from zimun.domain.ledger.evolve import evolve
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import BLOCK, Allocation, BlockKey, Loaded, Needs
from zimun.domain.ledger.reservation import LIVE, Reservation, State

from .factories import make_hold
from .sample_catalog import CUT, NOW, ORG

OTHER = "o_other"
"""An organization beside the salon."""

UNKNOWN = "unknown"
"""An id that nothing has."""

KEY = IdempotencyKey("c_desk", "Hold", "key")


@dataclass
class Model:
    """Everything that one organization's events come to; every question looks through all."""

    org_id: str
    time: int = 0
    catalog_version: int = 0
    events: list[Event] = field(default_factory=list)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    responses: dict[IdempotencyKey, StoredResponse] = field(default_factory=dict)

    @property
    def seq(self) -> int:
        """The number of the last event."""
        return len(self.events)

    def add(self, event: Event) -> None:
        """Take up the next event."""
        self.events.append(event)
        if isinstance(event, CatalogEvent):
            self.catalog_version = self.seq
            return
        self.reservations[event.reservation.hold_id] = event.reservation
        for session in event.sessions:
            members = {
                hold_id: member_of(reservation)
                for hold_id, reservation in self.reservations.items()
                if reservation.session_id == session.session_id and reservation.state in LIVE
            }
            self.sessions.pop(session.session_id, None)
            if members:
                self.sessions[session.session_id] = session.with_members(members)

    def block(self, key: BlockKey) -> tuple[Allocation, ...]:
        """What takes a subject within a block, in order."""
        subject, number = key
        return tuple(
            sorted(
                Allocation(*session.busy, session.until, session.start, session.session_id)
                for session in self.sessions.values()
                if subject in session.subjects
                and session.busy[0] < (number + 1) * BLOCK
                and session.busy[1] > number * BLOCK
            )
        )

    def group_block(self, key: BlockKey) -> set[str]:
        """The sessions of a service, or of all services, that start within a block."""
        owner_id, number = key
        return {
            session.session_id
            for session in self.sessions.values()
            if owner_id in (session.service_id, self.org_id) and session.start // BLOCK == number
        }

    def last_booked(self, staff_id: str) -> int:
        """When a staff member was last booked, as far as that still stands."""
        sessions = self.sessions.values()
        return max((one.booked_at for one in sessions if one.staff_id == staff_id), default=0)

    def needs(self) -> Needs:
        """All that there is, the blocks beside it, and of everything one more."""
        ever = [
            session
            for event in self.events
            if isinstance(event, ReservationEvent)
            for session in event.sessions
        ]
        subjects = {UNKNOWN, *chain.from_iterable(session.subjects for session in ever)}
        busy = {session.busy for session in ever} | {(NOW, NOW + 1)}
        numbers = {
            number for begin, end in busy for number in block_numbers(begin - BLOCK, end + BLOCK)
        }
        services = {UNKNOWN, self.org_id, *(session.service_id for session in ever)}
        appointment_ids = {one.appointment_id for one in self.reservations.values()} - {""}
        return Needs(
            blocks={(subject, number) for subject in subjects for number in numbers},
            group_blocks={(service_id, number) for service_id in services for number in numbers},
            hold_ids={UNKNOWN, *self.reservations},
            appointment_ids={UNKNOWN, *appointment_ids},
            session_ids={UNKNOWN, *self.sessions},
            staff_ids={UNKNOWN, *(session.staff_id for session in ever)} - {""},
        )

    def ledger(self) -> Ledger:
        """A ledger that has loaded all of it."""
        needs = self.needs()
        empty = Ledger(self.org_id, self.seq, self.time, self.catalog_version)
        allocations = [
            (subject, allocation) for subject, n in needs.blocks for allocation in
            self.block((subject, n))
        ]  # fmt: skip
        return empty.with_loaded(
            Loaded(
                needs,
                list(dict.fromkeys(allocations)),
                list(self.sessions.values()),
                list(self.reservations.values()),
                {staff_id: self.last_booked(staff_id) for staff_id in needs.staff_ids},
            )
        )


class Script:
    """The events of one organization that come next, as `Append`s.

    `model` has all of them; `written` makes those so far part of what the next
    append is decided on.
    """

    def __init__(self, org_id: str = ORG) -> None:
        self.model = Model(org_id)
        self.time = NOW
        self.longest_span = 0
        self.written()

    def written(self) -> None:
        """The events so far are in the store."""
        self._before = self.model.ledger()
        self._events: list[Event] = []
        self._responses: dict[IdempotencyKey, StoredResponse] = {}
        self.longest_span = 0

    def append(self) -> Append:
        """The events that are not in the store yet."""
        after = self._before
        for event in self._events:
            after = evolve(after, event)
        return Append(
            self._before,
            after,
            tuple(self._events),
            self.time,
            dict(self._responses),
            self.longest_span,
        )

    async def write(self, store: LedgerStore) -> None:
        """Append, where nobody else does."""
        self.model.time = self.time
        assert await store.append([self.append()]) == {self.model.org_id}
        self.written()

    def add(self, event: Event) -> None:
        """An event of any kind."""
        self._events.append(event)
        self.model.add(event)

    def put(self, *values: CatalogValue, client_id: str = "c_desk") -> None:
        """Changes of the catalogue."""
        for value in values:
            self.add(CatalogEvent(client_id, value))

    def organization(self) -> None:
        """The organization itself, without which its ledger is not begun."""
        self.put(Organization(id=self.model.org_id, name="Salon", time_zone="UTC"))

    def keep(self, key: IdempotencyKey, response: StoredResponse) -> None:
        """A response to keep."""
        self._responses[key] = self.model.responses[key] = response

    def hold(
        self,
        number: int,
        *,
        busy: Interval | None = None,
        capacity: int = 1,
        booked_at: int = NOW,
        **changes: Any,
    ) -> Reservation:
        """A reservation of `make_hold`, in a session of its own or in the one that it names.

        `busy` is what a new session takes, without buffers unless it says so.
        """
        made = make_hold(number, **{"org_id": self.model.org_id, **changes})
        session = self.model.sessions.get(made.session_id) or _session(
            made, busy or (made.start, made.end), capacity, booked_at
        )
        after = session.joined_by(made) if made.state in LIVE else session
        self.add(ReservationEvent(EventType.HOLD_CREATED, "c_desk", made, [after]))
        return made

    def change(self, kind: EventType, number: int, **changes: Any) -> Reservation:
        """A change of reservation `number` where it is."""
        before = self.model.reservations[f"h_{number}"]
        after = before._replace(revision=before.revision + 1, update_time=self.time, **changes)
        session = self.model.sessions[before.session_id]
        live = after.state in LIVE
        session = session.joined_by(after) if live else session.left_by(after.hold_id)
        self.add(ReservationEvent(kind, "c_desk", after, [session]))
        return after

    def confirm(self, number: int, **changes: Any) -> Reservation:
        """The hold as an appointment."""
        confirmed = {"state": State.CONFIRMED, "appointment_id": f"a_{number}"}
        changes = {**confirmed, "confirm_time": self.time, **changes}
        return self.change(EventType.APPOINTMENT_CONFIRMED, number, **changes)

    def extend(self, number: int, expires_at: int) -> Reservation:
        """The hold with another expiry."""
        return self.change(EventType.HOLD_EXTENDED, number, expires_at=expires_at)

    def release(self, number: int) -> Reservation:
        """The hold given back."""
        return self.change(EventType.HOLD_RELEASED, number, state=State.RELEASED)

    def expire(self, number: int) -> Reservation:
        """The hold recorded as expired."""
        return self.change(EventType.HOLD_EXPIRED, number, state=State.EXPIRED)

    def cancel(self, number: int) -> Reservation:
        """The appointment called off."""
        return self.change(EventType.APPOINTMENT_CANCELLED, number, state=State.CANCELLED)

    def move(self, number: int, session_id: str, capacity: int = 1, **changes: Any) -> Reservation:
        """The reservation in another session, new or as it is."""
        before = self.model.reservations[f"h_{number}"]
        after = before._replace(
            session_id=session_id,
            revision=before.revision + 1,
            update_time=self.time,
            **changes,
        )
        left = self.model.sessions[before.session_id].left_by(before.hold_id)
        session = self.model.sessions.get(session_id) or _session(
            after, (after.start, after.end), capacity, self.time
        )
        joined = session.joined_by(after)
        kind = EventType.APPOINTMENT_RESCHEDULED
        self.add(ReservationEvent(kind, "c_desk", after, [left, joined]))
        return after


def _session(reservation: Reservation, busy: Interval, capacity: int, booked_at: int) -> Session:
    return Session(
        session_id=reservation.session_id,
        service_id=reservation.service_id,
        location_id=reservation.location_id,
        staff_id=reservation.staff_id,
        resource_ids=reservation.resource_ids,
        start=reservation.start,
        end=reservation.end,
        busy=busy,
        booked_at=booked_at,
        capacity=capacity,
    )


def response(text: bytes = b"\x00response\xff", expires_at: int = NOW + DAY) -> StoredResponse:
    """A response to keep; its fingerprint is its text backwards."""
    return StoredResponse(text[::-1], text, expires_at)


def begun(org_id: str = ORG) -> Script:
    """A script whose first append makes the organization, with one service in it."""
    script = Script(org_id)
    script.organization()
    script.put(CUT)
    return script


def by_id(sessions: Iterable[Session]) -> dict[str, Session]:
    """Sessions by their ids."""
    return {session.session_id: session for session in sessions}
