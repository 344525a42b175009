"""Ledgers against a slow model: what commands come to, and what memory knows of it.

A ledger that loads from the model (`ledger_model`), early or late, must know the same.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zimun.domain.availability.busy_time import busy_time
from zimun.domain.availability.slot_request import SlotRequest
from zimun.domain.availability.slots import Busy
from zimun.domain.availability.timetable import Timetable
from zimun.domain.booking_errors import SlotUnavailable
from zimun.domain.catalog.entries import Service
from zimun.domain.commands import (
    CancelAppointment,
    Command,
    ConfirmHold,
    ExpireHold,
    ExtendHold,
    Hold,
    ReleaseHold,
    RescheduleAppointment,
)
from zimun.domain.errors import ZimunError
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.ledger.events import EventType, Member, ReservationEvent
from zimun.domain.ledger.evolve import evolve
from zimun.domain.ledger.layers import AgingMap
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import BLOCK, Needs, NotLoaded
from zimun.domain.ledger.reservation import LIVE, Contact, Reservation, State

from ...support.profiles import examples
from . import build
from .ledger_model import EDGE, WITHIN, Keeper, Model, check_nothing_sold_twice

T = TypeVar("T")

NOW = EDGE - 6 * HOUR

STAFF = ("t_ada", "t_ben", "t_chloe")

CUT = build.service(id="s_cut", staff_ids=STAFF[:2], buffer_after=10 * MINUTE)
SPA = build.service(
    id="s_spa",
    duration=HOUR,
    buffer_before=10 * MINUTE,
    staff_ids=STAFF[1:],
    resource_requirements=(("r_1",),),
)
CLASS = build.service(
    id="s_class",
    duration=HOUR,
    capacity=4,
    staff_ids=("t_ben",),
    resource_requirements=(("r_1", "r_2"),),
)
KIOSK = build.service(id="s_kiosk")
SERVICES = (CUT, SPA, CLASS, KIOSK)

CATALOG = build.catalog(
    *SERVICES,
    staff=[
        build.member(id="t_ada", daily_limit=3),
        build.member(id="t_ben"),
        build.member(id="t_chloe"),
    ],
    resources=[build.resource(id="r_1"), build.resource(id="r_2")],
)
TIMETABLE = Timetable(CATALOG)

STARTS = [EDGE + step * 30 * MINUTE for step in range(-6, 6)]


def shown(busy: Busy) -> tuple[object, object]:
    return (
        {subject: list(some) for subject, some in busy.taken.items()},
        {
            start: sorted((one[0], one[1]) if isinstance(one, tuple) else
                          (one.session_id, one.seats_taken) for one in some)
            for start, some in busy.sessions.items()
        },
    )  # fmt: skip


def read_back(events: Sequence[ReservationEvent]) -> list[ReservationEvent]:
    """Events as another server reads them: without the members of their sessions."""
    return [
        event._replace(sessions=[one._replace(members=None) for one in event.sessions])
        for event in events
    ]


def check(keeper: Keeper, now: int) -> None:
    """The keeper's ledger knows what the model does; single sessions first, as blocks bring all."""
    model = keeper.model
    for hold_id, reservation in model.reservations.items():
        assert keeper.query(lambda ledger, key=hold_id: ledger.reservation(key)) == reservation  # type: ignore[misc]
        if reservation.state in LIVE:
            session = keeper.query(
                lambda ledger, key=reservation.session_id: ledger.session(key)  # type: ignore[misc]
            )
            expected = model.sessions[reservation.session_id]
            assert session == expected
    everything = keeper.query(lambda ledger: ledger.all_sessions(WITHIN))
    assert {session.session_id: session for session in everything} == model.sessions
    for service in SERVICES:
        found = keeper.query(
            lambda ledger, service=service: busy_time(ledger, CATALOG, service, "", WITHIN, now)  # type: ignore[misc]
        )
        assert shown(found) == shown(model.busy(service, now))
    load = keeper.query(lambda ledger: ledger.staff_load(STAFF, (EDGE - DAY, EDGE + DAY), now))
    for staff_id in STAFF:
        live = [one for one in model.sessions.values() if one.until > now]
        assert load[staff_id][0] == sum(staff_id == one.staff_id for one in live)
        assert load[staff_id][1] >= model.last_booked(staff_id)
    for appointment in model.reservations.values():
        if appointment.state is State.CONFIRMED:
            busy = keeper.query(
                lambda ledger, one=appointment: busy_time(
                    ledger,  # type: ignore[misc]
                    CATALOG,
                    CLASS,
                    "",
                    WITHIN,
                    now,
                    one,
                )
            )
            assert shown(busy) == shown(model.busy(CLASS, now, appointment))


def command_of(draw: Callable[[st.SearchStrategy[Any]], Any], model: Model, number: int) -> Command:
    """Something that callers may ask for at this point."""
    known = list(model.reservations.values())
    kind = draw(st.sampled_from(["hold", "hold", "hold", "confirm", "confirm", "move", "move",
                                 "extend", "release", "cancel", "expire"]))  # fmt: skip
    start = draw(st.sampled_from(STARTS))
    if kind == "hold" or not known:
        service = draw(st.sampled_from((*SERVICES, CLASS)))
        seats = draw(st.integers(1, service.capacity))
        # Few times for many, so that sessions fill up.
        start = draw(st.sampled_from(STARTS[5:7])) if service is CLASS else start
        staff_id = draw(st.sampled_from(("", *service.staff_ids)))
        request = SlotRequest(service_id=service.id, seats=seats, staff_id=staff_id)
        return Hold(request, start, f"h_{number}", f"x_{number}")
    one = draw(st.sampled_from(known))
    appointment_id = one.appointment_id or "a_none"
    commands: dict[str, Command] = {
        "confirm": ConfirmHold(one.hold_id, f"a_{number}", Contact(name="Sam")),
        "move": RescheduleAppointment(appointment_id, start, "", "", f"x_{number}"),
        "extend": ExtendHold(one.hold_id),
        "release": ReleaseHold(one.hold_id),
        "cancel": CancelAppointment(appointment_id, "", ""),
        "expire": ExpireHold(one.hold_id),
    }
    return commands[kind]


@given(data=st.data())
@examples(300)
def test_ledger_after_any_commands_knows_what_a_model_of_all_events_knows(
    data: st.DataObject,
) -> None:
    model = Model()
    early, late = Keeper(model), Keeper(model)
    now = NOW
    for number in range(data.draw(st.integers(1, 25))):
        now += data.draw(st.sampled_from([0, MINUTE, 4 * MINUTE, 10 * MINUTE]))
        command = command_of(data.draw, model, number)
        try:
            decision = early.query(
                lambda ledger: command.decide(ledger, TIMETABLE, now, "c_1")  # noqa: B023
            )
        except ZimunError:
            continue
        model.events += decision.events  # type: ignore[arg-type]
        early.evolve(decision.events)
        late.evolve(read_back(model.events[-len(decision.events) :] if decision.events else []))
        check_nothing_sold_twice(model)
        check(early, now)
        match data.draw(st.integers(0, 5)):
            case 0:
                check(late, now)
            case 1:
                late = Keeper(model, Ledger("o_1", len(model.events), now, 0))
    check(late, now)
    check(Keeper(model, Ledger("o_1", len(model.events), now, 0)), now)


def hold(
    keeper: Keeper, service: Service, start: int, number: int, now: int = NOW, seats: int = 1
) -> Reservation:
    request = SlotRequest(service_id=service.id, seats=seats)
    held = keeper.do(Hold(request, start, f"h_{number}", f"x_{number}"), TIMETABLE, now)
    assert isinstance(held, Reservation)
    return held


def test_hold_where_an_expired_hold_is_not_recorded_yet_records_its_expiry_first() -> None:
    keeper = Keeper(Model())
    first = hold(keeper, KIOSK, STARTS[0], 1)
    second = hold(keeper, KIOSK, STARTS[0], 2, now=first.expires_at)
    assert [event.type for event in keeper.model.events] == [
        EventType.HOLD_CREATED,
        EventType.HOLD_EXPIRED,
        EventType.HOLD_CREATED,
    ]
    assert keeper.model.reservations["h_1"].update_time == first.expires_at
    assert second.start == first.start


def test_hold_of_a_taken_slot_is_refused_with_the_nearest_open_slots() -> None:
    keeper = Keeper(Model())
    for number, step in enumerate((5, 6, 8)):
        hold(keeper, KIOSK, STARTS[step], number)
    with pytest.raises(SlotUnavailable) as refused:
        hold(keeper, KIOSK, STARTS[6], 9)
    assert [slot.start for slot in refused.value.alternatives] == [
        STARTS[7],
        STARTS[4],
        STARTS[3],
    ]


def test_question_of_a_ledger_without_anything_names_all_that_it_needs_at_once() -> None:
    keeper = Keeper(Model())
    with pytest.raises(NotLoaded) as lacking:
        busy_time(keeper.ledger, CATALOG, CLASS, "", WITHIN, NOW)
    numbers = {EDGE // BLOCK - 1, EDGE // BLOCK}
    assert lacking.value.needs.blocks == {
        (subject, number) for subject in CLASS.subjects("") for number in numbers
    }
    assert lacking.value.needs.group_blocks == {(CLASS.id, number) for number in numbers}


def test_ledger_that_evolved_leaves_the_one_before_as_it_was() -> None:
    keeper = Keeper(Model())
    keeper.query(lambda ledger: busy_time(ledger, CATALOG, KIOSK, "", WITHIN, NOW))
    before = keeper.ledger
    command = Hold(SlotRequest(service_id=KIOSK.id), STARTS[0], "h_1", "x_1")
    decision = keeper.query(lambda ledger: command.decide(ledger, TIMETABLE, NOW, "c_1"))
    after = evolve(before, decision.events[0])
    assert busy_time(before, CATALOG, KIOSK, "", WITHIN, NOW).taken == {}
    assert busy_time(after, CATALOG, KIOSK, "", WITHIN, NOW).taken != {}
    assert (before.seq, after.seq) == (0, 1)


def test_needs_in_parts_are_the_same_needs() -> None:
    needs = Needs(
        blocks={(f"t_{n}", number) for n in range(7) for number in range(5)},
        group_blocks={("o_1", number) for number in range(9)},
        hold_ids={"h_1"},
    )
    parts = list(needs.parts(8))
    assert [len(part.blocks) for part in parts] == [8, 8, 8, 8, 3]
    assert [len(part.group_blocks) for part in parts] == [2, 2, 2, 2, 1]
    assert max(number for _, number in parts[0].group_blocks) == 1
    times = [number for part in parts for number in sorted(number for _, number in part.blocks)]
    assert times == sorted(times)
    joined = Needs()
    for part in parts:
        joined |= part
    assert joined == needs
    assert [*Needs().parts(8)] == [Needs()]


def test_aging_forgets_what_was_not_used_since_the_last_time() -> None:
    found: AgingMap[str, int] = AgingMap()
    found.update({"used": 1, "unused": 2, "set again": 3})
    found.age()
    assert found.get("used") == found.get("used") == 1
    found.update({"set again": 4})
    assert sorted(found.values()) == [1, 2, 4]
    found.age()
    assert (found.get("used"), found.get("unused"), found.get("set again")) == (1, None, 4)
    found.age()
    found.age()
    assert [*found.values()] == []


def test_ledger_that_ages_twice_asks_for_what_was_not_used_again() -> None:
    keeper = Keeper(Model())
    keeper.query(lambda ledger: busy_time(ledger, CATALOG, KIOSK, "", WITHIN, NOW))
    size = keeper.ledger.size()
    assert size > 0
    keeper.ledger.age()
    busy_time(keeper.ledger, CATALOG, KIOSK, "", WITHIN, NOW)
    keeper.ledger.age()
    keeper.ledger.age()
    assert keeper.ledger.size() == 0
    with pytest.raises(NotLoaded):
        busy_time(keeper.ledger, CATALOG, KIOSK, "", WITHIN, NOW)


def test_event_says_all_that_a_ledger_that_loaded_nothing_of_a_session_needs() -> None:
    keeper = Keeper(Model())
    first = hold(keeper, CLASS, STARTS[2], 1, seats=2)
    event = keeper.model.events[-1]
    [without_members] = read_back([event])
    fresh = evolve(Ledger("o_1", 0, 0, 0), without_members)
    assert fresh.session(first.session_id).members == {"h_1": Member(2, first.expires_at)}


def test_event_of_a_session_that_others_are_in_does_not_pass_for_all_of_it() -> None:
    keeper = Keeper(Model())
    hold(keeper, CLASS, STARTS[2], 1, seats=2)
    second = hold(keeper, CLASS, STARTS[2], 2)
    fresh = evolve(Ledger("o_1", 1, 0, 0), read_back(keeper.model.events[-1:])[0])
    with pytest.raises(NotLoaded) as lacking:
        fresh.session(second.session_id)
    assert lacking.value.needs.session_ids == {second.session_id}
