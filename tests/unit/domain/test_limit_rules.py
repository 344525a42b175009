"""The sentences of docs/availability.md about limits of bookings."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zimun.domain.appointment_commands import (
    BookAppointment,
    CompleteAppointment,
    UpdateAppointment,
)
from zimun.domain.availability.slot_request import SlotRequest, resolve
from zimun.domain.availability.tallies import periods
from zimun.domain.availability.timetable import Timetable
from zimun.domain.booking_errors import LimitReached, SlotUnavailable
from zimun.domain.catalog.booking_limit import BookingLimit, LimitPeriod, LimitSubject
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Location, Service
from zimun.domain.commands import (
    CancelAppointment,
    Command,
    ConfirmHold,
    Hold,
    ReleaseHold,
    RescheduleAppointment,
)
from zimun.domain.ignored_rules import BookingRule
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.ledger.reservation import Contact, Reservation

from ...support.profiles import examples
from . import build
from .ledger_model import Keeper, Model
from .oracle import period_of, wall
from .random_worlds import dates_of

MONDAY = build.utc("2026-01-05T09:00")
NOW = MONDAY - DAY
SAM, EVE = Contact(email="sam@example.com"), Contact(email="eve@example.com")


def limit(period: str, per: str, most: int = 1) -> BookingLimit:
    return BookingLimit(max_bookings=most, period=LimitPeriod(period), per=LimitSubject(per))


def cut(**changes: Any) -> Service:
    return build.service(**{"duration": HOUR, "slot_step": HOUR, **changes})


@dataclass
class Salon:
    """A ledger of a catalogue, and the time."""

    catalog: Catalog
    now: int = NOW
    keeper: Keeper = field(default_factory=lambda: Keeper(Model()))
    count: int = 0

    def run(self, command: Command) -> Reservation:
        timetable = Timetable(self.catalog)
        decision = self.keeper.query(
            lambda ledger: command.decide(ledger, timetable, self.now, "c")
        )
        self.keeper.model.events += decision.events  # type: ignore[arg-type]
        self.keeper.evolve(decision.events)
        result: Reservation = decision.result
        return result

    def hold(self, start: int, service_id: str = "s_1", **asked: Any) -> Reservation:
        self.count += 1
        request = SlotRequest(service_id, **asked)
        return self.run(Hold(request, start, f"h_{self.count}", f"x_{self.count}"))

    def book(
        self, start: int, service_id: str = "s_1", contact: Contact = SAM, **asked: Any
    ) -> Reservation:
        self.count += 1
        request = SlotRequest(service_id, **asked)
        hold = Hold(request, start, f"h_{self.count}", f"x_{self.count}")
        return self.run(BookAppointment(hold, f"a_{self.count}", contact))

    def move(self, booked: Reservation, start: int) -> Reservation:
        self.count += 1
        one = booked.appointment_id
        return self.run(RescheduleAppointment(one, start, "", "", f"x_{self.count}"))


def salon(*limits: BookingLimit, **changes: Any) -> Salon:
    """A salon whose service has limits."""
    return Salon(build.catalog(cut(booking_limits=limits, **changes)))


@pytest.mark.parametrize(
    ("period", "within", "beyond"),
    [
        ("DAY", MONDAY + 14 * HOUR, MONDAY + 15 * HOUR),
        ("WEEK", MONDAY + 6 * DAY + 14 * HOUR, MONDAY + 7 * DAY - 9 * HOUR),
        ("MONTH", build.utc("2026-01-31T23:00"), build.utc("2026-02-01T00:00")),
    ],
)
def test_bookings_count_in_the_period_in_which_they_start(
    period: str, within: int, beyond: int
) -> None:
    """A week begins on Monday; the first of them starts within it, on its last date."""
    known = salon(limit(period, "SERVICE"))
    known.book(MONDAY)
    with pytest.raises(LimitReached) as refused:
        known.hold(within)
    assert build.utc(refused.value.metadata["ends"][:16]) == beyond - beyond % DAY
    known.hold(beyond)
    with pytest.raises(LimitReached):
        known.hold(beyond + 10 * HOUR)


def test_upcoming_bookings_are_those_that_have_not_started() -> None:
    known = salon(limit("UPCOMING", "SERVICE", 2))
    for start in (MONDAY, MONDAY + 300 * DAY):
        known.book(start)
    with pytest.raises(LimitReached) as refused:
        known.hold(MONDAY + DAY)
    assert refused.value.metadata["ends"] == "2026-01-05T09:00:00Z"
    known.now = MONDAY
    known.hold(MONDAY + DAY)


def test_an_organizations_limit_counts_all_its_services_and_a_services_its_own() -> None:
    ours = limit("DAY", "CUSTOMER", 2)
    known = Salon(
        build.catalog(
            cut(booking_limits=(limit("DAY", "CUSTOMER"),)),
            cut(id="s_2"),
            organization=build.organization(booking_limits=(ours,)),
        )
    )
    known.book(MONDAY)
    with pytest.raises(LimitReached) as of_service:
        known.book(MONDAY + HOUR)
    assert of_service.value.metadata["owner_id"] == "s_1"
    known.book(MONDAY + HOUR, "s_2")
    with pytest.raises(LimitReached) as of_organization:
        known.book(MONDAY + 2 * HOUR, "s_2")
    assert of_organization.value.metadata["owner_id"] == "o_1"


def test_a_limit_per_service_counts_each_service_by_itself_at_all_its_locations() -> None:
    places: list[Location] = [build.location(), build.location(id="l_2")]
    both = ("l_1", "l_2")
    known = Salon(
        build.catalog(
            cut(location_ids=both),
            cut(id="s_2", location_ids=both),
            organization=build.organization(booking_limits=(limit("DAY", "SERVICE"),)),
            locations=places,
        )
    )
    known.book(MONDAY, location_id="l_1")
    with pytest.raises(LimitReached):
        known.hold(MONDAY, location_id="l_2")
    known.hold(MONDAY, "s_2", location_id="l_2")


def of_one_member(
    *limits: BookingLimit, ours: tuple[BookingLimit, ...] = (), daily_limit: int = 0
) -> Salon:
    """Two services that the same staff member gives; the first has limits."""
    return Salon(
        build.catalog(
            cut(staff_ids=("t_1",), booking_limits=limits),
            cut(id="s_2", staff_ids=("t_1",)),
            organization=build.organization(booking_limits=ours),
            staff=[build.member(daily_limit=daily_limit)],
        )
    )


def test_limit_of_staff_counts_all_services_unless_it_is_of_a_service() -> None:
    once = limit("DAY", "STAFF_MEMBER")
    for known, refusal in (
        (of_one_member(ours=(once,)), LimitReached),
        (of_one_member(daily_limit=1), SlotUnavailable),
    ):
        known.book(MONDAY, "s_2")
        with pytest.raises(refusal):
            known.hold(MONDAY + HOUR)
    known = of_one_member(once)
    known.book(MONDAY, "s_2")
    known.hold(MONDAY + HOUR)


def test_limit_of_a_services_staff_counts_the_sessions_of_each_whoever_began_earlier() -> None:
    known = Salon(
        build.catalog(
            cut(staff_ids=("t_1", "t_2"), booking_limits=(limit("DAY", "STAFF_MEMBER"),)),
            staff=[build.member(), build.member(id="t_2")],
        )
    )
    for n, staff_id in enumerate(("t_2", "t_1")):
        known.book(MONDAY + n * HOUR, staff_id=staff_id)
    for staff_id in ("t_1", "t_2"):
        with pytest.raises(LimitReached):
            known.hold(MONDAY + 2 * HOUR, staff_id=staff_id)


@pytest.mark.parametrize("services", [("s_1", "s_2"), ("s_2", "s_1")])
def test_customer_limit_of_a_service_does_not_count_another_service(services: list[str]) -> None:
    once = (limit("DAY", "CUSTOMER"),)
    known = Salon(build.catalog(cut(booking_limits=once), cut(id="s_2", booking_limits=once)))
    for n, service_id in enumerate(services):
        known.book(MONDAY + n * HOUR, service_id)


@pytest.mark.parametrize("day", range(7))
def test_search_of_a_week_counts_the_bookings_of_each_of_its_dates(day: int) -> None:
    known = salon(limit("DAY", "SERVICE"))
    known.book(MONDAY + day * DAY)
    first = build.MONDAY
    within = (MONDAY - 9 * HOUR, MONDAY - 9 * HOUR + 7 * DAY)
    timetable, request = Timetable(known.catalog), SlotRequest("s_1")
    search = known.keeper.query(
        lambda ledger: resolve(ledger, timetable, request).search(ledger, known.now, within)
    )
    by_day = search.slots_by_day(first, first + timedelta(days=6))
    assert [n for n, slots in enumerate(by_day) if not slots] == [day]


def test_staff_members_and_resources_are_counted_each_by_itself() -> None:
    """A member at the limit is passed over; when all are, the limit is the reason."""
    ours = (limit("WEEK", "STAFF_MEMBER"), limit("WEEK", "RESOURCE", 2))
    known = Salon(
        build.catalog(
            cut(staff_ids=("t_1", "t_2", "t_3"), resource_requirements=(("r_1",),)),
            organization=build.organization(booking_limits=ours),
            staff=[build.member(id=f"t_{n}", name=f"Ada {n}") for n in (1, 2, 3)],
            resources=[build.resource()],
        )
    )
    staff = {known.book(MONDAY + n * HOUR).staff_id for n in range(2)}
    assert len(staff) == 2
    with pytest.raises(LimitReached) as refused:
        known.hold(MONDAY + 3 * HOUR, staff_id=min(staff))
    assert refused.value.metadata["subject_id"] == min(staff)
    with pytest.raises(LimitReached) as of_chair:
        known.hold(MONDAY + 3 * HOUR)
    assert of_chair.value.metadata["subject_id"] == "r_1"


def test_dates_are_those_of_the_place_and_for_staff_members_their_own() -> None:
    """At 16:00Z it is the next date in Tokyo."""
    for per, beyond in (("SERVICE", MONDAY + 15 * HOUR), ("STAFF_MEMBER", MONDAY + 6 * HOUR)):
        known = Salon(
            build.catalog(
                cut(staff_ids=("t_1",), booking_limits=(limit("DAY", per),)),
                staff=[build.member(time_zone="Asia/Tokyo")],
            )
        )
        known.book(MONDAY)
        with pytest.raises(LimitReached):
            known.hold(beyond - HOUR)
        known.hold(beyond)


def test_holds_count_until_they_are_over_and_cancelled_appointments_do_not() -> None:
    known = salon(limit("DAY", "SERVICE"))
    held = known.hold(MONDAY)
    with pytest.raises(LimitReached):
        known.hold(MONDAY + HOUR)
    known.run(ReleaseHold(held.hold_id))
    known.hold(MONDAY)
    known.now += HOUR
    booked = known.book(MONDAY + HOUR)
    known.run(CancelAppointment(booked.appointment_id, "", ""))
    known.hold(MONDAY + 2 * HOUR)


@pytest.mark.parametrize("per", ["SERVICE", "STAFF_MEMBER", "RESOURCE"])
@pytest.mark.parametrize("is_of_service", [True, False])
def test_hold_counts_until_the_instant_at_which_it_expires(per: str, is_of_service: bool) -> None:
    own, ours = [(limit("DAY", per),), ()][:: 1 if is_of_service else -1]
    offered = cut(staff_ids=("t_1",), resource_requirements=(("r_1",),), booking_limits=own)
    known = Salon(
        build.catalog(
            offered,
            organization=build.organization(booking_limits=ours),
            staff=[build.member()],
            resources=[build.resource()],
        )
    )
    known.now = known.hold(MONDAY).expires_at - 1
    with pytest.raises(LimitReached):
        known.hold(MONDAY + HOUR)
    known.now += 1
    known.hold(MONDAY + HOUR)


def test_appointments_with_an_outcome_count() -> None:
    known = salon(limit("DAY", "SERVICE"))
    booked = known.book(MONDAY)
    known.now = MONDAY
    known.run(CompleteAppointment(booked.appointment_id, ""))
    with pytest.raises(LimitReached):
        known.hold(MONDAY + HOUR)


def test_a_session_counts_once_and_joining_it_is_not_limited_but_for_customers() -> None:
    known = salon(limit("DAY", "SERVICE"), limit("DAY", "CUSTOMER"), capacity=3)
    known.book(MONDAY)
    known.book(MONDAY, contact=EVE)
    with pytest.raises(LimitReached) as refused:
        known.book(MONDAY)
    assert refused.value.metadata["per"] == "CUSTOMER"
    known.book(MONDAY, contact=Contact())
    with pytest.raises(SlotUnavailable):
        known.hold(MONDAY)
    with pytest.raises(LimitReached):
        known.hold(MONDAY + HOUR)


@pytest.mark.parametrize("per", ["SERVICE", "STAFF_MEMBER", "RESOURCE", "CUSTOMER"])
@pytest.mark.parametrize("period", list(LimitPeriod))
def test_an_appointment_that_moves_does_not_count_beside_itself(per: str, period: str) -> None:
    needs = {"staff_ids": ("t_1",), "resource_requirements": (("r_1",),)}
    offered = cut(booking_limits=(limit(period, per),), **needs)
    known = Salon(build.catalog(offered, staff=[build.member()], resources=[build.resource()]))
    booked = known.book(MONDAY)
    moved = known.move(booked, MONDAY + HOUR)
    assert moved.start == MONDAY + HOUR
    known.now = MONDAY
    later = known.book(MONDAY + 60 * DAY) if period != "UPCOMING" else None
    if later:
        with pytest.raises(LimitReached):
            known.move(later, MONDAY + 2 * HOUR)


def test_a_customer_is_the_address_in_any_case_known_when_an_appointment_is_confirmed() -> None:
    known = salon(limit("MONTH", "CUSTOMER"))
    known.book(MONDAY)
    held = known.hold(MONDAY + HOUR)
    with pytest.raises(LimitReached) as refused:
        known.run(ConfirmHold(held.hold_id, "a_9", Contact(email="SAM@Example.com")))
    assert "subject_id" not in refused.value.metadata
    confirmed = known.run(ConfirmHold(held.hold_id, "a_9", EVE))
    again = known.run(ConfirmHold(held.hold_id, "a_9", SAM))
    assert again == confirmed


def test_another_address_of_an_appointment_to_come_is_checked() -> None:
    known = salon(limit("DAY", "CUSTOMER"))
    known.book(MONDAY)
    other = known.book(MONDAY + HOUR, contact=EVE)
    to_sam = UpdateAppointment(other.appointment_id, "", {"email": SAM.email})
    with pytest.raises(LimitReached):
        known.run(to_sam)
    known.run(UpdateAppointment(other.appointment_id, "", {"email": "EVE@example.com"}))
    known.now = MONDAY + HOUR
    assert known.run(to_sam).contact == SAM


def test_a_cancelled_appointment_whose_session_is_gone_can_get_another_address() -> None:
    known = salon()
    booked = known.book(MONDAY)
    known.run(CancelAppointment(booked.appointment_id, "", ""))
    known.keeper = Keeper(known.keeper.model)
    update = UpdateAppointment(booked.appointment_id, "", {"email": EVE.email})
    assert known.run(update).contact == EVE


@examples(200)
@given(
    st.sampled_from(sorted(build.CHANGES)),
    st.sampled_from([LimitPeriod.DAY, LimitPeriod.WEEK, LimitPeriod.MONTH]),
    st.data(),
)
def test_a_period_is_exactly_the_time_in_which_the_clock_shows_its_dates(
    zone: str, period: LimitPeriod, data: st.DataObject
) -> None:
    noon = build.utc(f"{data.draw(dates_of(zone))}T12:00")
    of_noon = period_of(period, zone, noon)
    times = list(periods(zone, period, (noon, noon)))
    [own] = [time for time in times if any(begin <= noon < end for begin, end in time)]
    for begin, end in own:
        assert [period_of(period, zone, edge) == of_noon for edge in (begin, end - 1)] == [True] * 2
        assert period_of(period, zone, begin - 1) != of_noon != period_of(period, zone, end)
    first, last = own[0][0] - 2 * DAY, own[-1][1] + 2 * DAY
    for instant in data.draw(st.lists(st.integers(first, last), min_size=20, max_size=20)):
        is_own = any(begin <= instant < end for begin, end in own)
        assert is_own == (period_of(period, zone, instant) == of_noon), wall(zone, instant)


@pytest.mark.parametrize("per", list(LimitSubject))
def test_limits_can_be_set_aside(per: str) -> None:
    needs = {"staff_ids": ("t_1",), "resource_requirements": (("r_1",),)}
    offered = cut(booking_limits=(limit("DAY", per),), **needs)
    known = Salon(build.catalog(offered, staff=[build.member()], resources=[build.resource()]))
    known.book(MONDAY)
    with pytest.raises(LimitReached):
        known.book(MONDAY + HOUR)
    known.book(MONDAY + HOUR, ignored=frozenset({BookingRule.LIMITS}))


def test_customer_limits_without_an_address_are_not_checked() -> None:
    known = salon(limit("UPCOMING", "CUSTOMER"))
    for n in range(3):
        known.book(MONDAY + n * MINUTE * 60, contact=Contact())
