"""What a store tells of many reservations, and what it deletes."""

from dataclasses import replace

import pytest

from zimun.booking.store import (
    AppointmentFilter,
    Head,
    HoldFilter,
    LedgerStore,
    ReservationChange,
)
from zimun.domain.errors import Overloaded
from zimun.domain.instant import MINUTE
from zimun.domain.ledger.events import EventType
from zimun.domain.ledger.reservation import Contact, Reservation, State
from zimun.storage import ledgers

from .appending import OTHER, Script, begun
from .engines import Engine
from .reading import as_read, check_store, read_one
from .sample_catalog import CLASS, NOW, ORG, at

# What has expired.


async def test_expired_holds_are_those_of_all_organizations_from_their_instant_oldest_first(
    store: LedgerStore,
) -> None:
    script, other = begun(), begun(OTHER)
    for number, expires_at in enumerate((30, 10, 20, 10, 10, 10), 1):
        script.hold(number, expires_at=expires_at, start=at(number), end=at(number + 1))
    script.expire(4)
    script.release(5)
    script.confirm(6)
    other.hold(7, expires_at=11)
    await script.write(store)
    await other.write(store)
    assert await store.expired_holds(9, 10) == []
    assert await store.expired_holds(10, 10) == [(ORG, "h_2")]
    assert await store.expired_holds(29, 10) == [(ORG, "h_2"), (OTHER, "h_7"), (ORG, "h_3")]
    everything = [(ORG, "h_2"), (OTHER, "h_7"), (ORG, "h_3"), (ORG, "h_1")]
    assert await store.expired_holds(30, 10) == everything
    assert await store.expired_holds(30, 2) == everything[:2]
    assert await store.expired_holds(30, 10, [ORG]) == [(OTHER, "h_7")]
    assert await store.expired_holds(30, 10, [OTHER, "o_none"]) == [everything[0], *everything[2:]]
    script.expire(2)
    await script.write(store)
    assert await store.expired_holds(30, 10) == everything[1:]


# Lists of appointments.


def make_appointment(script: Script, number: int, start: int, **changes: object) -> None:
    """An appointment whose state is that of `state`, once it is confirmed."""
    state = changes.pop("state", State.CONFIRMED)
    staff_id = changes.pop("staff_id", "t_ada")
    times = {"start": start, "end": start + 1, "busy": (start, start + 1)}
    subjects = {"staff_id": staff_id, "resource_ids": (f"r_{number}",)}
    script.hold(number, **{**subjects, **times, **changes})  # type: ignore[arg-type]
    script.confirm(number, state=state)


async def keep_book(store: LedgerStore) -> None:
    script, other = begun(), begun(OTHER)
    make_appointment(script, 1, 50)
    make_appointment(script, 2, 30, staff_id="t_ben")
    make_appointment(script, 3, 30, service_id="s_spa", state=State.CANCELLED)
    make_appointment(script, 4, 10, service_id="s_spa", staff_id="t_ben", state=State.COMPLETED)
    make_appointment(script, 5, 40, state=State.NO_SHOW)
    script.hold(7, start=20, end=21)
    make_appointment(other, 6, 20)
    await script.write(store)
    await other.write(store)


async def listed(
    store: LedgerStore,
    wanted: AppointmentFilter = AppointmentFilter(),  # noqa: B008 - frozen
    after: tuple[int, str] | None = None,
    limit: int = 100,
) -> list[str]:
    found = await store.appointments(ORG, wanted, after, limit)
    return [reservation.appointment_id for reservation in found]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (AppointmentFilter(), ["a_4", "a_2", "a_3", "a_5", "a_1"]),
        (AppointmentFilter(service_id="s_spa"), ["a_4", "a_3"]),
        (AppointmentFilter(staff_id="t_ben"), ["a_4", "a_2"]),
        (AppointmentFilter(state=State.CONFIRMED), ["a_2", "a_1"]),
        (AppointmentFilter(state=State.CANCELLED), ["a_3"]),
        (AppointmentFilter(start_from=30), ["a_2", "a_3", "a_5", "a_1"]),
        (AppointmentFilter(start_before=30), ["a_4"]),
        (AppointmentFilter(start_from=30, start_before=50), ["a_2", "a_3", "a_5"]),
        (AppointmentFilter(start_from=0, start_before=0), []),
        (AppointmentFilter(service_id="s_spa", staff_id="t_ben"), ["a_4"]),
        (AppointmentFilter(service_id="s_cut", staff_id="t_ada", start_from=41), ["a_1"]),
        (AppointmentFilter(service_id="s_nothing"), []),
    ],
)
async def test_appointments_are_listed_in_order_of_start_and_id_as_filtered(
    store: LedgerStore, wanted: AppointmentFilter, expected: list[str]
) -> None:
    await keep_book(store)
    assert await listed(store, wanted) == expected


async def keep_contacts(store: LedgerStore) -> None:
    """Five appointments: of two contacts, at two locations, with resources of similar ids."""
    script, other = begun(), begun(OTHER)
    for number, (email, location_id, resource_id) in enumerate(
        (
            ("Dana@Example.com", "l_1", "r_a"),
            ("dana@example.com", "l_2", "r_A"),
            ("MÜLLER@example.com", "l_1", "r_a_2"),
            ("dana@example.comm", "", "r_b"),
        ),
        1,
    ):
        start = 10 * number
        times = {"start": start, "end": start + 1, "staff_id": f"t_{number}"}
        script.hold(number, **times, location_id=location_id, resource_ids=(resource_id,))  # type: ignore[arg-type]
        script.confirm(number, contact=Contact(name="Dana", email=email))
    await script.write(store)
    script.time = NOW + MINUTE
    script.change(EventType.APPOINTMENT_UPDATED, 2, cancel_reason="changed")
    script.hold(9, start=5, end=6, staff_id="t_9")
    await script.write(store)
    other.hold(1, start=10, end=11)
    other.confirm(1, contact=Contact(name="Dana", email="dana@example.com"))
    await other.write(store)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (AppointmentFilter(contact_email="DANA@example.com"), ["a_1", "a_2"]),
        (AppointmentFilter(contact_email="müller@example.com"), ["a_3"]),
        (AppointmentFilter(contact_email="dana@example"), []),
        (AppointmentFilter(location_id="l_1"), ["a_1", "a_3"]),
        (AppointmentFilter(resource_id="r_a"), ["a_1"]),
        (AppointmentFilter(resource_id="r_A"), ["a_2"]),
        (AppointmentFilter(resource_id="r_"), []),
        (AppointmentFilter(update_from=NOW), ["a_1", "a_2", "a_3", "a_4"]),
        (AppointmentFilter(update_from=NOW + 1), ["a_2"]),
        (AppointmentFilter(update_from=NOW + MINUTE), ["a_2"]),
        (AppointmentFilter(update_from=NOW + MINUTE + 1), []),
        (AppointmentFilter(descending=True), ["a_4", "a_3", "a_2", "a_1"]),
        (AppointmentFilter(location_id="l_1", descending=True), ["a_3", "a_1"]),
        (AppointmentFilter(contact_email="dana@example.com", update_from=NOW + 1), ["a_2"]),
    ],
)
async def test_appointments_are_filtered_by_contact_place_resource_and_change_in_either_order(
    store: LedgerStore, wanted: AppointmentFilter, expected: list[str]
) -> None:
    await keep_contacts(store)
    assert await listed(store, wanted) == expected


async def test_descending_list_goes_on_before_its_key(store: LedgerStore) -> None:
    await keep_book(store)
    backwards = AppointmentFilter(descending=True)
    assert await listed(store, backwards) == ["a_1", "a_5", "a_3", "a_2", "a_4"]
    assert await listed(store, backwards, after=(30, "a_3")) == ["a_2", "a_4"]


# Lists of holds.


async def keep_holds(store: LedgerStore) -> None:
    """Six holds, one in each way of being over, and one of another organization."""
    script, other = begun(), begun(OTHER)
    for number in range(1, 7):
        more = {"expires_at": NOW + number} | ({"location_id": "l_1"} if number < 3 else {})
        script.hold(number, start=at(number), end=at(number) + 1, **more)  # type: ignore[arg-type]
    script.release(1)
    script.expire(2)
    script.confirm(3)
    script.confirm(4)
    script.cancel(4)
    other.hold(7)
    await script.write(store)
    await other.write(store)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (HoldFilter(), ["h_1", "h_2", "h_3", "h_4", "h_5", "h_6"]),
        (HoldFilter(state=State.HELD), ["h_6"]),
        (HoldFilter(state=State.EXPIRED), ["h_2", "h_5"]),
        (HoldFilter(state=State.RELEASED), ["h_1"]),
        (HoldFilter(state=State.CONFIRMED), ["h_3", "h_4"]),
        (HoldFilter(location_id="l_1"), ["h_1", "h_2"]),
        (HoldFilter(service_id="s_cut", staff_id="t_ada", state=State.RELEASED), ["h_1"]),
        (HoldFilter(service_id="s_nothing"), []),
    ],
)
async def test_holds_are_listed_in_order_of_id_in_their_states_at_an_instant(
    store: LedgerStore, wanted: HoldFilter, expected: list[str]
) -> None:
    await keep_holds(store)
    found = await store.holds(ORG, wanted, NOW + 5, "", 10)
    assert [hold.hold_id for hold in found] == expected
    after = await store.holds(ORG, wanted, NOW + 5, "h_2", 10)
    assert [hold.hold_id for hold in after] == [one for one in expected if one > "h_2"]
    assert len(await store.holds(ORG, wanted, NOW + 5, "", 1)) == min(1, len(expected))


async def test_hold_that_is_over_and_not_recorded_is_listed_as_expired(store: LedgerStore) -> None:
    await keep_holds(store)
    states = {
        hold.hold_id: hold.state for hold in await store.holds(ORG, HoldFilter(), NOW + 5, "", 10)
    }
    assert (states["h_5"], states["h_6"]) == (State.EXPIRED, State.HELD)


# Changes of an appointment.


async def test_changes_are_those_since_the_confirmation_with_who_and_when(
    store: LedgerStore,
) -> None:
    script = begun()
    script.hold(1)
    script.hold(2, start=at(2), end=at(2) + 1)
    await script.write(store)
    script.time = NOW + 1
    confirmed = script.confirm(1)
    await script.write(store)
    script.time = NOW + 2
    moved = script.move(1, "x_9", start=at(14), end=at(15))
    cancelled = script.cancel(1)
    await script.write(store)
    expected = [
        ReservationChange(NOW + 1, EventType.APPOINTMENT_CONFIRMED, "c_desk", confirmed),
        ReservationChange(NOW + 2, EventType.APPOINTMENT_RESCHEDULED, "c_desk", moved),
        ReservationChange(NOW + 2, EventType.APPOINTMENT_CANCELLED, "c_desk", cancelled),
    ]
    assert await store.appointment_changes(ORG, "h_1", 0, 10) == expected
    assert await store.appointment_changes(ORG, "h_1", 3, 10) == expected[1:]
    assert await store.appointment_changes(ORG, "h_1", 0, 2) == expected[:2]
    assert await store.appointment_changes(ORG, "h_2", 0, 10) == []
    assert await store.appointment_changes(OTHER, "h_1", 0, 10) == []


async def test_list_goes_on_after_its_key_whether_or_not_that_appointment_is_left(
    store: LedgerStore,
) -> None:
    await keep_book(store)
    assert await listed(store, after=(10, "a_4")) == ["a_2", "a_3", "a_5", "a_1"]
    assert await listed(store, after=(30, "a_2")) == ["a_3", "a_5", "a_1"]
    assert await listed(store, after=(30, "a_2"), limit=2) == ["a_3", "a_5"]
    assert await listed(store, after=(30, "a_25")) == ["a_3", "a_5", "a_1"]
    assert await listed(store, after=(29, "z")) == ["a_2", "a_3", "a_5", "a_1"]
    assert await listed(store, after=(50, "a_1")) == []
    assert await listed(store, AppointmentFilter(staff_id="t_ben"), after=(10, "a_4")) == ["a_2"]
    assert await listed(store, limit=1) == ["a_4"]


async def test_pages_of_any_size_join_to_the_whole_list(store: LedgerStore) -> None:
    script = begun()
    for number in range(1, 14):
        make_appointment(script, number, number * 7 % 5, staff_id=f"t_{number}")
    await script.write(store)
    whole = await listed(store)
    assert len(whole) == 13
    for size in (1, 2, 5, 13):
        found: list[Reservation] = []
        while True:
            key = (found[-1].start, found[-1].appointment_id) if found else None
            page = await store.appointments(ORG, AppointmentFilter(), key, size)
            if not page:
                break
            found += page
        assert [reservation.appointment_id for reservation in found] == whole


# Pruning.


async def test_pruning_deletes_what_ended_before_an_instant_with_its_events(
    store: LedgerStore, engine: Engine
) -> None:
    script, other = begun(), begun(OTHER)
    script.hold(1, start=at(1), end=at(2))
    script.confirm(1)
    script.hold(2, start=at(2), end=at(3), capacity=3)
    script.confirm(2)
    script.hold(3, start=at(3), end=at(4), service_id=CLASS.id)
    script.hold(4, start=at(1), end=at(2), staff_id="t_ben")
    script.release(4)
    script.hold(5, start=at(1), end=at(2), staff_id="t_chloe")
    other.hold(1, start=at(1), end=at(2))
    other.confirm(1)
    await script.write(store)
    await other.write(store)
    head = Head(script.model.seq, NOW, 2)
    assert await store.prune(ORG, at(2), 10) == 0
    assert await store.heads([ORG]) == {ORG: head}

    assert await store.prune(ORG, at(3), 10) == 2  # the hold is not recorded to have expired
    tables = engine.tables()
    ours = {
        table: [row for row in rows if row.get("org_id") == ORG] for table, rows in tables.items()
    }
    assert sorted(row["hold_id"] for row in ours["reservations"]) == ["h_2", "h_3", "h_5"]
    assert {row["session_id"] for row in ours["allocations"]} == {"x_2", "x_3", "x_5"}
    assert {row["hold_id"] for row in ours["events"]} == {"", "h_2", "h_3", "h_5"}
    assert [row["session_id"] for row in ours["sessions"]] == ["x_2"]
    assert await store.prune(ORG, at(3) + 1, 10) == 1
    assert engine.tables()["sessions"] == []
    await check_store(store, other)


async def test_pruning_deletes_at_most_so_many_at_a_time_until_there_are_none(
    store: LedgerStore,
) -> None:
    script = begun()
    for number in range(1, 8):
        script.hold(number, start=number, end=number + 1)
        script.confirm(number)
    await script.write(store)
    assert [await store.prune(ORG, at(0), 3) for _ in range(4)] == [3, 3, 1, 0]
    assert await listed(store) == []


async def test_pruning_deletes_few_bookings_at_a_time_where_they_have_many_changes(
    store: LedgerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = begun()
    for number in range(1, 6):
        script.hold(number, start=number, end=number + 1)
        script.confirm(number)
    await script.write(store)
    monkeypatch.setattr(ledgers, "MAX_PRUNED_EVENTS", 5)
    assert await store.prune(ORG, at(0), 10) == 2
    monkeypatch.setattr(ledgers, "MAX_PRUNED_EVENTS", 1)
    assert [await store.prune(ORG, at(0), 10) for _ in range(4)] == [1, 1, 1, 0]
    assert await listed(store) == []


async def test_catch_up_after_pruning_has_no_events_and_a_later_one_has(
    store: LedgerStore,
) -> None:
    script = begun()
    script.hold(1, start=1, end=2)
    script.confirm(1)
    await script.write(store)
    before = script.model.seq
    script.hold(2)
    await script.write(store)
    assert await store.prune(ORG, at(0), 10) == 1
    head = Head(script.model.seq + 1, NOW, 2)
    assert await store.heads([ORG]) == {ORG: head}
    for seq in range(head.seq):
        update = await read_one(store, seq=seq, version=2)
        assert (update.head, update.events) == (head, None), seq
    assert (await read_one(store, seq=head.seq, version=2)).events == ()
    # A writer that had read up to before the pruning is refused, and goes on from after it.
    script.hold(3, staff_id="t_ben")
    assert await store.append([script.append()]) == frozenset()
    moved = replace(script.append().before, seq=head.seq)
    after = replace(script.append().after, seq=head.seq + 1)
    append = replace(script.append(), before=moved, after=after)
    assert await store.append([append]) == {ORG}
    update = await read_one(store, seq=head.seq, version=2)
    assert update.events == [as_read(script.model.events[-1])]
    assert (await read_one(store, seq=before, version=2)).events is None


async def test_catch_up_on_more_events_than_its_limit_is_a_fresh_read(
    store: LedgerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "MAX_CATCH_UP", 3)
    script = begun()
    before = script.model.seq
    for number in range(1, 5):
        script.hold(number, start=number, end=number + 1)
    await script.write(store)
    assert (await read_one(store, seq=before, version=2)).events is None
    last = [as_read(event) for event in script.model.events[-3:]]
    assert (await read_one(store, seq=before + 1, version=2)).events == last


# The store itself.


async def test_probe_changes_nothing_that_anybody_reads(store: LedgerStore, engine: Engine) -> None:
    await begun().write(store)
    before = engine.tables()
    await store.probe()
    after = engine.tables()
    assert {**after, "installation": []} == {**before, "installation": []}


@pytest.mark.parametrize(
    ("break_it", "mend_it"),
    [
        ("ALTER TABLE time_off RENAME TO away", "ALTER TABLE away RENAME TO time_off"),
        (
            "ALTER TABLE sessions RENAME COLUMN seats_taken TO taken",
            "ALTER TABLE sessions RENAME COLUMN taken TO seats_taken",
        ),
    ],
    ids=["table", "column"],
)
async def test_probe_notices_that_another_program_has_changed_the_schema(
    store: LedgerStore, engine: Engine, break_it: str, mend_it: str
) -> None:
    engine.execute(break_it)
    try:
        with pytest.raises(Overloaded):
            await store.probe()
    finally:
        engine.execute(mend_it)
