"""What `check_ledger` finds: each damage to a legal ledger's rows fails it."""

import json
from collections.abc import Callable

import pytest

from zimun.clock import ManualClock
from zimun.domain.instant import HOUR, SECOND

from .booking_client import BookingClient
from .engines import Row, SqliteEngine, Tables
from .ledger_check import check_ledger
from .sample_catalog import CLASS, KIOSK, NOW, at, create_salon


async def story(client: BookingClient) -> None:
    """At least one event of every type."""
    moved = await client.book(at(10), KIOSK.id)
    client.clock.advance(1)
    moved = await client.reschedule(moved.appointment_id, at(11))
    await client.cancel(moved.appointment_id, "ill")
    expired = await client.hold(at(12), KIOSK.id)
    await client.extend(expired.hold_id)
    released = await client.hold(at(13), KIOSK.id)
    await client.release(released.hold_id)
    client.clock.instant += HOUR
    await client.expire_holds()
    await client.book(at(14), KIOSK.id)
    await client.book(at(14, 10), KIOSK.id)
    await client.book(at(10), CLASS.id, seats=5)
    await client.book(at(10), CLASS.id, seats=3)


def of_type(tables: Tables, kind: str, number: int = 0) -> Row:
    return [event for event in tables["events"] if event["type"] == kind][number]


def edit(event: Row, change: Callable[[Row], object]) -> None:
    """Change what an event says."""
    data = json.loads(event["data"])
    change(data)
    event["data"] = json.dumps(data)


def state(value: str) -> Callable[[Row], object]:
    return lambda data: data["reservation"].update(state=value)


def reservation(**values: object) -> Callable[[Row], object]:
    return lambda data: data["reservation"].update(values)


def session(**values: object) -> Callable[[Row], object]:
    return lambda data: data["sessions"][0].update(values)


def expiry(instant: int) -> Callable[[Row], object]:
    def change(data: Row) -> None:
        reservation(expires_at=instant)(data)
        session(until=instant)(data)

    return change


def drop_event(tables: Tables) -> None:
    tables["events"].remove(of_type(tables, "HOLD_EXTENDED"))


def drop_event_and_number_the_rest(tables: Tables) -> None:
    tables["events"].remove(of_type(tables, "HOLD_EXTENDED"))
    for number, event in enumerate(tables["events"], 1):
        event["seq"] = number
    tables["ledgers"][0]["seq"] -= 1


def swap_events(tables: Tables) -> None:
    """A release before its hold, each with the other's number and time."""
    held, released = of_type(tables, "HOLD_CREATED", 2), of_type(tables, "HOLD_RELEASED")
    for name in ("seq", "time"):
        held[name], released[name] = released[name], held[name]
    tables["events"].sort(key=lambda event: int(event["seq"]))


DAMAGES: dict[str, Callable[[Tables], object]] = {
    "an event is missing": drop_event,
    "an event was never numbered": drop_event_and_number_the_rest,
    "two events are in the wrong order": swap_events,
    "the head is behind": lambda tables: tables["ledgers"][0].update(seq=3),
    "the head is ahead": lambda tables: tables["ledgers"][0].update(seq=99),
    "the head is earlier": lambda tables: tables["ledgers"][0].update(time=1),
    "there is no head": lambda tables: tables["ledgers"].clear(),
    "the catalogue has another version": lambda tables: tables["ledgers"][0].update(
        catalog_version=1
    ),
    "time runs back": lambda tables: tables["events"][-1].update(time=1),
    "an event is late": lambda tables: edit(
        of_type(tables, "HOLD_CREATED", 1), expiry(NOW + SECOND)
    ),
    "an expiry is early": lambda tables: edit(of_type(tables, "HOLD_EXTENDED"), expiry(at(20))),
    "an expiry has an author": lambda tables: of_type(tables, "HOLD_EXPIRED").update(
        client_id="c_desk"
    ),
    "a revision is repeated": lambda tables: of_type(tables, "HOLD_EXTENDED").update(revision=1),
    "a step leads elsewhere": lambda tables: edit(
        of_type(tables, "HOLD_EXTENDED"), state("CONFIRMED")
    ),
    "a step changes what it may not": lambda tables: edit(
        of_type(tables, "HOLD_EXTENDED"), reservation(start_time=at(13))
    ),
    "the story does not end in the row": lambda tables: tables["reservations"][-1].update(
        notes="other"
    ),
    "a row has no story": lambda tables: tables["reservations"].append(
        {**tables["reservations"][-1], "hold_id": "h_other", "state": "RELEASED"}
    ),
    "an event sold a time twice": lambda tables: edit(
        of_type(tables, "HOLD_CREATED", 4), session(busy=[at(14), at(14, 20)])
    ),
    "an event oversold a class": lambda tables: edit(
        of_type(tables, "APPOINTMENT_CONFIRMED", -1), session(capacity=7)
    ),
    "an event counts other seats": lambda tables: edit(
        of_type(tables, "APPOINTMENT_CONFIRMED", -1), session(seats_taken=7)
    ),
    "an event ends its session": lambda tables: edit(
        of_type(tables, "APPOINTMENT_CONFIRMED", -1), session(until=0)
    ),
    "an event leaves a session out": lambda tables: edit(
        of_type(tables, "APPOINTMENT_RESCHEDULED"), lambda data: data["sessions"].pop()
    ),
    "an allocation is missing": lambda tables: tables["allocations"].pop(),
    "an allocation is longer": lambda tables: tables["allocations"][0].update(busy_end=at(23)),
    "an allocation was booked at another instant": lambda tables: tables["allocations"][0].update(
        booked_at=1
    ),
    "a session's seats are others": lambda tables: tables["sessions"][0].update(seats_taken=1),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_check_ledger_of_damaged_rows_fails(
    sqlite_engine: SqliteEngine, clock: ManualClock, damage: str
) -> None:
    async with sqlite_engine.open(clock) as stores:
        await create_salon(stores)
        await story(BookingClient(stores, clock))
    tables = sqlite_engine.tables()
    check_ledger(tables, clock.now())
    DAMAGES[damage](tables)
    with pytest.raises(AssertionError):
        check_ledger(tables, clock.now())
