"""How long busy time stands: until when nothing of it ends by itself."""

import pytest

from zimun.domain.availability.busy_time import busy_time
from zimun.domain.availability.slots import Busy
from zimun.domain.catalog.booking_limit import CUSTOMER_SUBJECT
from zimun.domain.commands import CancelAppointment
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.intervals import Interval
from zimun.domain.ledger.events import FOREVER
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.reservation import Reservation

from . import build
from .ledger_model import Keeper
from .test_limit_rules import MONDAY, NOW, SAM, Salon, cut, limit, salon

DATE = (MONDAY, MONDAY + DAY)


def busy(
    known: Salon,
    service_id: str = "s_1",
    within: Interval = DATE,
    leaving: Reservation | None = None,
) -> Busy:
    catalog = known.catalog
    service = catalog.services[service_id]
    return known.keeper.query(
        lambda ledger: busy_time(ledger, catalog, service, "", within, known.now, leaving)
    )


def test_busy_time_stands_until_the_first_hold_of_it_expires() -> None:
    known = salon()
    assert busy(known) == Busy({}, stands_until=FOREVER)
    known.book(MONDAY)
    assert busy(known).stands_until == FOREVER
    first = known.hold(MONDAY + HOUR)
    known.now += MINUTE
    known.hold(MONDAY + 2 * HOUR)
    known.now = first.expires_at - 1
    assert busy(known).stands_until == first.expires_at
    assert len(busy(known).taken["s_1@"]) == 3
    assert busy(known).expired == {}
    known.now = first.expires_at
    assert len(busy(known).taken["s_1@"]) == 2
    assert busy(known).expired == {"s_1@": [first.session_id]}
    assert busy(known).stands_until == first.expires_at + MINUTE


def test_busy_time_of_no_time_needs_nothing_of_the_ledger() -> None:
    known = salon()
    known.keeper = Keeper(known.keeper.model, Ledger("o_1", 0, 0, 0))
    for within in ((MONDAY, MONDAY), (MONDAY + 1, MONDAY)):
        found = busy_time(known.keeper.ledger, known.catalog, cut(), "", within, NOW)
        assert found == Busy({})


@pytest.mark.parametrize("per", ["SERVICE", "STAFF_MEMBER"])
@pytest.mark.parametrize("is_own", [True, False])
def test_busy_time_stands_while_the_holds_that_count_for_a_limit_do(per: str, is_own: bool) -> None:
    limits = (limit("WEEK", per, 3),)
    known = Salon(
        build.catalog(
            cut(booking_limits=limits if is_own else (), staff_ids=("t_1",)),
            organization=build.organization(booking_limits=() if is_own else limits),
            staff=[build.member()],
        )
    )
    beside = known.hold(MONDAY + 2 * DAY)
    assert busy(known).taken == {}
    assert busy(known).stands_until == beside.expires_at
    known.now = beside.expires_at
    assert busy(known) == Busy({}, stands_until=FOREVER)


def test_busy_time_stands_until_a_booking_to_come_that_counts_has_started() -> None:
    known = salon(limit("UPCOMING", "SERVICE", 3))
    for days in (3, 2):
        known.book(MONDAY + days * DAY)
    assert busy(known).stands_until == MONDAY + 2 * DAY
    known.now = MONDAY + 2 * DAY
    assert busy(known).stands_until == MONDAY + 3 * DAY
    [tally] = busy(known).tallies["s_1"]
    assert tally.starts == [MONDAY + 3 * DAY]


def test_reservation_that_leaves_takes_nothing_unless_others_stay_in_its_session() -> None:
    known = Salon(build.catalog(cut(capacity=3), cut(id="s_2")))
    alone = known.book(MONDAY)
    left = known.book(MONDAY + 2 * HOUR)
    known.book(MONDAY + 2 * HOUR)
    assert len(busy(known).taken["s_1@"]) == 2
    assert busy(known, leaving=alone).taken["s_1@"] == [(left.start, left.end)]
    assert set(busy(known, leaving=alone).sessions) == {left.start}
    [session] = busy(known, leaving=left).sessions[left.start]
    assert session.seats_taken == 1
    assert len(busy(known, leaving=left).taken["s_1@"]) == 2


def test_sessions_of_a_start_come_in_order_of_their_ids() -> None:
    ids = ("t_3", "t_1", "t_2")
    known = Salon(
        build.catalog(
            cut(capacity=2, staff_ids=ids), staff=[build.member(id=staff_id) for staff_id in ids]
        )
    )
    for staff_id in ids:
        known.book(MONDAY, contact=SAM, staff_id=staff_id)
    found = busy(known).sessions[MONDAY]
    assert [session.session_id for session in found] == ["x_1", "x_2", "x_3"]
    assert [session.staff_id for session in found] == [*ids]


def test_member_whose_hold_expires_now_does_not_stay_in_a_session_that_another_leaves() -> None:
    known = Salon(build.catalog(cut(capacity=3)))
    booked = known.book(MONDAY)
    held = known.hold(MONDAY)
    known.now = held.expires_at - 1
    assert busy(known, leaving=booked).taken != {}
    known.now = held.expires_at
    assert busy(known, leaving=booked).taken == {}


@pytest.mark.parametrize(("own", "other"), [("s_1", "s_2"), ("s_2", "s_1")])
def test_customer_of_an_appointment_that_leaves_counts_for_its_own_service_alone(
    own: str, other: str
) -> None:
    organization = build.organization(booking_limits=(limit("WEEK", "CUSTOMER", 5),))
    known = Salon(build.catalog(cut(), cut(id="s_2"), organization=organization))
    booked = known.book(MONDAY, own)
    known.book(MONDAY + HOUR, own)
    [tally] = busy(known, own, leaving=booked).tallies[CUSTOMER_SUBJECT]
    assert tally.starts == [MONDAY + HOUR]
    assert busy(known, other, leaving=booked).tallies == {}


def test_appointment_that_was_cancelled_leaves_nothing() -> None:
    known = salon()
    cancelled = known.run(CancelAppointment(known.book(MONDAY).appointment_id, "", ""))
    known.book(MONDAY)
    afresh = Ledger("o_1", known.keeper.ledger.seq, known.now, 0)
    known.keeper = Keeper(known.keeper.model, afresh)
    assert busy(known, leaving=cancelled).taken == {"s_1@": [(MONDAY, MONDAY + HOUR)]}
