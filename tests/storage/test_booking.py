"""Booking over the store: an appointment's life, what is offered, who is chosen, cancelling."""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace

import pytest

from zimun.booking import appointments
from zimun.booking.store import AppointmentFilter
from zimun.clock import ManualClock
from zimun.domain.appointment_commands import UpdateAppointment
from zimun.domain.availability.timetable import Timetable
from zimun.domain.booking_errors import (
    NotCancellable,
    NotReschedulable,
    OutsideCancellationWindow,
    OutsideRescheduleWindow,
    SlotUnavailable,
)
from zimun.domain.catalog.booking_limit import BookingLimit, LimitPeriod, LimitSubject
from zimun.domain.catalog.entries import HOLD_LENGTH
from zimun.domain.commands import Decision
from zimun.domain.errors import AppointmentNotFound, HoldNotFound, TokenInvalid
from zimun.domain.instant import MINUTE
from zimun.domain.ledger.events import EventType
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import Needs, NotLoaded
from zimun.domain.ledger.reservation import Reservation, State
from zimun.stores import Stores

from .booking_client import BookingClient
from .engines import Engine
from .factories import add_events, make_appointment, make_event
from .ledger_check import events_of, stored_reservation
from .sample_catalog import (
    CALLER,
    CUT,
    KIOSK,
    NOW,
    ORG,
    SALON,
    SAM,
    SPA,
    STAFF,
    at,
    create_salon,
    put_catalog,
)


async def test_a_hold_becomes_an_appointment_that_moves_and_is_called_off(
    client: BookingClient, engine: Engine
) -> None:
    held = await client.hold(at(10))
    assert (held.state, held.start, held.end) == (State.HELD, at(10), at(10, 30))
    assert held.expires_at == NOW + HOLD_LENGTH
    assert held == stored_reservation(engine, held)

    client.clock.advance(60)
    confirmed = await client.confirm(held.hold_id)
    assert confirmed == held._replace(
        state=State.CONFIRMED,
        revision=2,
        update_time=NOW + MINUTE,
        confirm_time=NOW + MINUTE,
        appointment_id=confirmed.appointment_id,
        contact=SAM,
    )

    client.clock.advance(60)
    moved = await client.reschedule(confirmed.appointment_id, at(15))
    assert moved == confirmed._replace(
        start=at(15),
        end=at(15, 30),
        revision=3,
        update_time=NOW + 2 * MINUTE,
        session_id=moved.session_id,
    )

    client.clock.advance(60)
    cancelled = await client.cancel(moved.appointment_id, "ill")
    assert cancelled == moved._replace(
        state=State.CANCELLED,
        cancel_reason="ill",
        revision=4,
        update_time=NOW + 3 * MINUTE,
    )
    assert cancelled == stored_reservation(engine, held)
    assert events_of(engine.tables(), held.hold_id) == [
        "HOLD_CREATED",
        "APPOINTMENT_CONFIRMED",
        "APPOINTMENT_RESCHEDULED",
        "APPOINTMENT_CANCELLED",
    ]
    assert engine.tables()["allocations"] == []


async def test_buffers_are_taken_of_staff_and_room_alike(client: BookingClient) -> None:
    await client.book(at(12), SPA.id, staff_id="t_ada")
    assert at(13, 15) not in await client.slots(SPA.id, staff_id="t_ben")  # the room is being aired
    assert at(13, 30) in await client.slots(SPA.id, staff_id="t_ben")
    ada = await client.slots(CUT.id, staff_id="t_ada")
    assert {start for start in (at(11), at(11, 30), at(13), at(13, 30)) if start in ada} == {
        at(11),
        at(13, 30),
    }


async def test_every_slot_that_is_offered_can_be_held_and_no_other(client: BookingClient) -> None:
    for start in (at(9), at(10, 45), at(13)):
        await client.book(start, SPA.id)
    offered = await client.slots(SPA.id)
    grid = [at(0) + step * SPA.slot_step for step in range(20 * 4, 4 * 4, -1)]
    for start in grid:
        if start in offered:
            held = await client.hold(start, SPA.id)
            await client.release(held.hold_id)
        else:
            with pytest.raises(SlotUnavailable):
                await client.hold(start, SPA.id)
    assert any(start in offered for start in grid)
    assert not all(start in offered for start in grid)


async def test_hold_without_a_staff_id_gets_the_member_with_the_fewest_bookings_that_day(
    client: BookingClient,
) -> None:
    chosen = [(await client.hold(at(8) + n * CUT.duration)).staff_id for n in range(12)]
    assert [Counter(chosen[n : n + 3]) for n in range(0, 12, 3)] == [Counter(STAFF)] * 4


async def test_bookings_of_other_days_do_not_count_but_break_ties(client: BookingClient) -> None:
    for hours in (24, 25, 26):
        await client.book(at(hours), staff_id="t_ada")
        client.clock.advance(1)
    await client.book(at(48), staff_id="t_ben")
    # No member has a booking on Tuesday: first the one without any, then the longest unused.
    chosen = [(await client.hold(at(8) + n * CUT.duration)).staff_id for n in range(3)]
    assert chosen == ["t_chloe", "t_ada", "t_ben"]


async def test_slots_that_are_given_back_no_longer_count_against_a_member(
    client: BookingClient,
) -> None:
    for n in range(3):
        held = await client.hold(at(8) + n * CUT.duration, staff_id="t_chloe")
        await client.release(held.hold_id)
    await client.hold(at(12), staff_id="t_ada")
    await client.hold(at(12, 30), staff_id="t_ben")
    assert (await client.hold(at(15))).staff_id == "t_chloe"


async def test_cancelling_again_answers_the_same_cancelled_appointment(
    client: BookingClient, engine: Engine
) -> None:
    booking = await client.book(at(10), SPA.id)
    cancelled = await client.cancel(booking.appointment_id, "first")
    before = engine.tables()
    client.clock.instant = at(20)
    assert await client.cancel(booking.appointment_id, "second", etag="stale") == cancelled
    assert engine.tables() == before
    with pytest.raises(NotReschedulable):
        await client.reschedule(booking.appointment_id, at(22))


async def test_an_appointment_can_be_called_off_until_its_cut_off(client: BookingClient) -> None:
    first, second = await client.book(at(10), SPA.id), await client.book(at(12), SPA.id)
    client.clock.instant = at(10) - SPA.cancellation_cutoff
    assert (await client.cancel(first.appointment_id)).state is State.CANCELLED
    client.clock.instant = at(12) - SPA.cancellation_cutoff + 1
    with pytest.raises(OutsideCancellationWindow):
        await client.cancel(second.appointment_id)
    with pytest.raises(OutsideRescheduleWindow):
        await client.reschedule(second.appointment_id, at(20))


async def test_another_organizations_bookings_are_not_found(client: BookingClient) -> None:
    await put_catalog(client.stores, replace(SALON, id="o_other"), org_id="o_other")
    held, booking = await client.hold(at(9)), await client.book(at(10))
    stranger = replace(client, caller=replace(CALLER, org_id="o_other"))
    for refused in (
        stranger.confirm(held.hold_id),
        stranger.extend(held.hold_id),
        stranger.release(held.hold_id),
    ):
        with pytest.raises(HoldNotFound):
            await refused
    for lost in (
        stranger.cancel(booking.appointment_id),
        stranger.reschedule(booking.appointment_id, at(11)),
        stranger.get(booking.appointment_id),
    ):
        with pytest.raises(AppointmentNotFound):
            await lost


async def test_what_is_not_an_appointment_yet_cannot_be_cancelled_or_moved(
    client: BookingClient,
) -> None:
    held = await client.hold(at(10))
    for refused in (client.cancel(held.hold_id), client.reschedule(held.hold_id, at(11))):
        with pytest.raises(AppointmentNotFound):
            await refused


@pytest.mark.parametrize("state", [State.COMPLETED, State.NO_SHOW])
async def test_an_appointment_that_took_place_can_be_neither_cancelled_nor_moved(
    stores: Stores, clock: ManualClock, state: State
) -> None:
    # No method brings an appointment there yet: so this is no legal ledger for `client` to check.
    await create_salon(stores)
    client = BookingClient(stores, clock)
    done = make_appointment(1, state=state)
    await add_events(stores, make_event(done, EventType.APPOINTMENT_CONFIRMED))
    with pytest.raises(NotCancellable):
        await client.cancel(done.appointment_id)
    with pytest.raises(NotReschedulable):
        await client.reschedule(done.appointment_id, at(12))


async def test_a_service_that_grew_still_sees_what_was_booked_when_it_was_short(
    client: BookingClient,
) -> None:
    await client.book(at(12), SPA.id, staff_id="t_ada")
    shorter = replace(SPA, duration=15 * MINUTE, buffer_before=0, buffer_after=0)
    await put_catalog(client.stores, shorter)
    offered = await client.slots(SPA.id)
    assert at(13, 15) not in offered  # inside the hour that was sold, and its airing
    assert at(13, 30) in offered
    with pytest.raises(SlotUnavailable):
        await client.hold(at(12, 45), SPA.id)
    await put_catalog(client.stores, SPA)


async def pages(client: BookingClient, size: int) -> list[Reservation]:
    found: list[Reservation] = []
    after = None
    while True:
        page, after = await appointments.list_appointments(
            client.stores.ledgers, client.caller, AppointmentFilter(), size, after
        )
        found += page
        if after is None:
            return found
        assert len(page) == size


@pytest.mark.parametrize("size", [1, 2, 3, 4])
async def test_listing_page_by_page_shows_every_appointment_once(
    client: BookingClient, size: int
) -> None:
    made = [await client.book(at(10) + n // 2 * CUT.duration) for n in range(4)]
    await client.hold(at(20))
    expected = sorted(made, key=lambda found: (found.start, found.appointment_id))
    assert await pages(client, size) == expected


async def test_an_unknown_organization_answers_every_call_alike(client: BookingClient) -> None:
    nobody = replace(client, caller=replace(CALLER, org_id="o_nobody"))
    for refused in (nobody.hold(at(10)), nobody.slots(), nobody.get("a_1")):
        with pytest.raises(TokenInvalid):
            await refused


@dataclass(frozen=True)
class NeverLoaded:
    """A command that needs what there is not."""

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        raise NotLoaded(Needs(session_ids={"x_none"}))


async def test_a_command_that_never_has_what_it_needs_fails_and_the_next_ones_do_not(
    client: BookingClient,
) -> None:
    with pytest.raises(AssertionError):
        await client.stores.writer.run(ORG, NeverLoaded())
    assert (await client.hold(at(10))).start == at(10)


async def test_appointment_that_is_changed_beside_another_counts_once_for_their_customer(
    client: BookingClient, engine: Engine
) -> None:
    """Both are decided in one group, by a server that has loaded nothing of the customer."""
    limit = BookingLimit(max_bookings=2, period=LimitPeriod.DAY, per=LimitSubject.CUSTOMER)
    await put_catalog(client.stores, replace(CUT, booking_limits=(limit,)))
    booked = await client.book(at(10))
    async with engine.open(client.clock) as stores:
        elsewhere = BookingClient(stores, client.clock)
        held = await elsewhere.hold(at(12))
        change = UpdateAppointment(booked.appointment_id, "", {"notes": "Late"})
        await asyncio.gather(elsewhere.change(change), elsewhere.confirm(held.hold_id))


@pytest.mark.parametrize(("size", "count", "is_last"), [(3, 3, False), (4, 4, True), (5, 4, True)])
async def test_last_page_has_no_key_even_where_it_is_full(
    client: BookingClient, size: int, count: int, is_last: bool
) -> None:
    for hour in range(10, 14):
        await client.book(at(hour), KIOSK.id)
    page, after = await appointments.list_appointments(
        client.stores.ledgers, CALLER, AppointmentFilter(), size, None
    )
    assert (len(page), after is None) == (count, is_last)
