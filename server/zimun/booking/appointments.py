"""Holding, confirming, moving, cancelling: one function for every RPC of AppointmentsService."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from zimun.booking import availability
from zimun.booking.availability import Wanted
from zimun.booking.change import Change, apply, new_id
from zimun.booking.store import AppointmentFilter, Store, Transaction
from zimun.booking.turns import Turns
from zimun.clock import Clock
from zimun.domain import booking
from zimun.domain.access import Caller
from zimun.domain.availability import Choice, Search, Slot, choose
from zimun.domain.booking import Contact, EventType, Reservation, State
from zimun.domain.catalog import Place, Service
from zimun.domain.errors import Overloaded, SlotUnavailable
from zimun.domain.intervals import Interval
from zimun.domain.schedule import local_date, segments

SWEEP = 500
"""The most holds of an organization whose expiry one turn of the sweeper records."""

AT_ONCE = 16
"""How many of them it asks the store for at a time, so that it leaves room for callers."""

MOST_TRYING = 5
"""How many callers of one slot try at once where each needs one of the store's connections: some
of these are for others."""

Key = tuple[int, str]
"""Where a page begins: after the appointment with this (start, appointment_id)."""


async def hold(
    store: Store,
    clock: Clock,
    change: Change[Reservation],
    wanted: Wanted,
    start: int,
    turns: Turns | None = None,
) -> bytes:
    """Keep a slot for the organization's hold length.

    With `turns` no more callers of the same slot try at once than it has room for. Raises what
    `availability.search` and `Search.slot_at` raise; SlotUnavailable carries the
    nearest open slots.
    """
    more = 0

    def at_once(room: int) -> int:
        return min(room, MOST_TRYING) if store.shared else room

    def run(tx: Transaction, now: int) -> Reservation:
        nonlocal more
        held, more = _hold(tx, now, change.caller, wanted, start)
        return held

    async def attempt() -> tuple[bytes, int] | None:
        try:
            return await apply(store, clock, change, run), at_once(more)
        except SlotUnavailable:
            return None

    async def look(others: Sequence[Change[Reservation]]) -> tuple[Sequence[Exception | None], int]:
        try:
            refusals, room = await store.read(
                lambda tx: _look(tx, clock.now(), change.caller, others, wanted, start)
            )
            return refusals, at_once(room)
        except Overloaded as error:
            # It would take each of them as long to learn the same.
            return [Overloaded(error.message, error.retry_after) for _ in others], 0

    if turns:
        taking = turns.take((change.caller.org_id, wanted, start), change, look, attempt)
        if answer := await taking:
            return answer
    return await _offering_others(store, clock, change, wanted, start, run)


def _look(
    tx: Transaction,
    now: int,
    caller: Caller,
    others: Sequence[Change[Reservation]],
    wanted: Wanted,
    start: int,
) -> tuple[Sequence[Exception | None], int]:
    """The refusal of each who wants a taken time, and how many have something to try for.

    There is none for anybody where the time can be had, nor for those whose
    request has been answered before.
    """
    found = availability.left(tx, now, caller, wanted, start)
    if isinstance(found, int):
        return [None] * len(others), found
    # Read after the slot was found taken: it may be their own earlier request that took it.
    answered = tx.answered([other.identity for other in others if other.key])
    refusals = [
        None
        if other.identity in answered
        else SlotUnavailable(wanted.service_id, found.alternatives, found.time_zone)
        for other in others
    ]
    return refusals, refusals.count(None)


def _hold(
    tx: Transaction, now: int, caller: Caller, wanted: Wanted, start: int
) -> tuple[Reservation, int]:
    """A new hold, and for how many more its time has room."""
    found = availability.search(tx, now, caller.org_id, wanted, (start, start + 1), locking=True)
    slot, service = found.slot_at(start), found.service
    choice = _choose(tx, found, slot)
    _clear(tx, found, choice, start)
    held = Reservation(
        org_id=caller.org_id,
        hold_id=new_id("h"),
        session_id=choice.session_id or new_id("x"),
        service_id=service.id,
        location_id=found.place.id,
        staff_id=choice.staff_id,
        resource_ids=choice.resource_ids,
        seats=found.seats,
        start=start,
        end=start + service.duration,
        state=State.HELD,
        expires_at=now + found.timetable.catalog.organization.hold_length,
        create_time=now,
        update_time=now,
    )
    tx.add(EventType.HOLD_CREATED, held, caller.client_id)
    if choice.session_id:
        tx.join(held, service.capacity)
    _take(tx, now, service, choice, held)
    return held, found.room(slot) - 1


async def extend_hold(
    store: Store, clock: Clock, change: Change[Reservation], hold_id: str
) -> bytes:
    """Start a hold's time again; raises HoldNotFound and what `booking.extend` raises."""

    def run(tx: Transaction, now: int) -> Reservation:
        before = _locked(tx, tx.hold(change.caller.org_id, hold_id))
        organization = tx.timetable(change.caller.org_id).catalog.organization
        after = booking.extend(before, now, organization.hold_length)
        return _keep(tx, change.caller, EventType.HOLD_EXTENDED, before, after)

    return await apply(store, clock, change, run)


async def release_hold(
    store: Store, clock: Clock, change: Change[Reservation], hold_id: str
) -> bytes:
    """Give a held slot back; raises HoldNotFound or HoldConfirmed."""

    def run(tx: Transaction, now: int) -> Reservation:
        before = _expire(tx, _locked(tx, tx.hold(change.caller.org_id, hold_id)), now)
        after = booking.release(before, now)
        return _keep(tx, change.caller, EventType.HOLD_RELEASED, before, after)

    return await apply(store, clock, change, run)


async def confirm(
    store: Store, clock: Clock, change: Change[Reservation], hold_id: str, contact: Contact
) -> bytes:
    """Make a hold an appointment; raises HoldNotFound, HoldExpired or HoldReleased."""

    def run(tx: Transaction, now: int) -> Reservation:
        before = _locked(tx, tx.hold(change.caller.org_id, hold_id))
        after = booking.confirm(before, now, new_id("a"), contact)
        return _keep(tx, change.caller, EventType.APPOINTMENT_CONFIRMED, before, after)

    return await apply(store, clock, change, run)


async def cancel(
    store: Store,
    clock: Clock,
    change: Change[Reservation],
    appointment_id: str,
    reason: str,
    etag: str,
) -> bytes:
    """Call an appointment off; raises AppointmentNotFound and what `booking.cancel` raises."""

    def run(tx: Transaction, now: int) -> Reservation:
        before = _locked(tx, tx.appointment(change.caller.org_id, appointment_id))
        service = tx.timetable(before.org_id).catalog.entry(Service, before.service_id)
        after = booking.cancel(before, now, service, reason, etag)
        return _keep(tx, change.caller, EventType.APPOINTMENT_CANCELLED, before, after)

    return await apply(store, clock, change, run)


async def reschedule(
    store: Store,
    clock: Clock,
    change: Change[Reservation],
    appointment_id: str,
    start: int,
    staff_id: str,
    etag: str,
) -> bytes:
    """Move an appointment in one step; on failure everything is as it was.

    Raises AppointmentNotFound, what `booking.check_movable` raises, and what
    `hold` raises of the new time.
    """
    org_id = change.caller.org_id
    before = await store.read(lambda tx: tx.appointment(org_id, appointment_id))
    wanted = Wanted(
        service_id=before.service_id, staff_id=staff_id, ignore_appointment_id=appointment_id
    )

    def run(tx: Transaction, now: int) -> Reservation:
        return _reschedule(tx, now, change.caller, wanted, start, etag)

    return await _offering_others(store, clock, change, wanted, start, run)


def _reschedule(
    tx: Transaction, now: int, caller: Caller, wanted: Wanted, start: int, etag: str
) -> Reservation:
    found = availability.search(tx, now, caller.org_id, wanted, (start, start + 1), locking=True)
    before, service = tx.appointment(caller.org_id, wanted.ignore_appointment_id), found.service
    booking.check_movable(before, now, service, etag)
    slot = found.slot_at(start)
    if before.staff_id in slot.staff_ids:
        slot = replace(found, staff_id=before.staff_id).slot_at(start)
    choice = _choose(tx, found, slot)
    _clear(tx, found, choice, start, moving=True)
    after = booking.move(
        before,
        now,
        start,
        start + service.duration,
        choice.session_id or new_id("x"),
        choice.staff_id,
        choice.resource_ids,
    )
    tx.change(EventType.APPOINTMENT_RESCHEDULED, before, after, caller.client_id)
    tx.settle(before.org_id, before.session_id)
    if choice.session_id and after.session_id != before.session_id:
        tx.join(after, service.capacity)
    _take(tx, now, service, choice, after)
    return after


async def get_appointment(store: Store, caller: Caller, appointment_id: str) -> Reservation:
    """One appointment; raises AppointmentNotFound."""
    return await store.read(lambda tx: tx.appointment(caller.org_id, appointment_id))


async def list_appointments(
    store: Store, caller: Caller, wanted: AppointmentFilter, size: int, after: Key | None
) -> tuple[Sequence[Reservation], Key | None]:
    """A page of appointments in order of start, and the key after which the next one begins."""
    found = await store.scan(lambda tx: tx.appointments(caller.org_id, wanted, after, size + 1))
    page = found[:size]
    more = len(found) > size
    return page, (page[-1].start, page[-1].appointment_id) if more else None


async def sweep(store: Store, clock: Clock) -> int:
    """Record what time alone has ended, and answer how many holds that were.

    Nothing waits for it: a hold is over at its instant, recorded or not.
    """
    now = clock.now()
    swept = 0
    for org_id in await store.read(lambda tx: tx.organization_ids()):
        if await store.read(partial(_forgettable, org_id=org_id, now=now)):
            await store.write(partial(_forget, org_id=org_id, now=now))
        stale = await store.read(partial(_stale, org_id=org_id, now=now))
        for begin in range(0, len(stale), AT_ONCE):
            some = stale[begin : begin + AT_ONCE]
            ended = await asyncio.gather(
                *(store.write(partial(_end, org_id=org_id, hold_id=one, now=now)) for one in some)
            )
            swept += sum(ended)
    return swept


def _forgettable(tx: Transaction, org_id: str, now: int) -> bool:
    return tx.forgettable(org_id, now)


def _forget(tx: Transaction, org_id: str, now: int) -> None:
    tx.forget(org_id, now)


def _stale(tx: Transaction, org_id: str, now: int) -> list[str]:
    return tx.stale_holds(org_id, now, SWEEP)


def _end(tx: Transaction, org_id: str, hold_id: str, now: int) -> bool:
    """Record a hold's expiry; False where somebody else just has."""
    before = _locked(tx, tx.hold(org_id, hold_id))
    return _expire(tx, before, now) is not before


def _expire(tx: Transaction, before: Reservation, now: int) -> Reservation:
    """The reservation as it stands; an expiry that is not recorded yet is recorded."""
    after = booking.standing(before, now)
    if after is not before:
        _store(tx, EventType.HOLD_EXPIRED, before, after, "")
    return after


def _choose(tx: Transaction, found: Search, slot: Slot) -> Choice:
    """Decide who and what serves a slot."""
    if slot.joinable or len(slot.staff_ids) < 2:
        return choose(slot, {})
    day, catalog = _day_of(found.place, slot.start), found.timetable.catalog
    org_id, reach = catalog.organization.id, catalog.longest_span
    return choose(slot, tx.staff_load(org_id, slot.staff_ids, day, reach, found.now))


def _clear(
    tx: Transaction, found: Search, choice: Choice, start: int, moving: bool = False
) -> None:
    """Record the expiry of the holds that have run out where the choice is to be: their rows must
    be gone before others take their place, and their seats before others join the session.

    What an appointment leaves by `moving` may be shared with such holds, which `found` does not
    tell.
    """
    catalog, taken = found.timetable.catalog, found.service.taken(start)
    org_id, subjects = catalog.organization.id, choice.subjects(found.service)
    if not (choice.session_id or moving) and found.busy.run_out.isdisjoint(subjects):
        return
    for hold_id in tx.run_out(org_id, subjects, taken, catalog.longest_span, found.now):
        _expire(tx, tx.hold(org_id, hold_id), found.now)


def _locked(tx: Transaction, before: Reservation) -> Reservation:
    """A reservation as it is once nobody else can change what is taken of its subjects."""
    while tx.lock(before.org_id, before.taken()):
        now_there = tx.hold(before.org_id, before.hold_id)
        if [*now_there.taken()] == [*before.taken()]:
            return now_there
        # It has moved meanwhile: its new place needs to be locked, too.
        before = now_there
    return before


def _take(
    tx: Transaction, now: int, service: Service, choice: Choice, reservation: Reservation
) -> None:
    """Make the reservation's time busy: in the session that it joins, or in one of its own."""
    if choice.session_id:
        tx.settle(reservation.org_id, reservation.session_id)
    else:
        taken = service.taken(reservation.start)
        tx.allocate(reservation, reservation.subjects, taken, now, service.capacity)


def _keep(
    tx: Transaction,
    caller: Caller,
    event: EventType,
    before: Reservation,
    after: Reservation,
) -> Reservation:
    """Store a change of state with its event; nothing where nothing changed."""
    if after is not before:
        _store(tx, event, before, after, caller.client_id)
    return after


def _store(
    tx: Transaction,
    event: EventType,
    before: Reservation,
    after: Reservation,
    client_id: str,
) -> None:
    tx.change(event, before, after, client_id)
    tx.settle(after.org_id, after.session_id)


async def _offering_others(
    store: Store,
    clock: Clock,
    change: Change[Reservation],
    wanted: Wanted,
    start: int,
    run: Callable[[Transaction, int], Reservation],
) -> bytes:
    """Apply a change; when its time is taken, say which times are not.

    They are looked up after the refusal, beside the writer: losers of a race
    do not keep others from theirs.
    """
    try:
        return await apply(store, clock, change, run)
    except SlotUnavailable:
        slots, zone = await availability.alternatives(
            store, clock.now(), change.caller, wanted, start
        )
        raise SlotUnavailable(wanted.service_id, slots, zone) from None


def _day_of(place: Place, instant: int) -> Interval:
    """The date of the place that an instant falls on, as an interval."""
    shown = segments(place.time_zone, local_date(place.time_zone, instant))
    return shown[0].start, shown[-1].end
