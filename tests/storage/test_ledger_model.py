"""The ledger against a simple model: any order of calls, each answered as the model foretells.

The model keeps reservations in a dict and looks through all of them for every
question. After each step the tables must be exactly what it says: the same
reservations, the allocations that they imply and an event for every revision.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from zimun.clock import ManualClock
from zimun.domain.appointment_commands import (
    CompleteAppointment,
    MarkNoShow,
    ReopenAppointment,
    UpdateAppointment,
)
from zimun.domain.booking_errors import (
    AppointmentNotStarted,
    HoldConfirmed,
    HoldExpired,
    HoldLimitReached,
    HoldReleased,
    LimitReached,
    NotCancellable,
    NotChangeable,
    NotReschedulable,
    OutsideBookingWindow,
    OutsideCancellationWindow,
    OutsideRescheduleWindow,
    OutsideUndoWindow,
    SlotUnavailable,
)
from zimun.domain.catalog.booking_limit import LimitSubject
from zimun.domain.catalog.entries import HOLD_LENGTH, Service
from zimun.domain.errors import AppointmentNotFound, InvalidRequest, ZimunError
from zimun.domain.instant import DAY, MINUTE
from zimun.domain.ledger.reservation import HOLD_LIMIT, Reservation, State

from ..support.profiles import examples
from .booking_client import BookingClient
from .booking_model import SERVICES, SOON, STEP, Model, room
from .engines import ENGINES
from .ledger_check import check_ledger, is_live, reservation_events, reservations_of
from .sample_catalog import NOW, SAM, create_salon

starts = st.integers(0, 7).map(lambda n: SOON + n * STEP)
picks = st.integers(0, 99)
"""Stands for one of the reservations there are, the latest being 0."""


@dataclass(frozen=True)
class Refusal:
    """A call that was refused, and why."""

    error: type[ZimunError]


def refusals(service: Service) -> list[Refusal]:
    """Why no member can serve: they are taken, or have as many bookings as the service allows."""
    limited = any(limit.per is LimitSubject.STAFF_MEMBER for limit in service.booking_limits)
    return [Refusal(SlotUnavailable), *([Refusal(LimitReached)] if limited else [])]


class Ledger(RuleBasedStateMachine):
    """Two servers of one store beside the model."""

    @initialize()
    def open(self) -> None:
        self.directory = TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.engine = ENGINES["sqlite"](Path(self.directory.name))
        clock = ManualClock(NOW)
        # One that keeps what it has read, and one that keeps hardly anything.
        self.opened = [self.engine.open(clock), self.engine.open(clock, max_rows=1)]
        self.clients = [
            BookingClient(self.runner.run(one.__aenter__()), clock) for one in self.opened
        ]
        self.client = self.clients[0]
        self._ask(create_salon(self.client.stores, SERVICES.values()))
        self.model = Model()

    def teardown(self) -> None:
        for one in self.opened:
            self.runner.run(one.__aexit__(None, None, None))
        self.runner.close()
        self.directory.cleanup()

    def _ask(self, call: Awaitable[object]) -> object:
        """What the store answers."""

        async def run() -> object:
            try:
                return await call
            except ZimunError as error:
                return Refusal(type(error))

        return self.runner.run(run())

    def _picked(self, pick: int) -> Reservation | None:
        there = list(self.model.booked.values())
        return there[-1 - pick % len(there)] if there else None

    @rule(
        service=st.sampled_from(list(SERVICES.values())),
        start=starts,
        seats=st.integers(1, 4),
        staff_id=st.sampled_from(["", "", "t_ada", "t_ben"]),
    )
    def hold(self, service: Service, start: int, seats: int, staff_id: str) -> None:
        seats = min(seats, service.capacity)
        staff_id = staff_id if staff_id in service.staff_ids else ""
        hold = self.client.hold(start, service.id, staff_id=staff_id, seats=seats)
        found = self._made(self._ask(hold), service, start, seats, staff_id)
        if found:
            assert (found.state, found.expires_at) == (State.HELD, self.model.now + HOLD_LENGTH)

    @rule(service=st.sampled_from(list(SERVICES.values())), start=starts, seats=st.integers(1, 4))
    def book(self, service: Service, start: int, seats: int) -> None:
        seats = min(seats, service.capacity)
        able = start >= self.model.now and self.model.able(service, start, seats)
        booking = self.client.book_at_once(start, service.id, seats=seats)
        answer = self._ask(booking)
        if able and self.model.is_limited(service.id):
            assert answer == Refusal(LimitReached)
            return
        found = self._made(answer, service, start, seats)
        if found:
            assert (found.state, found.revision) == (State.CONFIRMED, 2)
            assert (found.confirm_time, found.contact) == (self.model.now, SAM)

    def _made(
        self, found: object, service: Service, start: int, seats: int, staff_id: str = ""
    ) -> Reservation | None:
        """The reservation that was made, once it is as the model foretells; None if refused."""
        able = self.model.able(service, start, seats, staff_id)
        joins = self.model.joins(service, start, seats)
        if start < self.model.now:
            assert found == Refusal(OutsideBookingWindow)
            return None
        if not able:
            assert found in refusals(service)
            return None
        assert isinstance(found, Reservation), found
        self.model.expire(in_the_way_of=found)
        known = {one.session_id for one in self.model.booked.values()}
        assert found.staff_id in able
        assert found.session_id in joins if joins else found.session_id not in known
        assert (found.start, found.end) == (start, start + service.duration)
        assert (found.seats, found.resource_ids) == (seats, room(service))
        self.model.booked[found.hold_id] = found
        return found

    @rule(pick=picks)
    def extend(self, pick: int) -> None:
        if not (before := self._picked(pick)):
            return
        found = self._ask(self.client.extend(before.hold_id))
        limit = before.create_time + HOLD_LIMIT * HOLD_LENGTH
        if refusal := self._not_held(before):
            assert found == refusal
        elif before.expires_at >= limit:
            assert found == Refusal(HoldLimitReached)
        else:
            until = min(self.model.now + HOLD_LENGTH, limit)
            assert found == self.model.keep(before, expires_at=until)

    def _not_held(self, before: Reservation) -> Refusal | None:
        if before.appointment_id:
            return Refusal(HoldConfirmed)
        if before.state is State.RELEASED:
            return Refusal(HoldReleased)
        if not is_live(before, self.model.now):
            return Refusal(HoldExpired)
        return None

    @rule(pick=picks)
    def release(self, pick: int) -> None:
        if not (before := self._picked(pick)):
            return
        found = self._ask(self.client.release(before.hold_id))
        self.model.expire(only=before.hold_id)
        before = self.model.booked[before.hold_id]
        if before.appointment_id:
            assert found == Refusal(HoldConfirmed)
        elif before.state is State.HELD:
            assert found == self.model.keep(before, state=State.RELEASED)
        else:
            assert found == before

    @rule(pick=picks)
    def confirm(self, pick: int) -> None:
        if not (before := self._picked(pick)):
            return
        found = self._ask(self.client.confirm(before.hold_id))
        if before.appointment_id:
            assert found == before
        elif refusal := self._not_held(before):
            assert found == refusal
        elif self.model.is_limited(before.service_id):
            assert found == Refusal(LimitReached)
        else:
            assert isinstance(found, Reservation), found
            assert found.appointment_id.startswith("a_")
            assert found == self.model.keep(
                before,
                state=State.CONFIRMED,
                appointment_id=found.appointment_id,
                confirm_time=self.model.now,
                contact=found.contact,
            )

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        if not (before := self._picked(pick)):
            return
        found = self._ask(self.client.cancel(before.appointment_id or before.hold_id))
        if not before.appointment_id:
            assert found == Refusal(AppointmentNotFound)
        elif before.state is State.CANCELLED:
            assert found == before
        elif before.state is not State.CONFIRMED:
            assert found == Refusal(NotCancellable)
        elif self.model.now > before.start:
            assert found == Refusal(OutsideCancellationWindow)
        else:
            assert found == self.model.keep(before, state=State.CANCELLED)

    @rule(pick=picks, command=st.sampled_from([CompleteAppointment, MarkNoShow]))
    def record_outcome(self, pick: int, command: type[CompleteAppointment]) -> None:
        if not (before := self._picked(pick)):
            return
        found = self._ask(self.client.change(command(before.appointment_id or "a_none", "")))
        if not before.appointment_id:
            assert found == Refusal(AppointmentNotFound)
        elif before.state is command.outcome:
            assert found == before
        elif before.state is not State.CONFIRMED:
            assert found == Refusal(NotChangeable)
        elif self.model.now < before.start:
            assert found == Refusal(AppointmentNotStarted)
        else:
            changes = {"state": command.outcome, "outcome_time": self.model.now}
            assert found == self.model.keep(before, **changes)

    @rule(pick=picks)
    def reopen(self, pick: int) -> None:
        if not (before := self._picked(pick)):
            return
        command = ReopenAppointment(before.appointment_id or "a_none", "")
        found = self._ask(self.client.change(command))
        if not before.appointment_id:
            assert found == Refusal(AppointmentNotFound)
        elif before.state is State.CONFIRMED:
            assert found == before
        elif before.state is State.CANCELLED:
            assert found == Refusal(NotChangeable)
        elif self.model.now > before.outcome_time + DAY:
            assert found == Refusal(OutsideUndoWindow)
        else:
            assert found == self.model.keep(before, state=State.CONFIRMED, outcome_time=0)

    @rule(pick=picks, seats=st.integers(1, 5))
    def update_seats(self, pick: int, seats: int) -> None:
        if not (before := self._picked(pick)):
            return
        command = UpdateAppointment(before.appointment_id or "a_none", "", seats=seats)
        found = self._ask(self.client.change(command))
        if not before.appointment_id:
            assert found == Refusal(AppointmentNotFound)
        elif seats == before.seats:
            assert found == before
        elif before.state is not State.CONFIRMED:
            assert found == Refusal(NotChangeable)
        elif seats > SERVICES[before.service_id].capacity:
            assert found == Refusal(InvalidRequest)
        elif seats > before.seats + self.model.seats_left(before):
            assert found == Refusal(SlotUnavailable)
        else:
            if seats > before.seats:
                self.model.expire_session(before.session_id)
            assert found == self.model.keep(before, seats=seats)

    @rule()
    def the_morning_begins(self) -> None:
        """Appointments of the morning can have outcomes from then on."""
        if self.model.now < SOON:
            self.time_passes(SOON - self.model.now)

    @rule(pick=picks, start=starts)
    def reschedule(self, pick: int, start: int) -> None:
        if not (before := self._picked(pick)):
            return
        service = SERVICES[before.service_id]
        able = self.model.able(service, start, before.seats, leaving=before.hold_id)
        joins = self.model.joins(service, start, before.seats, leaving=before.hold_id)
        found = self._ask(self.client.reschedule(before.appointment_id or before.hold_id, start))
        if not before.appointment_id:
            assert found == Refusal(AppointmentNotFound)
        elif before.state is not State.CONFIRMED:
            assert found == Refusal(NotReschedulable)
        elif self.model.now > before.start:
            assert found == Refusal(OutsideRescheduleWindow)
        elif start < self.model.now:
            assert found == Refusal(OutsideBookingWindow)
        elif self.model.is_limited(before.service_id, before.hold_id):
            assert found == Refusal(LimitReached)
        elif not able:
            assert found in refusals(service)
        elif start == before.start and before.staff_id in able:
            assert found == before
        else:
            assert isinstance(found, Reservation), found
            assert found.staff_id == before.staff_id or before.staff_id not in able
            assert found.staff_id in able
            self.model.expire(in_the_way_of=found)
            known = {one.session_id for one in self.model.booked.values()}
            assert found.session_id in joins if joins else found.session_id not in known
            assert found == self.model.keep(
                before,
                start=start,
                end=start + service.duration,
                staff_id=found.staff_id,
                session_id=found.session_id,
            )

    @rule(amount=st.sampled_from([1, MINUTE, 5 * MINUTE, 10 * MINUTE - 1, 10 * MINUTE]))
    def time_passes(self, amount: int) -> None:
        self.model.now += amount
        self.client.clock.instant = self.model.now

    @rule(before=st.sampled_from([0, 1]))
    def the_next_hold_is_about_to_expire(self, before: int) -> None:
        """The instants that matter most, which chance would seldom hit."""
        due = [one.expires_at for one in self.model.live() if one.state is State.HELD]
        if due and min(due) - before >= self.model.now:
            self.time_passes(min(due) - before - self.model.now)

    @rule()
    def the_other_server_is_asked_from_now_on(self) -> None:
        self.clients.reverse()
        self.client = self.clients[0]

    @rule()
    def expire_holds(self) -> None:
        assert self._ask(self.client.expire_holds()) == self.model.expire()

    @rule(service=st.sampled_from(list(SERVICES.values())), seats=st.integers(1, 4))
    def search(self, service: Service, seats: int) -> None:
        """What is offered is what the model says could be held."""
        seats = min(seats, service.capacity)
        day = self.runner.run(self.client.slots(service.id, seats=seats, day=SOON))
        for n in range(8):
            start = SOON + n * STEP
            able = self.model.able(service, start, seats) if start >= self.model.now else set()
            assert set(day[start].staff_ids if start in day else ()) == able

    @invariant()
    def the_tables_are_what_the_model_says(self) -> None:
        tables = self.engine.tables()
        assert reservations_of(tables) == self.model.booked
        revisions = sum(one.revision for one in self.model.booked.values())
        assert len(reservation_events(tables)) == revisions
        check_ledger(tables, self.model.now, SERVICES)


TestLedger = Ledger.TestCase
TestLedger.settings = examples(40, stateful_step_count=40)
