"""Booking over the store: the life of a hold, what time does to it, and who is chosen."""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace

import pytest

from zimun.booking import appointments
from zimun.booking.appointments import MAX_EXPIRIES
from zimun.booking.store import AppointmentFilter
from zimun.clock import ManualClock
from zimun.domain.availability.timetable import Timetable
from zimun.domain.booking_errors import (
    HoldConfirmed,
    HoldExpired,
    HoldLimitReached,
    HoldReleased,
    NotASlot,
    NotCancellable,
    NotReschedulable,
    OutsideBookingWindow,
    OutsideCancellationWindow,
    OutsideRescheduleWindow,
    SlotUnavailable,
)
from zimun.domain.catalog.entries import HOLD_LENGTH
from zimun.domain.commands import Decision
from zimun.domain.errors import (
    AppointmentNotFound,
    EtagMismatch,
    HoldNotFound,
    InvalidRequest,
    StaffNotFound,
    TokenInvalid,
    ZimunError,
)
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.ledger.events import EventType
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import Needs, NotLoaded
from zimun.domain.ledger.reservation import HOLD_LIMIT, Reservation, State
from zimun.stores import Stores

from .salon import (
    CALLER,
    CLASS,
    CUT,
    KIOSK,
    NOW,
    ORG,
    SALON,
    SAM,
    SPA,
    STAFF,
    Engine,
    SalonClient,
    add_events,
    appointment,
    at,
    booked,
    event_of,
    events_of,
    open_salon,
    put_catalog,
    reservations_of,
)


def kept(engine: Engine, found: Reservation) -> Reservation:
    """The reservation's row as it stands."""
    return reservations_of(engine.tables())[found.hold_id]


async def test_a_hold_becomes_an_appointment_that_moves_and_is_called_off(
    client: SalonClient, engine: Engine
) -> None:
    held = await client.hold(at(10))
    assert (held.state, held.start, held.end) == (State.HELD, at(10), at(10, 30))
    assert held.expires_at == NOW + HOLD_LENGTH
    assert held == kept(engine, held)

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
    assert cancelled == kept(engine, held)
    assert events_of(engine.tables(), held.hold_id) == [
        "HOLD_CREATED",
        "APPOINTMENT_CONFIRMED",
        "APPOINTMENT_RESCHEDULED",
        "APPOINTMENT_CANCELLED",
    ]
    assert engine.tables()["allocations"] == []


@pytest.mark.parametrize("service_id", [SPA.id, CLASS.id, KIOSK.id])
async def test_every_kind_of_service_is_taken_while_it_is_held_and_free_once_it_is_not(
    client: SalonClient, engine: Engine, service_id: str
) -> None:
    seats = 8 if service_id == CLASS.id else 1
    open_before = (await client.slots(service_id)).keys()
    held = await client.hold(at(10), service_id, seats=seats)
    assert at(10) not in await client.slots(service_id)
    with pytest.raises(SlotUnavailable):
        await client.hold(at(10), service_id)
    await client.release(held.hold_id)
    assert (await client.slots(service_id)).keys() == open_before
    assert engine.tables()["allocations"] == []


async def test_buffers_are_taken_of_staff_and_room_alike(client: SalonClient) -> None:
    await client.book(at(12), SPA.id, staff_id="t_ada")
    assert at(13, 15) not in await client.slots(SPA.id, staff_id="t_ben")  # the room is being aired
    assert at(13, 30) in await client.slots(SPA.id, staff_id="t_ben")
    ada = await client.slots(CUT.id, staff_id="t_ada")
    assert {start for start in (at(11), at(11, 30), at(13), at(13, 30)) if start in ada} == {
        at(11),
        at(13, 30),
    }


async def test_every_slot_that_is_offered_can_be_held_and_no_other(client: SalonClient) -> None:
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


async def test_anybody_means_whoever_has_the_fewest_bookings_that_day(client: SalonClient) -> None:
    chosen = [(await client.hold(at(8) + n * CUT.duration)).staff_id for n in range(12)]
    assert [Counter(chosen[n : n + 3]) for n in range(0, 12, 3)] == [Counter(STAFF)] * 4


async def test_bookings_of_other_days_do_not_count_but_break_ties(client: SalonClient) -> None:
    for hours in (24, 25, 26):
        await client.book(at(hours), staff_id="t_ada")
        client.clock.advance(1)
    await client.book(at(48), staff_id="t_ben")
    # Nobody has a booking on Tuesday: first whoever has none at all, then the longest unused.
    chosen = [(await client.hold(at(8) + n * CUT.duration)).staff_id for n in range(3)]
    assert chosen == ["t_chloe", "t_ada", "t_ben"]


async def test_slots_that_are_given_back_no_longer_count_against_a_member(
    client: SalonClient,
) -> None:
    for n in range(3):
        held = await client.hold(at(8) + n * CUT.duration, staff_id="t_chloe")
        await client.release(held.hold_id)
    await client.hold(at(12), staff_id="t_ada")
    await client.hold(at(12, 30), staff_id="t_ben")
    assert (await client.hold(at(15))).staff_id == "t_chloe"


@pytest.mark.parametrize("swept", [False, True], ids=["unswept", "swept"])
@pytest.mark.parametrize("before", [1, 1000], ids=["1us", "1ms"])
async def test_a_hold_can_be_confirmed_until_its_last_instant(
    client: SalonClient, before: int, swept: bool
) -> None:
    held = await client.hold(at(10), KIOSK.id)
    client.clock.instant = held.expires_at - before
    if swept:
        assert await client.expire_holds() == 0
    assert at(10) not in await client.slots(KIOSK.id)
    with pytest.raises(SlotUnavailable):
        await client.hold(at(10), KIOSK.id)
    assert (await client.confirm(held.hold_id)).state is State.CONFIRMED


@pytest.mark.parametrize("swept", [False, True], ids=["unswept", "swept"])
@pytest.mark.parametrize("service_id", [CUT.id, SPA.id, CLASS.id, KIOSK.id])
async def test_a_hold_is_over_at_the_instant_it_expires_and_its_slot_is_offered_again(
    client: SalonClient, engine: Engine, service_id: str, swept: bool
) -> None:
    seats = 8 if service_id == CLASS.id else 1
    open_before = await client.slots(service_id)
    held = await client.hold(at(10), service_id, seats=seats)
    client.clock.instant = held.expires_at
    if swept:
        assert await client.expire_holds() == 1
    with pytest.raises(HoldExpired) as expired:
        await client.confirm(held.hold_id)
    assert expired.value.metadata["expires_at"] == "2025-12-01T08:10:00Z"
    with pytest.raises(HoldExpired):
        await client.extend(held.hold_id)
    assert await client.slots(service_id) == open_before
    again = await client.hold(at(10), service_id, seats=seats, staff_id=held.staff_id)
    assert events_of(engine.tables(), held.hold_id) == ["HOLD_CREATED", "HOLD_EXPIRED"]
    assert kept(engine, held).update_time == held.expires_at
    assert (await client.confirm(again.hold_id)).state is State.CONFIRMED


async def test_an_expired_hold_gives_way_to_an_appointment_that_moves(
    client: SalonClient, engine: Engine
) -> None:
    held = await client.hold(at(10), KIOSK.id)
    client.clock.advance(300)
    booking = await client.book(at(12), KIOSK.id)
    with pytest.raises(SlotUnavailable):
        await client.reschedule(booking.appointment_id, at(10))
    client.clock.instant = held.expires_at
    assert (await client.reschedule(booking.appointment_id, at(10))).start == at(10)
    assert events_of(engine.tables(), held.hold_id)[-1] == "HOLD_EXPIRED"


async def test_the_sweep_records_every_expiry_exactly_once(
    client: SalonClient, engine: Engine
) -> None:
    holds = [await client.hold(at(8) + n * CUT.duration) for n in range(6)]
    stays = await client.book(at(20))
    released = await client.hold(at(21))
    await client.release(released.hold_id)
    client.clock.instant = holds[0].expires_at - 1
    assert await client.expire_holds() == 0
    client.clock.instant += 1
    swept = await asyncio.gather(*(client.expire_holds() for _ in range(5)))
    assert sum(swept) == len(holds)
    assert await client.expire_holds() == 0
    tables = engine.tables()
    for held in holds:
        assert events_of(tables, held.hold_id) == ["HOLD_CREATED", "HOLD_EXPIRED"]
    assert events_of(tables, stays.hold_id)[-1] == "APPOINTMENT_CONFIRMED"
    assert events_of(tables, released.hold_id)[-1] == "HOLD_RELEASED"
    expiries = [event for event in tables["events"] if event["type"] == "HOLD_EXPIRED"]
    assert {(event["client_id"], event["time"]) for event in expiries} == {
        ("", holds[0].expires_at)
    }


async def test_a_sweep_that_finds_nothing_writes_nothing(
    client: SalonClient, engine: Engine
) -> None:
    await client.book(at(10))
    await client.hold(at(11))
    before = engine.tables()
    assert await client.expire_holds() == 0
    assert engine.tables() == before


async def test_a_crowd_of_expired_holds_is_recorded_in_parts_and_for_every_organization(
    client: SalonClient, engine: Engine
) -> None:
    await put_catalog(client.stores, replace(SALON, id="o_other"), CUT, org_id="o_other")
    crowd = [
        booked(number, start=at(10) + number * HOUR, end=at(10, 30) + number * HOUR,
               expires_at=NOW + 1 + number)
        for number in range(MAX_EXPIRIES + 7)
    ]  # fmt: skip
    other = booked(9999, org_id="o_other", expires_at=NOW + 1)
    await add_events(client.stores, *map(event_of, crowd))
    await add_events(client.stores, event_of(other), org_id="o_other")
    client.clock.instant = NOW + HOUR
    assert await client.expire_holds() == MAX_EXPIRIES
    left = [row["hold_id"] for row in engine.tables()["reservations"] if row["state"] == "HELD"]
    assert left == sorted(f"h_{number}" for number in range(MAX_EXPIRIES - 1, MAX_EXPIRIES + 7))
    assert await client.expire_holds() == 8
    assert await client.expire_holds() == 0
    assert kept(engine, other).state is State.EXPIRED


async def test_releasing_again_changes_nothing(client: SalonClient, engine: Engine) -> None:
    held = await client.hold(at(10))
    released = await client.release(held.hold_id)
    assert released.state is State.RELEASED
    client.clock.advance(1)
    before = engine.tables()
    assert await client.release(held.hold_id) == released
    client.clock.instant = held.expires_at
    assert await client.expire_holds() == 0
    assert await client.release(held.hold_id) == released
    assert engine.tables() == before
    for refused in (client.confirm(held.hold_id), client.extend(held.hold_id)):
        with pytest.raises(HoldReleased):
            await refused


async def test_releasing_what_has_expired_reads_expired(
    client: SalonClient, engine: Engine
) -> None:
    held = await client.hold(at(10))
    client.clock.instant = held.expires_at
    expired = await client.release(held.hold_id)
    assert expired.state is State.EXPIRED
    assert await client.release(held.hold_id) == expired
    assert events_of(engine.tables(), held.hold_id) == ["HOLD_CREATED", "HOLD_EXPIRED"]


async def test_extending_starts_the_ten_minutes_again_up_to_the_limit(client: SalonClient) -> None:
    held = await client.hold(at(10), KIOSK.id)
    for minutes, until in ((9, 19), (18, 28), (27, 30)):
        client.clock.instant = NOW + minutes * MINUTE
        assert (await client.extend(held.hold_id)).expires_at == NOW + until * MINUTE
    with pytest.raises(HoldLimitReached):
        await client.extend(held.hold_id)
    client.clock.instant = NOW + HOLD_LIMIT * HOLD_LENGTH - 1
    assert at(10) not in await client.slots(KIOSK.id)
    client.clock.instant += 1
    assert at(10) in await client.slots(KIOSK.id)


async def test_confirming_again_answers_the_same_appointment(
    client: SalonClient, engine: Engine
) -> None:
    held = await client.hold(at(10))
    confirmed = await client.confirm(held.hold_id)
    before = engine.tables()
    client.clock.advance(3600)
    assert await client.confirm(held.hold_id, replace(SAM, name="Another")) == confirmed
    assert engine.tables() == before
    for refused in (client.release(held.hold_id), client.extend(held.hold_id)):
        with pytest.raises(HoldConfirmed):
            await refused


async def test_cancelling_again_answers_the_same_cancelled_appointment(
    client: SalonClient, engine: Engine
) -> None:
    booking = await client.book(at(10), SPA.id)
    cancelled = await client.cancel(booking.appointment_id, "first")
    before = engine.tables()
    client.clock.instant = at(20)
    assert await client.cancel(booking.appointment_id, "second", etag="stale") == cancelled
    assert engine.tables() == before
    with pytest.raises(NotReschedulable):
        await client.reschedule(booking.appointment_id, at(22))


async def test_an_appointment_can_be_called_off_until_its_cut_off(client: SalonClient) -> None:
    first, second = await client.book(at(10), SPA.id), await client.book(at(12), SPA.id)
    client.clock.instant = at(10) - SPA.cancellation_cutoff
    assert (await client.cancel(first.appointment_id)).state is State.CANCELLED
    client.clock.instant = at(12) - SPA.cancellation_cutoff + 1
    with pytest.raises(OutsideCancellationWindow):
        await client.cancel(second.appointment_id)
    with pytest.raises(OutsideRescheduleWindow):
        await client.reschedule(second.appointment_id, at(20))


async def test_another_organizations_bookings_are_not_found(client: SalonClient) -> None:
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


async def test_an_appointment_moves_onto_a_time_that_overlaps_its_own(client: SalonClient) -> None:
    booking = await client.book(at(12), SPA.id, staff_id="t_ben")
    for start in (at(12, 15), at(11, 45), at(11, 45)):
        moved = await client.reschedule(booking.appointment_id, start)
        assert (moved.start, moved.staff_id, moved.resource_ids) == (start, "t_ben", ("r_room",))
    assert moved.revision == 5


async def test_an_appointment_that_moves_keeps_its_person_where_they_are_free(
    client: SalonClient,
) -> None:
    booking = await client.book(at(10), staff_id="t_chloe")
    await client.book(at(11), staff_id="t_chloe")
    assert (await client.reschedule(booking.appointment_id, at(12))).staff_id == "t_chloe"
    assert (await client.reschedule(booking.appointment_id, at(11))).staff_id != "t_chloe"
    moved = await client.reschedule(booking.appointment_id, at(13), staff_id="t_ben")
    assert moved.staff_id == "t_ben"


async def test_the_old_time_of_an_appointment_that_moved_is_free(client: SalonClient) -> None:
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
    client: SalonClient,
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


async def test_a_refused_hold_leaves_everything_as_it_was(
    client: SalonClient, engine: Engine
) -> None:
    await client.book(at(10), SPA.id)
    expired = await client.hold(at(20))
    client.clock.instant = expired.expires_at
    before = engine.tables()
    with pytest.raises(SlotUnavailable):
        await client.hold(at(10, 30), SPA.id)
    with pytest.raises(NotASlot):
        await client.hold(at(10, 1), SPA.id)
    assert engine.tables() == before


async def test_a_taken_slot_is_refused_with_the_nearest_that_are_open(client: SalonClient) -> None:
    for start in (at(10), at(10, 10), at(9, 40)):
        await client.book(start, KIOSK.id)
    with pytest.raises(SlotUnavailable) as refused:
        await client.hold(at(10), KIOSK.id)
    offered = [slot.start for slot in refused.value.alternatives]
    assert offered == [at(9, 50), at(10, 20), at(9, 30)]
    assert (await client.hold(offered[0], KIOSK.id)).start == at(9, 50)


async def test_a_refused_move_offers_times_that_the_appointment_can_move_to(
    client: SalonClient,
) -> None:
    booking = await client.book(at(10), SPA.id)
    await client.book(at(16), SPA.id)
    with pytest.raises(SlotUnavailable) as refused:
        await client.reschedule(booking.appointment_id, at(16))
    assert len(refused.value.alternatives) == 3
    for slot in refused.value.alternatives:
        moved = await client.reschedule(booking.appointment_id, slot.start)
        assert moved.start == slot.start


async def seats_left(client: SalonClient, start: int) -> int:
    """How many seats of the class are open."""
    slot = (await client.slots(CLASS.id)).get(start)
    return slot.seats_left if slot else 0


async def test_seats_of_a_class_are_sold_one_by_one_until_none_is_left(client: SalonClient) -> None:
    left = 8
    for seats in (3, 1, 2):
        await client.book(at(10), CLASS.id, seats=seats)
        left -= seats
        assert await seats_left(client, at(10)) == left
    with pytest.raises(SlotUnavailable):
        await client.hold(at(10), CLASS.id, seats=3)
    last = await client.hold(at(10), CLASS.id, seats=2)
    assert await seats_left(client, at(10)) == 0
    await client.release(last.hold_id)
    assert await seats_left(client, at(10)) == 2


async def test_a_class_is_over_with_its_last_seat_and_not_before(
    client: SalonClient, engine: Engine
) -> None:
    first = await client.book(at(10), CLASS.id)
    second = await client.book(at(10), CLASS.id, seats=7)
    assert first.session_id == second.session_id
    await client.cancel(first.appointment_id)
    assert len(engine.tables()["allocations"]) == 2
    assert at(10) not in await client.slots(CUT.id, staff_id="t_chloe")
    await client.cancel(second.appointment_id)
    assert engine.tables()["allocations"] == []
    assert at(10) in await client.slots(CUT.id, staff_id="t_chloe")


@pytest.mark.parametrize("taken", [True, False])
async def test_a_hold_of_a_class_that_has_ended_stays_over_where_a_clock_is_behind(
    client: SalonClient, taken: bool
) -> None:
    """Ledger time does not run back: it is over for all once it was over for one."""
    first = await client.hold(at(10), CLASS.id)
    client.clock.advance(300)
    second = await client.hold(at(10), CLASS.id)
    client.clock.instant = first.expires_at
    await client.release(second.hold_id)
    if taken:
        await client.hold(at(10), CUT.id, staff_id="t_chloe")
    client.clock.instant = first.expires_at - 1
    with pytest.raises(HoldExpired):
        await client.confirm(first.hold_id)
    assert (at(10) in await client.slots(CLASS.id)) is not taken


@pytest.mark.parametrize("start", [at(10), at(11)])
async def test_an_appointment_leaves_a_class_whose_other_hold_has_run_out(
    client: SalonClient, start: int
) -> None:
    booked = await client.book(at(10), CLASS.id)
    held = await client.hold(at(10), CLASS.id)
    client.clock.instant = held.expires_at
    moved = await client.reschedule(booked.appointment_id, start)
    assert moved.start == start
    assert at(11) in await client.slots(CLASS.id)


async def test_a_class_lasts_as_long_as_its_longest_hold_and_for_ever_once_confirmed(
    client: SalonClient,
) -> None:
    first = await client.hold(at(10), CLASS.id)
    client.clock.advance(300)
    second = await client.hold(at(10), CLASS.id)
    client.clock.instant = first.expires_at
    assert await seats_left(client, at(10)) == 7
    assert at(10) not in await client.slots(CUT.id, staff_id="t_chloe")
    third = await client.book(at(10), CLASS.id)
    assert third.session_id == second.session_id
    client.clock.instant = second.expires_at
    assert await seats_left(client, at(10)) == 7
    assert await client.expire_holds() == 1
    assert at(10) not in await client.slots(CUT.id, staff_id="t_chloe")


async def test_leaving_a_class_for_another_time_frees_the_seats_and_keeps_the_others(
    client: SalonClient, engine: Engine
) -> None:
    stays = await client.book(at(10), CLASS.id, seats=5)
    leaves = await client.book(at(10), CLASS.id, seats=3)
    moved = await client.reschedule(leaves.appointment_id, at(12))
    assert moved.session_id != stays.session_id
    assert (await seats_left(client, at(10)), await seats_left(client, at(12))) == (3, 5)
    joined = await client.reschedule(stays.appointment_id, at(12))
    assert joined.session_id == moved.session_id
    assert (await seats_left(client, at(10)), await seats_left(client, at(12))) == (8, 0)
    assert {row["session_id"] for row in engine.tables()["allocations"]} == {moved.session_id}


async def test_a_class_with_room_for_an_appointment_only_once_it_left_takes_it_back(
    client: SalonClient,
) -> None:
    whole = await client.book(at(10), CLASS.id, seats=8)
    again = await client.reschedule(whole.appointment_id, at(10))
    assert (again.start, again.seats, again.revision) == (at(10), 8, 3)
    crowd = await client.book(at(12), CLASS.id, seats=5)
    part = await client.book(at(12), CLASS.id, seats=3)
    same = await client.reschedule(part.appointment_id, at(12))
    assert same.session_id == crowd.session_id
    assert await seats_left(client, at(12)) == 0


async def test_a_move_into_a_class_without_room_leaves_both_classes_as_they_were(
    client: SalonClient, engine: Engine
) -> None:
    await client.book(at(10), CLASS.id, seats=2)
    leaves = await client.book(at(10), CLASS.id, seats=3)
    await client.book(at(12), CLASS.id, seats=6)
    before = engine.tables()
    with pytest.raises(SlotUnavailable):
        await client.reschedule(leaves.appointment_id, at(12))
    assert engine.tables() == before


async def test_what_is_not_an_appointment_yet_cannot_be_cancelled_or_moved(
    client: SalonClient,
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
    await open_salon(stores)
    client = SalonClient(stores, clock)
    done = appointment(1, state=state)
    await add_events(stores, event_of(done, EventType.APPOINTMENT_CONFIRMED))
    with pytest.raises(NotCancellable):
        await client.cancel(done.appointment_id)
    with pytest.raises(NotReschedulable):
        await client.reschedule(done.appointment_id, at(12))


async def test_a_service_that_grew_still_sees_what_was_booked_when_it_was_short(
    client: SalonClient,
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


async def pages(client: SalonClient, size: int) -> list[Reservation]:
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
    client: SalonClient, size: int
) -> None:
    made = [await client.book(at(10) + n // 2 * CUT.duration) for n in range(4)]
    await client.hold(at(20))
    expected = sorted(made, key=lambda found: (found.start, found.appointment_id))
    assert await pages(client, size) == expected


async def test_an_unknown_organization_answers_every_call_alike(client: SalonClient) -> None:
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
    client: SalonClient,
) -> None:
    with pytest.raises(AssertionError):
        await client.stores.writer.run(ORG, NeverLoaded())
    assert (await client.hold(at(10))).start == at(10)
