"""Commands on a ledger and their decisions: the rules of booking, as pure functions.

A command is a plain value. `decide` returns the events of the change and the result
for the caller, or raises the error; it changes nothing. `now`
is the instant of the decision (ledger time, microseconds).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from zimun.domain.availability.assignment import choose
from zimun.domain.availability.nearest_slots import slot_unavailable
from zimun.domain.availability.opening_hours import local_date, segments
from zimun.domain.availability.slot_refusal import refusal_of
from zimun.domain.availability.slot_request import ResolvedRequest, SlotRequest, resolve
from zimun.domain.availability.slot_search import Search
from zimun.domain.availability.slots import Choice, Slot
from zimun.domain.availability.tallies import check_customer
from zimun.domain.availability.timetable import Timetable
from zimun.domain.booking_errors import SlotUnavailable
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Place, Service
from zimun.domain.errors import Overloaded
from zimun.domain.ignored_rules import NO_RULES, BookingRule, IgnoredRules, in_order
from zimun.domain.intervals import Interval
from zimun.domain.ledger import reservation as rules
from zimun.domain.ledger.events import Event, EventType, ReservationEvent, Session
from zimun.domain.ledger.evolve import evolve
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.reservation import LIVE, Contact, Reservation, State

MAX_EXPIRIES = 500
"""The most expiries that one decision records: some 50 ms."""


class Decision(NamedTuple):
    """The outcome of a command: its events (none where nothing changes), its result, and the
    catalogue after it where it changes that."""

    events: Sequence[Event]
    result: Any
    catalog: Catalog | None = None


class Command(Protocol):
    """A change that a caller asks for, or that time brings about."""

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """The decision at `now` for a client (empty: no client, as for the expiry of a hold).

        Raises the ZimunError that refuses the command, and NotLoaded.
        """


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep a slot for the organization's hold length; the ids are for the hold and a new
    session."""

    request: SlotRequest
    start: int
    hold_id: str
    session_id: str

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises what `resolve` raises, and the refusal of a start that is no slot."""
        resolved = resolve(ledger, timetable, self.request)
        search = resolved.search_at(ledger, now, self.start)
        slot = _find_slot(ledger, resolved, search, self.start)
        choice = _choose(ledger, search, slot)
        events = _expiries_before(ledger, search, choice, now)
        service = search.service
        held = Reservation(
            org_id=ledger.org_id,
            hold_id=self.hold_id,
            session_id=choice.session_id or self.session_id,
            service_id=service.id,
            location_id=search.place.id,
            staff_id=choice.staff_id,
            resource_ids=choice.resource_ids,
            seats=search.seats,
            start=self.start,
            end=self.start + service.duration,
            state=State.HELD,
            expires_at=now + timetable.catalog.organization.hold_length,
            create_time=now,
            update_time=now,
        )
        session = _session_for(evolved(ledger, events), service, held, now, bool(choice.session_id))
        ignored = in_order(self.request.ignored)
        event = ReservationEvent(EventType.HOLD_CREATED, client_id, held, (session,), ignored)
        return Decision([*events, event], held)


@dataclass(frozen=True, slots=True)
class ExtendHold:
    """Extend a hold to the organization's hold length from now, within its limit."""

    hold_id: str

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises HoldNotFound and what `reservation.extend` raises."""
        before = ledger.reservation(self.hold_id)
        after = rules.extend(before, now, timetable.catalog.organization.hold_length)
        return reservation_decision(ledger, EventType.HOLD_EXTENDED, client_id, before, after)


@dataclass(frozen=True, slots=True)
class ReleaseHold:
    """Release a hold; an expired or released hold stays as it is."""

    hold_id: str

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises HoldNotFound or HoldConfirmed."""
        before = ledger.reservation(self.hold_id)
        if (expired := rules.as_of(before, now)) is not before:
            return reservation_decision(ledger, EventType.HOLD_EXPIRED, "", before, expired)
        after = rules.release(before, now)
        return reservation_decision(ledger, EventType.HOLD_RELEASED, client_id, before, after)


@dataclass(frozen=True, slots=True)
class ConfirmHold:
    """Make a hold an appointment with the given id; a confirmed hold stays as it is."""

    hold_id: str
    appointment_id: str
    contact: Contact
    ignored: IgnoredRules = NO_RULES

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises HoldNotFound, HoldExpired, HoldReleased, or LimitReached for the contact."""
        before = ledger.reservation(self.hold_id)
        after = rules.confirm(before, now, self.appointment_id, self.contact)
        if after is not before and BookingRule.LIMITS not in self.ignored:
            check_customer(ledger, timetable.catalog, after, now)
        kind = EventType.APPOINTMENT_CONFIRMED
        return reservation_decision(ledger, kind, client_id, before, after, self.ignored)


@dataclass(frozen=True, slots=True)
class CancelAppointment:
    """Cancel an appointment; `etag`, where given, must be the present one."""

    appointment_id: str
    reason: str
    etag: str
    ignored: IgnoredRules = NO_RULES

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises AppointmentNotFound and what `reservation.cancel` raises."""
        before = ledger.appointment(self.appointment_id)
        service = timetable.catalog.entry(Service, before.service_id)
        after = rules.cancel(before, now, service, self.reason, self.etag, self.ignored)
        kind = EventType.APPOINTMENT_CANCELLED
        return reservation_decision(ledger, kind, client_id, before, after, self.ignored)


@dataclass(frozen=True, slots=True)
class RescheduleAppointment:
    """Move an appointment in one step; `session_id` is for a new session."""

    appointment_id: str
    start: int
    staff_id: str
    etag: str
    session_id: str
    ignored: IgnoredRules = NO_RULES

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises AppointmentNotFound, what `reservation.check_movable` raises, and as `Hold`.

        A move to its own start changes nothing, whatever is booked, even if its session has sold
        more seats than the service has by now. Where its staff member or resources cannot serve
        it any more, it moves to others at that start.
        """
        before = ledger.appointment(self.appointment_id)
        request = SlotRequest(
            service_id=before.service_id,
            staff_id=self.staff_id,
            ignore_appointment_id=self.appointment_id,
            ignored=self.ignored,
        )
        resolved = resolve(ledger, timetable, request)
        rules.check_movable(before, now, resolved.service, self.etag, self.ignored)
        search = resolved.search_at(ledger, now, self.start)
        is_at_start = self.start == before.start
        if is_at_start and search.can_keep(before.staff_id, before.resource_ids, self.start):
            return Decision((), before)
        slot = _find_slot(ledger, resolved, search, self.start)
        if before.staff_id in slot.staff_ids:
            slot = slot.given_by(before.staff_id)
        choice = _choose(ledger, search, slot)
        session = ledger.session(before.session_id)
        events = _expiries_before(ledger, search, choice, now, session)
        cleared = evolved(ledger, events)
        after = rules.move(
            before,
            now,
            self.start,
            self.start + search.service.duration,
            choice.session_id or self.session_id,
            choice.staff_id,
            choice.resource_ids,
        )
        moved = _session_for(cleared, search.service, after, now, bool(choice.session_id))
        stays = after.session_id == before.session_id
        left = () if stays else (cleared.session(before.session_id).left_by(before.hold_id),)
        kind, ignored = EventType.APPOINTMENT_RESCHEDULED, in_order(self.ignored)
        event = ReservationEvent(kind, client_id, after, (*left, moved), ignored)
        return Decision([*events, event], after)


@dataclass(frozen=True, slots=True)
class ExpireHold:
    """Record that a hold has expired; the result is whether there was an expiry to record."""

    hold_id: str

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises HoldNotFound."""
        before = ledger.reservation(self.hold_id)
        after = rules.as_of(before, now)
        events, _, _ = reservation_decision(ledger, EventType.HOLD_EXPIRED, "", before, after)
        return Decision(events, bool(events))


def reservation_decision(
    ledger: Ledger,
    kind: EventType,
    client_id: str,
    before: Reservation,
    after: Reservation,
    ignored: IgnoredRules = NO_RULES,
) -> Decision:
    """The decision that changes a reservation in place; without an event where nothing changed."""
    if after is before:
        return Decision((), before)
    if before.state not in LIVE:
        # The reservation has left its session, which may have ended.
        return Decision([ReservationEvent(kind, client_id, after, ())], after)
    session = ledger.session(before.session_id)
    live = after.state in LIVE
    session = session.joined_by(after) if live else session.left_by(after.hold_id)
    event = ReservationEvent(kind, client_id, after, (session,), in_order(ignored))
    return Decision([event], after)


def _session_for(
    ledger: Ledger, service: Service, reservation: Reservation, now: int, joins: bool
) -> Session:
    """The session that a reservation joins, with it, or a new session of its own."""
    if joins:
        session = ledger.session(reservation.session_id)._replace(capacity=service.capacity)
        return session.joined_by(reservation)
    return Session(
        session_id=reservation.session_id,
        service_id=service.id,
        location_id=reservation.location_id,
        staff_id=reservation.staff_id,
        resource_ids=reservation.resource_ids,
        start=reservation.start,
        end=reservation.end,
        busy=service.taken(reservation.start),
        booked_at=now,
        capacity=service.capacity,
    ).joined_by(reservation)


def _find_slot(ledger: Ledger, resolved: ResolvedRequest, search: Search, start: int) -> Slot:
    """The slot at a start; raises its refusal: a SlotUnavailable has alternatives."""
    if slot := search.find_slot(start):
        return slot
    error = refusal_of(search, start)
    if isinstance(error, SlotUnavailable):
        error = slot_unavailable(ledger, resolved, search.now, start)
    raise error


def _choose(ledger: Ledger, search: Search, slot: Slot) -> Choice:
    """Choose the staff member and the resources of a slot; raises NotLoaded."""
    if slot.joinable or len(slot.staff_ids) < 2:
        return choose(slot, {})
    day = _day_of(search.place, slot.start)
    return choose(slot, ledger.staff_load(slot.staff_ids, day, search.now))


def _day_of(place: Place, instant: int) -> Interval:
    """The date of the place that an instant falls on, as an interval."""
    shown = segments(place.time_zone, local_date(place.time_zone, instant))
    return shown[0].start, shown[-1].end


def _expiries_before(
    ledger: Ledger,
    search: Search,
    choice: Choice,
    now: int,
    left: Session | None = None,
) -> list[Event]:
    """The expiries that must be recorded before a choice takes its place.

    Holds that have expired take their subjects in the tables until that is
    recorded, and their seats in the session that is joined or `left`.
    """
    expired = search.busy.expired
    subjects = choice.subjects(search.service.id, search.place.id)
    session_ids = {session_id for subject in subjects for session_id in expired.get(subject, ())}
    sessions = [ledger.session(session_id) for session_id in sorted(session_ids)]
    sessions += [ledger.session(choice.session_id)] if choice.session_id else []
    sessions += [left] if left else []
    return expiries(ledger, sessions, now)


def expiries(ledger: Ledger, sessions: Iterable[Session], now: int) -> list[Event]:
    """The expiries to record of the holds in some sessions; raises Overloaded for very many."""
    hold_ids = dict.fromkeys(
        hold_id
        for session in sessions
        for hold_id, member in sorted((session.members or {}).items())
        if member.until <= now
    )
    if len(hold_ids) > MAX_EXPIRIES:
        raise Overloaded("the expiry of many holds of this time is being recorded")
    events: list[Event] = []
    for hold_id in hold_ids:
        before = ledger.reservation(hold_id)
        after = rules.as_of(before, now)
        expired = reservation_decision(ledger, EventType.HOLD_EXPIRED, "", before, after).events
        ledger = evolved(ledger, expired)
        events += expired
    return events


def evolved(ledger: Ledger, events: Sequence[Event]) -> Ledger:
    """The ledger after some events."""
    for event in events:
        ledger = evolve(ledger, event)
    return ledger
