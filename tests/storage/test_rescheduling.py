"""Rescheduling over the store: to which times, with whom, and what a refused move leaves."""

import pytest

from zimun.domain.booking_errors import NotASlot, OutsideBookingWindow, SlotUnavailable
from zimun.domain.errors import EtagMismatch, InvalidRequest, StaffNotFound, ZimunError
from zimun.domain.instant import DAY

from .booking_client import BookingClient
from .engines import Engine
from .ledger_check import events_of
from .sample_catalog import CUT, KIOSK, SPA, at


async def test_an_expired_hold_gives_way_to_an_appointment_that_moves(
    client: BookingClient, engine: Engine
) -> None:
    held = await client.hold(at(10), KIOSK.id)
    client.clock.advance(300)
    booking = await client.book(at(12), KIOSK.id)
    with pytest.raises(SlotUnavailable):
        await client.reschedule(booking.appointment_id, at(10))
    client.clock.instant = held.expires_at
    assert (await client.reschedule(booking.appointment_id, at(10))).start == at(10)
    assert events_of(engine.tables(), held.hold_id)[-1] == "HOLD_EXPIRED"


async def test_an_appointment_moves_onto_a_time_that_overlaps_its_own(
    client: BookingClient,
) -> None:
    booking = await client.book(at(12), SPA.id, staff_id="t_ben")
    for start in (at(12, 15), at(11, 45), at(11, 45)):
        moved = await client.reschedule(booking.appointment_id, start)
        assert (moved.start, moved.staff_id, moved.resource_ids) == (start, "t_ben", ("r_room",))
    assert moved.revision == 4


async def test_an_appointment_that_moves_keeps_its_person_where_they_are_free(
    client: BookingClient,
) -> None:
    booking = await client.book(at(10), staff_id="t_chloe")
    await client.book(at(11), staff_id="t_chloe")
    assert (await client.reschedule(booking.appointment_id, at(12))).staff_id == "t_chloe"
    assert (await client.reschedule(booking.appointment_id, at(11))).staff_id != "t_chloe"
    moved = await client.reschedule(booking.appointment_id, at(13), staff_id="t_ben")
    assert moved.staff_id == "t_ben"


async def test_the_old_time_of_an_appointment_that_moved_is_free(client: BookingClient) -> None:
    booking = await client.book(at(10), KIOSK.id)
    await client.reschedule(booking.appointment_id, at(11), etag=booking.etag)
    assert (await client.book(at(10), KIOSK.id)).start == at(10)
    with pytest.raises(SlotUnavailable):
        await client.hold(at(11), KIOSK.id)


REFUSED_MOVES: list[tuple[type[ZimunError], int, str, str]] = [
    (SlotUnavailable, at(16), "", ""),
    (SlotUnavailable, at(16, 15), "t_ada", ""),
    (NotASlot, at(16) + 1, "", ""),
    (OutsideBookingWindow, at(16) + 200 * DAY, "", ""),
    (OutsideBookingWindow, at(1) - DAY, "", ""),
    (EtagMismatch, at(20), "", "9"),
    (StaffNotFound, at(20), "t_nobody", ""),
    (InvalidRequest, at(20), "t_chloe", ""),
]


@pytest.mark.parametrize(("error", "start", "staff_id", "etag"), REFUSED_MOVES)
async def test_a_move_that_is_refused_leaves_everything_as_it_was(
    client: BookingClient,
    engine: Engine,
    error: type[ZimunError],
    start: int,
    staff_id: str,
    etag: str,
) -> None:
    booking = await client.book(at(10), SPA.id, staff_id="t_ben")
    await client.book(at(16), SPA.id)
    expired = await client.hold(at(20), CUT.id)
    client.clock.instant = expired.expires_at
    before = engine.tables()
    with pytest.raises(error):
        await client.reschedule(booking.appointment_id, start, staff_id, etag, key="key")
    assert engine.tables() == before
    assert (await client.reschedule(booking.appointment_id, at(20), key="key")).start == at(20)


async def test_a_refused_move_offers_times_that_the_appointment_can_move_to(
    client: BookingClient,
) -> None:
    booking = await client.book(at(10), SPA.id)
    await client.book(at(16), SPA.id)
    with pytest.raises(SlotUnavailable) as refused:
        await client.reschedule(booking.appointment_id, at(16))
    assert len(refused.value.alternatives) == 3
    for slot in refused.value.alternatives:
        moved = await client.reschedule(booking.appointment_id, slot.start)
        assert moved.start == slot.start
