"""The ledger against a simple model: any order of calls, each answered as the model foretells.

The model keeps reservations in a dict and looks through all of them for every
question. After each step the tables must be exactly what it says: the same
reservations, the allocations that they imply and an event for every revision.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from zimun.clock import ManualClock
from zimun.domain.catalog import HOLD_LENGTH, Service
from zimun.domain.errors import (
    AppointmentNotFound,
    HoldConfirmed,
    HoldExpired,
    HoldLimitReached,
    HoldReleased,
    NotReschedulable,
    SlotUnavailable,
    ZimunError,
)
from zimun.domain.instant import DAY, MINUTE
from zimun.domain.reservation import HOLD_LIMIT, Reservation, State

from ..support.profiles import examples
from .salon import (
    ENGINES,
    NOW,
    SalonClient,
    at,
    check_ledger,
    is_live,
    open_salon,
    reservation_events,
    reservations_of,
    subjects_of,
)

STEP = 15 * MINUTE

CUT = Service(
    id="s_cut",
    name="Cut",
    duration=30 * MINUTE,
    buffer_after=15 * MINUTE,
    slot_step=STEP,
    horizon=60 * DAY,
    staff_ids=("t_ada", "t_ben"),
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
"""The morning on which everybody wants to come: no run gets so far."""

starts = st.integers(0, 7).map(lambda n: SOON + n * STEP)
picks = st.integers(0, 99)
"""Stands for one of the reservations there are, the latest being 0."""


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
        """Who could serve then: whoever is free, with the room, or gives a class with seats."""
        live = self.live(leaving)
        members = [one for one in service.staff_ids if staff_id in ("", one)]
        return {
            member
            for member in members
            if self._free(live, service, start, (member, *_room(service)))
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


def _room(service: Service) -> tuple[str, ...]:
    return tuple(one_of[0] for one_of in service.resource_requirements)


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


@dataclass(frozen=True)
class Refusal:
    """A call that was refused, and why."""

    error: type[ZimunError]


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
            SalonClient(self.runner.run(one.__aenter__()), clock) for one in self.opened
        ]
        self.client = self.clients[0]
        self._ask(open_salon(self.client.stores, SERVICES.values()))
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
        able = self.model.able(service, start, seats, staff_id)
        joins = self.model.joins(service, start, seats)
        found = self._ask(self.client.hold(start, service.id, staff_id=staff_id, seats=seats))
        if not able:
            assert found == Refusal(SlotUnavailable)
            return
        assert isinstance(found, Reservation), found
        self.model.expire(in_the_way_of=found)
        known = {one.session_id for one in self.model.booked.values()}
        assert found.staff_id in able
        assert found.session_id in joins if joins else found.session_id not in known
        assert (found.start, found.end) == (start, start + service.duration)
        assert (found.seats, found.resource_ids) == (seats, _room(service))
        assert (found.state, found.expires_at) == (State.HELD, self.model.now + HOLD_LENGTH)
        self.model.booked[found.hold_id] = found

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
        else:
            assert found == self.model.keep(before, state=State.CANCELLED)

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
        elif not able:
            assert found == Refusal(SlotUnavailable)
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
            able = self.model.able(service, start, seats)
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
