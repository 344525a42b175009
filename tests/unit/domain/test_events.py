"""Events of a ledger: their types, and the members of sessions after them."""

from datetime import date

import pytest

from zimun.domain.catalog.entries import Override
from zimun.domain.commands import ReleaseHold, RescheduleAppointment
from zimun.domain.instant import HOUR
from zimun.domain.ledger.events import (
    CATALOG_TYPES,
    CatalogEvent,
    CatalogValue,
    EventType,
    Member,
    OverrideDeleted,
    TimeOffDeleted,
    reservation_events,
)
from zimun.domain.ledger.evolve import evolve
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import Needs

from . import build
from .ledger_model import Keeper, Model
from .test_ledger import CLASS, CUT, NOW, STARTS, TIMETABLE, hold, read_back
from .test_moves import book

VALUES: dict[EventType, CatalogValue] = {
    EventType.ORGANIZATION_SET: build.organization(),
    EventType.SERVICE_SET: build.service(),
    EventType.STAFF_MEMBER_SET: build.member(),
    EventType.RESOURCE_SET: build.resource(),
    EventType.LOCATION_SET: build.location(),
    EventType.OVERRIDE_SET: Override(owner_id="o_1", date=date(2026, 1, 5)),
    EventType.OVERRIDE_DELETED: OverrideDeleted("v_1", "o_1", date(2026, 1, 5)),
    EventType.TIME_OFF_SET: build.time_off("o_1", 0, HOUR),
    EventType.TIME_OFF_DELETED: TimeOffDeleted("f_1"),
}


@pytest.mark.parametrize("kind", VALUES)
def test_event_of_the_catalogue_has_the_type_of_its_value_and_makes_a_version(
    kind: EventType,
) -> None:
    event = CatalogEvent("c_1", VALUES[kind])
    assert event.type is kind
    after = evolve(Ledger("o_1", 4, NOW, 2), event)
    assert (after.seq, after.catalog_version) == (5, 5)


def test_types_of_the_catalogue_are_those_of_its_values() -> None:
    assert {*VALUES} == CATALOG_TYPES


def test_events_of_reservations_are_those_that_are_not_of_the_catalogue() -> None:
    keeper = Keeper(Model())
    hold(keeper, CLASS, STARTS[2], 1)
    [event] = keeper.model.events
    others = [CatalogEvent("c_1", value) for value in VALUES.values()]
    assert [*reservation_events([*others[:2], event, *others[2:]])] == [event]


def reader_of(keeper: Keeper, *session_ids: str) -> Keeper:
    """A server that knows sessions, and reads later events without their members."""
    other = Keeper(keeper.model, Ledger("o_1", keeper.ledger.seq, NOW, 0))
    for session_id in session_ids:
        other.query(lambda ledger, key=session_id: ledger.session(key))  # type: ignore[misc]
    return other


def test_reader_of_events_knows_that_a_released_hold_has_left_its_session() -> None:
    keeper = Keeper(Model())
    first = hold(keeper, CLASS, STARTS[2], 1, seats=2)
    second = hold(keeper, CLASS, STARTS[2], 2)
    reader = reader_of(keeper, first.session_id)
    keeper.do(ReleaseHold(first.hold_id), TIMETABLE, NOW)
    reader.evolve(read_back(keeper.model.events[-1:]))
    session = reader.ledger.session(first.session_id)
    assert session.members == {second.hold_id: Member(1, second.expires_at)}
    assert session == keeper.ledger.session(first.session_id)


@pytest.mark.parametrize("new_id", ["a_new", "x_new"])
def test_reader_of_events_knows_that_a_moved_appointment_is_in_its_new_session_alone(
    new_id: str,
) -> None:
    keeper = Keeper(Model())
    booked = book(keeper, CLASS, STARTS[2], 1)
    stays = book(keeper, CLASS, STARTS[2], 2)
    reader = reader_of(keeper, booked.session_id)
    keeper.do(RescheduleAppointment("a_1", STARTS[6], "", "", new_id), TIMETABLE, NOW)
    [event] = read_back(keeper.model.events[-1:])
    assert {session.session_id for session in event.sessions} == {booked.session_id, new_id}
    reader.evolve([event])
    for session_id, hold_id in ((booked.session_id, stays.hold_id), (new_id, booked.hold_id)):
        session = reader.ledger.session(session_id)
        assert set(session.members or {}) == {hold_id}
        assert session == keeper.ledger.session(session_id)


@pytest.mark.parametrize("new_id", ["a_new", "x_new"])
def test_move_frees_the_time_that_it_leaves(new_id: str) -> None:
    keeper = Keeper(Model())
    book(keeper, CUT, STARTS[0], 1, "t_ada")
    keeper.do(RescheduleAppointment("a_1", STARTS[4], "t_ada", "", new_id), TIMETABLE, NOW)
    again = book(keeper, CUT, STARTS[0], 2, "t_ada")
    assert again.start == STARTS[0]


@pytest.mark.parametrize(
    "needs",
    [
        Needs(blocks={("t_1", 1)}),
        Needs(group_blocks={("s_1", 1)}),
        Needs(hold_ids={"h_1"}),
        Needs(appointment_ids={"a_1"}),
        Needs(session_ids={"x_1"}),
        Needs(staff_ids={"t_1"}),
        Needs(contacts={""}),
    ],
)
def test_needs_of_anything_are_needs(needs: Needs) -> None:
    assert needs
    assert not Needs()
    joined = Needs()
    joined |= needs
    assert joined == needs
