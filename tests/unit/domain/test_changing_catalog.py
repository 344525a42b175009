"""Bookings while hours and time off change: the oracle judges each decision on a ledger."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from zimun.booking.catalog import UpdateEntry, UpdateOrganization
from zimun.booking.time_off import CreateTimeOff, DeleteTimeOff, UpdateTimeOff
from zimun.domain.appointment_commands import BookAppointment, UpdateAppointment
from zimun.domain.availability.slot_request import SlotRequest, resolve
from zimun.domain.availability.timetable import Timetable
from zimun.domain.booking_errors import (
    NotASlot,
    OutsideBookingWindow,
    OutsideRescheduleWindow,
    SlotUnavailable,
    TimeOffHasConflicts,
)
from zimun.domain.catalog.entries import Location, Service, StaffMember
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.catalog.weekly_hours import WeeklyHours, WeeklyHoursPeriod
from zimun.domain.commands import (
    CancelAppointment,
    Command,
    ConfirmHold,
    Decision,
    ExpireHold,
    Hold,
    ReleaseHold,
    RescheduleAppointment,
)
from zimun.domain.errors import InvalidRequest, ZimunError
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.ledger.events import CatalogEvent, ReservationEvent
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.reservation import Contact, Reservation, State

from ...support.profiles import examples
from .changing_catalog import (
    CLASS,
    CUT,
    DAYS,
    KIOSK,
    NOW,
    OWNERS,
    RULES,
    STAFF,
    STEP,
    WEEKS,
    ChangingModel,
    is_live,
    shown_times,
)
from .ledger_model import Keeper, check_nothing_sold_twice
from .oracle import Oracle
from .oracle_obstacles import refusal_of
from .slot_facts import facts

CONTACT = Contact(name="Sam", email="sam@example.com")

PLACES = [(CUT, "l_1"), (CUT, "l_1"), (CUT, "l_2"), (CLASS, "l_1"), (KIOSK, "l_1"), (KIOSK, "l_2")]

picks = st.integers(0, 99)
"""Stands for one of those there are, the latest being 0."""

starts = st.sampled_from([6, 7, 8, 46, 47, 48]) | st.integers(0, 79)
"""Stands for one of the starts of a service, twenty on each of four dates; for a few mostly."""

lengths = st.sampled_from([STEP, HOUR, 2 * HOUR, 4 * HOUR, DAY, 26 * HOUR])
rules = st.sampled_from(["", "", *RULES])
weeks = st.sampled_from(WEEKS)
periods = st.lists(
    st.builds(WeeklyHoursPeriod, valid_from=st.sampled_from(DAYS), weekly_hours=weeks),
    max_size=2,
    unique_by=lambda period: period.valid_from,
).map(tuple)


class ChangingCatalog(RuleBasedStateMachine):
    """A ledger that remembers and one that has just been loaded, beside the model and the
    oracle."""

    @initialize()
    def open(self) -> None:
        self.now, self.number, self.seq = NOW, 0, 0
        self.model = ChangingModel()
        self.early = Keeper(self.model)
        self.timetable = Timetable(self.model.catalog)

    # What callers ask for.

    @rule(
        where=st.sampled_from(PLACES),
        start=starts,
        seats=st.integers(1, 3),
        at_once=st.booleans(),
        staff_id=st.sampled_from(["", "", *STAFF]),
    )
    def book(
        self, where: tuple[Service, str], start: int, seats: int, at_once: bool, staff_id: str
    ) -> None:
        service, location_id = where
        seats = min(seats, service.capacity)
        staff_id = staff_id if staff_id in service.staff_ids else ""
        at = shown_times(service, location_id)[start]
        request = SlotRequest(service.id, location_id, staff_id, seats)
        n = self._next()
        hold = Hold(request, at, f"h_{n}", f"x_{n}")
        command = BookAppointment(hold, f"a_{n}", CONTACT) if at_once else hold
        oracle = Oracle(self.model.world(service.id, location_id, self.now, staff_id, seats))
        self._judge_choice(oracle, at, self._decide(command))

    @rule(pick=picks, start=starts, staff_id=st.sampled_from(["", "", *STAFF]))
    def move(self, pick: int, start: int, staff_id: str) -> None:
        before = self._appointment(pick)
        if before is None:
            return
        service = self.model.catalog.services[before.service_id]
        staff_id = staff_id if staff_id in service.staff_ids else ""
        at = shown_times(service, before.location_id)[start] if start % 4 else before.start
        n = self._next()
        command = RescheduleAppointment(before.appointment_id, at, staff_id, "", f"x_{n}")
        args = service.id, before.location_id, self.now, staff_id, before.seats, before
        oracle = Oracle(self.model.world(*args))
        found = self._decide(command)
        if self.now > before.start:
            assert isinstance(found, OutsideRescheduleWindow)
        elif at == before.start and self._can_keep(oracle, before):
            assert isinstance(found, Decision)
            assert not found.events
        else:
            self._judge_choice(oracle, at, found)

    def _can_keep(self, oracle: Oracle, before: Reservation) -> bool:
        """Whether neither hours nor time off forbid an appointment where it is."""
        there = oracle.world.staff_id in ("", before.staff_id) and oracle.opens <= before.start
        given = replace(oracle.world, taken=(), sessions=(), starts=(), staff_id=before.staff_id)
        alone = Oracle(given)
        free = alone.able_resources(before.start)
        return there and alone.facts(before.start).is_new and free >= {*before.resource_ids}

    def _judge_choice(self, oracle: Oracle, start: int, found: Decision | ZimunError) -> None:
        """A booking is refused for the oracle's first rule, and otherwise has what is free."""
        expected = refusal_of(oracle, start)
        if isinstance(found, ZimunError):
            assert _rule(found) == expected
            return
        assert expected == ""
        right, chosen = oracle.facts(start), found.result
        assert chosen.staff_id in (right.staff_ids or ("",))
        joined = {one.session_id: one for one in right.joinable}
        if right.joinable:
            assert chosen.session_id in joined
            assert chosen.resource_ids == joined[chosen.session_id].resource_ids
        else:
            assert {*chosen.resource_ids} <= oracle.able_resources(start)

    @rule(pick=picks, seats=st.integers(1, 4))
    def change_seats(self, pick: int, seats: int) -> None:
        before = self._appointment(pick)
        if before is None:
            return
        found = self._decide(UpdateAppointment(before.appointment_id, "", seats=seats))
        capacity = self.model.catalog.services[before.service_id].capacity
        args = before.service_id, before.location_id, self.now, "", 1, before
        oracle = Oracle(self.model.world(*args))
        others = {one.session_id: one.seats_taken for one in oracle.world.sessions}
        owners = "o_1", before.location_id, before.staff_id
        if seats <= before.seats:
            assert isinstance(found, Decision)
        elif seats > capacity:
            assert isinstance(found, InvalidRequest)
        elif oracle.time_off(before.start, *owners):
            assert isinstance(found, NotASlot)
        elif others.get(before.session_id, 0) + seats > capacity:
            assert isinstance(found, SlotUnavailable)
        else:
            assert isinstance(found, Decision)

    @rule(pick=picks, kind=st.sampled_from(["confirm", "confirm", "release", "cancel", "expire"]))
    def go_on(self, pick: int, kind: str) -> None:
        """Hours and time off do not prevent a change of a reservation that exists."""
        known = list(self.model.reservations.values())
        if not known:
            return
        one = known[-1 - pick % len(known)]
        commands: dict[str, Command] = {
            "confirm": ConfirmHold(one.hold_id, f"a_{self._next()}", CONTACT),
            "release": ReleaseHold(one.hold_id),
            "cancel": CancelAppointment(one.appointment_id or "a_none", "", ""),
            "expire": ExpireHold(one.hold_id),
        }
        held = one.state is State.HELD and is_live(one, self.now)
        may = {
            "confirm": held or bool(one.appointment_id),
            "release": not one.appointment_id,
            "cancel": one.state is State.CANCELLED
            or (one.state is State.CONFIRMED and self.now <= one.start),
            "expire": True,
        }
        assert isinstance(self._decide(commands[kind]), Decision) == may[kind]

    @rule(where=st.sampled_from(PLACES), seats=st.integers(1, 3))
    def search(self, where: tuple[Service, str], seats: int) -> None:
        """Just what the oracle calls free is offered, on all dates."""
        service, location_id = where
        seats = min(seats, service.capacity)
        asked = self.model.world(service.id, location_id, self.now, "", seats)
        request = SlotRequest(service.id, location_id, seats=seats)
        oracle = Oracle(asked)
        times = [start for start in oracle.instants() if oracle.opens <= start <= oracle.closes]
        within = (times[0], times[-1] + 1) if times else (NOW, NOW)
        slots = self.early.query(
            lambda ledger: (
                resolve(ledger, self.timetable, request)
                .search(ledger, self.now, within)
                .slots(asked.first, asked.last)
            )
        )
        expected = {start: oracle.facts(start) for start in times}
        offered = {slot.start: facts(slot) for slot in slots}
        assert offered == {
            start: one for start, one in expected.items() if one.is_new or one.joinable
        }

    # Time off.

    @rule(owner_id=st.sampled_from(OWNERS), start=starts, length=lengths, recurrence=rules,
          allow=st.booleans())  # fmt: skip
    def create_time_off(
        self, owner_id: str, start: int, length: int, recurrence: str, allow: bool
    ) -> None:
        begin = shown_times(CUT, "l_1")[start]
        new = TimeOff(
            id=f"f_{self._next()}",
            owner_id=owner_id,
            start=begin,
            end=begin + length,
            recurrence=recurrence,
        )
        met = self.model.met_by(new, self.now)
        self._judge_time_off(self._decide(CreateTimeOff(new, allow)), met, allow)

    @rule(pick=picks, start=starts, length=lengths, recurrence=rules, allow=st.booleans())
    def change_time_off(
        self, pick: int, start: int, length: int, recurrence: str, allow: bool
    ) -> None:
        before = self._time_off(pick)
        if before is None:
            return
        begin = shown_times(CUT, "l_1")[start] if start % 3 else before.start
        new = {"start": begin, "end": begin + length, "recurrence": recurrence}
        more = {} if recurrence else {"time_zone": ""}

        def edit(there: TimeOff) -> TimeOff:
            return replace(there, **new, **more)  # type: ignore[arg-type]

        met = self.model.met_by(edit(before), self.now) - self.model.met_by(before, self.now)
        found = self._decide(UpdateTimeOff(before.id, "", edit, allow))
        self._judge_time_off(found, met, allow)

    def _judge_time_off(self, found: Decision | ZimunError, met: set[str], allow: bool) -> None:
        if isinstance(found, ZimunError):
            assert isinstance(found, TimeOffHasConflicts)
            assert met
            assert not allow
            assert {one.hold_id for one in found.reservations} == met
            return
        assert allow or not met
        assert {one.hold_id for one in found.result.conflicts.reservations} == met
        assert found.result.conflicts.total == len(met)

    @rule(pick=picks)
    def delete_time_off(self, pick: int) -> None:
        before = self._time_off(pick)
        if before:
            assert isinstance(self._decide(DeleteTimeOff(before.id, "")), Decision)

    # Hours.

    @rule(week=weeks, later=periods)
    def change_hours_of_the_organization(
        self, week: WeeklyHours, later: tuple[WeeklyHoursPeriod, ...]
    ) -> None:
        self._change(UpdateOrganization("", _with_hours(week, later)))

    @rule(entry=st.sampled_from([(Location, "l_1"), (Location, "l_2"), (StaffMember, "t_ada"),
                                 (StaffMember, "t_ben"), (Service, "s_cut"), (Service, "s_class"),
                                 (Service, "s_kiosk")]),
          week=weeks, later=periods)  # fmt: skip
    def change_hours(
        self, entry: tuple[type[Any], str], week: WeeklyHours, later: tuple[WeeklyHoursPeriod, ...]
    ) -> None:
        self._change(UpdateEntry(*entry, "", _with_hours(week, later)))

    def _change(self, command: Command) -> None:
        found = self._decide(command)
        assert isinstance(found, Decision), found

    # Time.

    @rule(by=st.sampled_from([MINUTE, 10 * MINUTE, 3 * HOUR, 9 * HOUR]))
    def time_passes(self, by: int) -> None:
        self.now += by

    @invariant()
    def nothing_is_sold_twice(self) -> None:
        check_nothing_sold_twice(self.model)

    def _next(self) -> int:
        self.number += 1
        return self.number

    def _decide(self, command: Command) -> Decision | ZimunError:
        """Decide on both ledgers, which must agree, and keep the events."""
        late = Keeper(self.model, Ledger("o_1", self.seq, self.now, 0))
        outcomes = [_outcome(keeper, command, self.timetable, self.now)
                    for keeper in (self.early, late)]  # fmt: skip
        assert _compared(outcomes[0]) == _compared(outcomes[1])
        found = outcomes[0]
        if isinstance(found, Decision):
            self._keep(found)
        return found

    def _keep(self, decision: Decision) -> None:
        self.seq += len(decision.events)
        self.model.events += [
            event for event in decision.events if isinstance(event, ReservationEvent)
        ]
        self.early.evolve(decision.events)
        if decision.catalog is not None:
            assert any(isinstance(event, CatalogEvent) for event in decision.events)
            self.model.catalog = decision.catalog
            self.timetable = Timetable(decision.catalog)

    def _appointment(self, pick: int) -> Reservation | None:
        there = [one for one in self.model.reservations.values() if one.state is State.CONFIRMED]
        return there[-1 - pick % len(there)] if there else None

    def _time_off(self, pick: int) -> TimeOff | None:
        there = list(self.model.catalog.time_off.values())
        return there[-1 - pick % len(there)] if there else None


def _with_hours(week: WeeklyHours, later: Sequence[WeeklyHoursPeriod]) -> Callable[[Any], Any]:
    return lambda entry: replace(entry, weekly_hours=week, weekly_hours_periods=tuple(later))


def _outcome(
    keeper: Keeper, command: Command, timetable: Timetable, now: int
) -> Decision | ZimunError:
    try:
        return keeper.query(lambda ledger: command.decide(ledger, timetable, now, "c_1"))
    except ZimunError as error:
        return error


def _compared(outcome: Decision | ZimunError) -> object:
    """What both ledgers must agree on; which of several free staff members is chosen may differ."""
    if isinstance(outcome, Decision):
        return [type(event) for event in outcome.events]
    return type(outcome), outcome.metadata


def _rule(error: ZimunError) -> str:
    """The rule that a refusal names, as the oracle calls it."""
    if isinstance(error, NotASlot | OutsideBookingWindow):
        return error.metadata["rule"]
    return "TAKEN" if isinstance(error, SlotUnavailable) else error.reason


TestChangingCatalog = ChangingCatalog.TestCase
TestChangingCatalog.settings = examples(60, stateful_step_count=30)
