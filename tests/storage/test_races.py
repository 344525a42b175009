"""Many at once, at one server or several: nothing is sold twice, and nothing is refused that was
there."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from zimun.booking.reader import MAX_ROWS
from zimun.booking.store import Append, IdempotencyKey, LedgerRead, StoredResponse
from zimun.clock import ManualClock
from zimun.domain.booking_errors import HoldReleased, SlotUnavailable
from zimun.domain.errors import ZimunError
from zimun.domain.instant import DAY, HOUR, MINUTE, SECOND
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.reservation import Reservation, State

from .booking_client import BookingClient, decode_reservation
from .engines import Engine
from .ledger_check import check_ledger, events_of, reservations_of
from .sample_catalog import CALLER, CLASS, CUT, KIOSK, NOW, ORG, SPA, STAFF, at, create_salon

SERVERS = 4


async def outcomes(client: BookingClient, *calls: object) -> list[object]:
    return await asyncio.gather(*calls, return_exceptions=True)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    ("service_id", "staff"), [(CUT.id, len(STAFF)), (SPA.id, 1), (KIOSK.id, 1)]
)
async def test_of_many_holds_of_one_slot_as_many_succeed_as_there_are_people(
    client: BookingClient, engine: Engine, service_id: str, staff: int
) -> None:
    got = await outcomes(client, *(client.hold(at(10), service_id) for _ in range(200)))
    held = [found for found in got if isinstance(found, Reservation)]
    refused = [found for found in got if isinstance(found, SlotUnavailable)]
    assert (len(held), len(refused)) == (staff, 200 - staff)
    assert len({found.staff_id for found in held}) == staff
    assert reservations_of(engine.tables()) == {found.hold_id: found for found in held}
    open_now = await client.slots(service_id)
    for found in refused:
        assert len(found.alternatives) == 3
        assert all(slot.start in open_now for slot in found.alternatives)
        assert found.time_zone == "UTC"


async def test_holds_of_different_slots_do_not_refuse_each_other(client: BookingClient) -> None:
    starts = [at(0) + n * KIOSK.duration for n in range(144)]
    random.Random(1).shuffle(starts)
    got = await asyncio.gather(*(client.hold(start, KIOSK.id) for start in starts))
    assert [found.start for found in got] == starts
    assert await client.slots(KIOSK.id) == {}


async def test_a_class_is_never_oversold_and_never_refused_while_there_are_seats(
    client: BookingClient, engine: Engine
) -> None:
    sizes = random.Random(2).choices((1, 2, 3), k=100)
    got = await outcomes(client, *(client.hold(at(10), CLASS.id, seats=n) for n in sizes))
    held = [found for found in got if isinstance(found, Reservation)]
    refused = [n for n, found in zip(sizes, got, strict=True) if isinstance(found, SlotUnavailable)]
    assert len(held) + len(refused) == 100
    left = CLASS.capacity - sum(found.seats for found in held)
    # Seats only went down: who was refused while there were enough would find them still.
    assert 0 <= left < min(refused)
    assert len({found.session_id for found in held}) == 1
    assert reservations_of(engine.tables()) == {found.hold_id: found for found in held}


async def test_classes_at_many_times_fill_to_the_last_seat(client: BookingClient) -> None:
    starts = [at(8), at(10), at(12)]
    got = await outcomes(client, *(client.hold(starts[n % 3], CLASS.id) for n in range(90)))
    held = Counter(found.start for found in got if isinstance(found, Reservation))
    assert held == dict.fromkeys(starts, CLASS.capacity)


async def test_confirming_and_releasing_one_hold_at_once_lets_one_of_them_win(
    client: BookingClient,
) -> None:
    holds = [await client.hold(at(8) + n * KIOSK.duration, KIOSK.id) for n in range(20)]
    calls = []
    for n, held in enumerate(holds):
        both = [client.confirm(held.hold_id), client.release(held.hold_id)]
        calls += both if n % 2 else both[::-1]
    got = await outcomes(client, *calls)
    for n in range(20):
        states = {found.state for found in got[2 * n : 2 * n + 2] if isinstance(found, Reservation)}
        errors = [found for found in got[2 * n : 2 * n + 2] if isinstance(found, ZimunError)]
        assert len(states) == len(errors) == 1
        won = states.pop()
        assert won in (State.CONFIRMED, State.RELEASED)
        assert isinstance(errors[0], HoldReleased) == (won is State.RELEASED)


async def test_confirming_one_hold_many_times_at_once_makes_one_appointment(
    client: BookingClient, engine: Engine
) -> None:
    held = await client.hold(at(10))
    got = await asyncio.gather(*(client.confirm(held.hold_id) for _ in range(30)))
    assert len({found.appointment_id for found in got}) == 1
    assert events_of(engine.tables(), held.hold_id) == ["HOLD_CREATED", "APPOINTMENT_CONFIRMED"]


async def test_two_appointments_that_want_each_others_time_both_stay_somewhere(
    client: BookingClient,
) -> None:
    first, second = await client.book(at(10), KIOSK.id), await client.book(at(11), KIOSK.id)
    got = await outcomes(
        client,
        client.reschedule(first.appointment_id, at(11)),
        client.reschedule(second.appointment_id, at(10)),
    )
    assert [type(found) for found in got] == [SlotUnavailable, SlotUnavailable]
    open_now = await client.slots(KIOSK.id)
    assert at(10) not in open_now
    assert at(11) not in open_now


async def test_holds_that_race_with_a_move_for_its_old_and_new_time_leave_no_overlap(
    client: BookingClient, engine: Engine
) -> None:
    booking = await client.book(at(10), KIOSK.id)
    got = await outcomes(
        client,
        *(client.hold(at(11), KIOSK.id) for _ in range(5)),
        client.reschedule(booking.appointment_id, at(11, 30)),
        *(client.hold(at(10), KIOSK.id) for _ in range(5)),
        *(client.hold(at(11, 30), KIOSK.id) for _ in range(5)),
    )
    # They are decided in the order in which they came.
    assert reservations_of(engine.tables())[booking.hold_id].start == at(11, 30)
    won = [found.start for found in got if isinstance(found, Reservation)]
    assert won == [at(11), at(11, 30), at(10)]


async def visits(client: BookingClient, order: random.Random, number: int) -> None:
    """What a caller may do: every key is used by two of them."""
    service = order.choice((CUT, SPA, CLASS, KIOSK))
    start = at(8) + order.randrange(8) * HOUR
    try:
        response = await client.hold_bytes(start, service.id, key=f"key {number // 2}")
        found = await client.confirm(decode_reservation(response).hold_id)
        if number % 3:
            found = await client.reschedule(found.appointment_id, start + SPA.duration)
        if number % 5:
            await client.cancel(found.appointment_id)
    except ZimunError:
        return


async def test_many_concurrent_calls_at_one_server_leave_a_legal_ledger(
    client: BookingClient,
) -> None:
    order = random.Random(4)
    await asyncio.gather(*(visits(client, order, number) for number in range(120)))


@pytest.fixture
async def clients(engine: Engine) -> AsyncIterator[list[BookingClient]]:
    """A client at each of several servers of one database, whose clocks differ by seconds.

    The first of them keeps hardly anything in memory.
    """
    async with AsyncExitStack() as stack:
        found = []
        for number in range(SERVERS):
            clock = ManualClock(NOW + number * SECOND)
            stores = engine.open(clock, MAX_ROWS if number else 1)
            found.append(BookingClient(await stack.enter_async_context(stores), clock))
        await create_salon(found[0].stores)
        yield found
    check_ledger(engine.tables(), max(client.clock.now() for client in found))


@pytest.mark.parametrize(("service_id", "staff"), [(CUT.id, len(STAFF)), (SPA.id, 1)])
async def test_holds_of_one_slot_at_several_servers_succeed_as_often_as_there_are_people(
    clients: list[BookingClient], engine: Engine, service_id: str, staff: int
) -> None:
    calls = (client.hold(at(10), service_id) for _ in range(10) for client in clients)
    got = await asyncio.gather(*calls, return_exceptions=True)
    held = [found for found in got if isinstance(found, Reservation)]
    refused = [found for found in got if isinstance(found, SlotUnavailable)]
    assert (len(held), len(refused)) == (staff, len(got) - staff)
    assert reservations_of(engine.tables()) == {found.hold_id: found for found in held}
    for client in clients:
        assert at(10) not in await client.slots(service_id)


async def test_holds_of_a_class_at_several_servers_fill_it_to_the_last_seat(
    clients: list[BookingClient],
) -> None:
    calls = (client.hold(at(10), CLASS.id) for _ in range(5) for client in clients)
    got = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(found, Reservation) for found in got) == CLASS.capacity


async def test_requests_under_one_key_at_several_servers_have_one_effect_and_one_response(
    clients: list[BookingClient], engine: Engine
) -> None:
    calls = (client.hold_bytes(at(10), key="key") for _ in range(5) for client in clients)
    responses = set(await asyncio.gather(*calls))
    assert [decode_reservation(response) for response in responses] == [
        *reservations_of(engine.tables()).values()
    ]


async def test_one_holds_confirmations_and_releases_at_several_servers_let_one_of_them_win(
    clients: list[BookingClient], engine: Engine
) -> None:
    held = await clients[0].hold(at(10))
    calls = [
        client.confirm(held.hold_id) if number % 2 else client.release(held.hold_id)
        for number, client in enumerate(clients * 2)
    ]
    got = await asyncio.gather(*calls, return_exceptions=True)
    [won] = {found.state for found in got if isinstance(found, Reservation)}
    kept = reservations_of(engine.tables())[held.hold_id]
    assert won is kept.state
    assert len(events_of(engine.tables(), held.hold_id)) == 2
    assert sum(isinstance(found, ZimunError) for found in got) == SERVERS


async def test_many_concurrent_calls_at_several_servers_leave_a_legal_ledger(
    clients: list[BookingClient],
) -> None:
    order = random.Random(5)
    await asyncio.gather(*(visits(clients[n % SERVERS], order, n) for n in range(120)))


async def test_what_one_server_was_told_is_known_to_another_that_is_asked_next(
    clients: list[BookingClient],
) -> None:
    order = random.Random(6)
    for n in range(20):
        start = at(8) + n * KIOSK.duration
        one, other = order.sample(clients, 2)
        held = await one.hold(start, KIOSK.id)
        assert start not in await other.slots(KIOSK.id)
        assert await other.confirm(held.hold_id) == await one.confirm(held.hold_id)


async def test_ledger_time_does_not_run_back_at_a_server_whose_clock_is_behind(
    clients: list[BookingClient], engine: Engine
) -> None:
    early, late = clients[0], clients[-1]
    held = await late.hold(at(10))
    assert held.create_time == late.clock.now()
    confirmed = await early.confirm(held.hold_id)
    assert confirmed.confirm_time == late.clock.now()
    # A response is kept where nothing changes, too: its instant counts like any other.
    late.clock.advance(60)
    assert await late.confirm(held.hold_id, key="late") == confirmed
    assert await early.confirm(held.hold_id, key="early") == confirmed
    [head] = engine.tables()["ledgers"]
    assert head["time"] == late.clock.now()
    assert (await early.hold(at(11))).create_time == late.clock.now()


async def test_append_to_a_ledger_whose_time_has_moved_on_writes_nothing(
    client: BookingClient, engine: Engine
) -> None:
    """Responses alone move no number on: of two servers that keep some, one has to decide again."""
    [update] = await client.stores.ledgers.read([LedgerRead(ORG)])
    assert update.head
    known = Ledger(ORG, *update.head)

    def response(time: int) -> Append:
        key = IdempotencyKey(CALLER.client_id, "confirm", f"at {time}")
        return Append(known, known, (), time, {key: StoredResponse(b"", b"", time + DAY)})

    assert await client.stores.ledgers.append([response(NOW + MINUTE)]) == {ORG}
    assert await client.stores.ledgers.append([response(NOW + SECOND)]) == set()
    tables = engine.tables()
    assert [head["time"] for head in tables["ledgers"]] == [NOW + MINUTE]
    assert [row["key"] for row in tables["idempotency"]] == [f"at {NOW + MINUTE}"]
