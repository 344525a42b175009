"""What a store reads of ledgers is what was appended to them, on both engines."""

from dataclasses import replace

import pytest

from zimun.booking.store import (
    AppointmentFilter,
    Head,
    LedgerRead,
    LedgerStore,
)
from zimun.domain.catalog.entries import Service
from zimun.domain.instant import DAY, MINUTE
from zimun.domain.ledger.loading import Needs
from zimun.domain.ledger.reservation import Contact, Reservation, State, contact_key

from .appending import KEY, OTHER, UNKNOWN, begun, by_id, response
from .reading import check_store, loaded, read_one
from .sample_catalog import CUT, NOW, ORG, SPA, at

FULL = Reservation(
    org_id=ORG,
    hold_id="h_1",
    session_id="x_1",
    service_id="s_class",
    location_id="l_1",
    staff_id="t_chloe",
    resource_ids=("r_2", "r_1"),
    seats=3,
    start=at(10),
    end=at(11),
    state=State.CONFIRMED,
    expires_at=NOW + 10 * MINUTE,
    create_time=NOW,
    update_time=NOW + 3,
    revision=7,
    appointment_id="a_full",
    confirm_time=NOW + 2,
    contact=Contact(
        name="Şāṃ Ríos 🦊",
        email="müller@bücher.example",
        phone="+49 30 1",
        notes="line one\nline 'two' \"three\" \\",
        metadata={"ключ": "значение", "": ""},
    ),
    cancel_reason="çok geç",
    outcome_time=NOW + 4,
)


# Heads, and what is new since one.


async def test_heads_are_those_of_the_organizations_that_exist(store: LedgerStore) -> None:
    assert await store.heads([ORG, OTHER]) == {}
    assert await store.heads([]) == {}
    one, other = begun(), begun(OTHER)
    await one.write(store)
    other.time = NOW + 5
    other.hold(1)
    await other.write(store)
    assert await store.heads([ORG, OTHER, UNKNOWN]) == {
        ORG: Head(2, NOW, 2),
        OTHER: Head(3, NOW + 5, 2),
    }
    assert await store.heads([OTHER]) == {OTHER: Head(3, NOW + 5, 2)}
    assert sorted(await store.organization_ids()) == [OTHER, ORG]


async def test_read_of_an_unknown_organization_has_no_head(store: LedgerStore) -> None:
    await begun().write(store)
    needs = Needs(hold_ids={"h_1"}, blocks={("t_ada", 0)})
    for asked in (LedgerRead(UNKNOWN), LedgerRead(UNKNOWN, 2, 2), LedgerRead(UNKNOWN, needs=needs)):
        [update] = await store.read([asked])
        assert (update.head, update.catalog) == (None, None)
        assert not update.responses


async def test_read_of_several_organizations_answers_each_in_its_place(store: LedgerStore) -> None:
    one, other, third = begun(), begun(OTHER), begun("o_third")
    one.hold(1)
    for script in (one, other, third):
        await script.write(store)
    needs = Needs(hold_ids={"h_1"})
    found = await store.read(
        [
            LedgerRead(OTHER, 2, 2),
            LedgerRead(UNKNOWN),
            LedgerRead(ORG, 2, 2, needs),
            LedgerRead("o_third", 1, 2),
        ]
    )
    assert [update.head and update.head.seq for update in found] == [2, None, 3, 2]
    assert found[0].events == ()
    assert [len(update.events or ()) for update in found[2:]] == [1, 1]
    assert [one.hold_id for one in found[2].loaded.reservations] == ["h_1"]
    assert not found[0].loaded.reservations


async def test_read_without_a_number_has_no_events_and_the_catalogue(store: LedgerStore) -> None:
    await begun().write(store)
    update = await read_one(store)
    assert update.events is None
    assert update.catalog
    assert update.catalog.version == 2
    assert update.catalog.entry(Service, CUT.id) == CUT


async def test_read_has_the_catalogue_where_another_version_is_known(store: LedgerStore) -> None:
    script = begun()
    await script.write(store)
    assert (await read_one(store, seq=2, version=2)).catalog is None
    script.hold(1)
    await script.write(store)
    assert (await read_one(store, seq=2, version=2)).catalog is None
    script.put(replace(CUT, name="Trim"))
    await script.write(store)
    for version in (None, 1, 2):
        catalog = (await read_one(store, seq=3, version=version)).catalog
        assert catalog
        assert (catalog.version, catalog.entry(Service, CUT.id).name) == (4, "Trim")


async def test_read_since_a_number_has_every_later_event_as_it_was_appended(
    store: LedgerStore,
) -> None:
    script = begun()
    script.hold(1)
    await script.write(store)
    script.confirm(1, contact=FULL.contact)
    script.put(SPA, client_id="c_admin")
    script.hold(2, staff_id="t_ben", resource_ids=("r_1", "r_2"))
    await script.write(store)
    script.move(1, "x_9", start=at(14), end=at(15))
    script.release(2)
    await script.write(store)
    await check_store(store, script)
    update = await read_one(store, seq=4, version=2)
    assert update.events
    assert [event.client_id for event in update.events[:2]] == ["c_admin", "c_desk"]


# Reservations.


def test_the_full_reservation_differs_from_the_default_in_every_field() -> None:
    defaults = Reservation._field_defaults
    assert [name for name, default in defaults.items() if getattr(FULL, name) == default] == []


async def test_reservation_reads_as_it_was_appended_in_every_field(store: LedgerStore) -> None:
    script = begun()
    script.hold(1, **FULL._asdict())
    await script.write(store)
    ledger = await loaded(store, Needs(hold_ids={"h_1"}))
    assert repr(ledger.reservation("h_1")) == repr(FULL)
    ledger = await loaded(store, Needs(appointment_ids={"a_full"}))
    assert repr(ledger.appointment("a_full")) == repr(FULL)


async def test_appointment_that_is_needed_by_its_ids_too_counts_once_for_its_contact(
    store: LedgerStore,
) -> None:
    script = begun()
    script.hold(1)
    booked = script.confirm(1, contact=FULL.contact)
    await script.write(store)
    key = contact_key(FULL.contact.email)
    for own in (Needs(hold_ids={"h_1"}), Needs(appointment_ids={"a_1"})):
        own.contacts.add(key)
        ledger = await loaded(store, own)
        assert ledger.appointments_of(key) == [booked]


async def test_changed_reservation_reads_as_it_was_changed_and_others_as_before(
    store: LedgerStore,
) -> None:
    script = begun()
    script.hold(1)
    untouched = script.hold(2, staff_id="t_ben")
    await script.write(store)
    changed = script.confirm(1, contact=FULL.contact, cancel_reason="çok geç")
    await script.write(store)
    ledger = await loaded(store, Needs(hold_ids={"h_1", "h_2"}))
    assert ledger.reservation("h_1") == changed
    assert ledger.reservation("h_2") == untouched


@pytest.mark.parametrize("org_id", [ORG, OTHER])
async def test_unknown_id_and_another_organizations_read_the_same(
    store: LedgerStore, org_id: str
) -> None:
    here, there = begun(), begun(OTHER)
    await here.write(store)
    if org_id == OTHER:
        there.hold(1)
        there.confirm(1)
    await there.write(store)
    needs = Needs(
        hold_ids={"h_1"}, appointment_ids={"a_1"}, session_ids={"x_1"}, staff_ids={"t_ada"}
    )
    update = await read_one(store, needs=needs)
    assert (*update.loaded.reservations, *update.loaded.sessions) == ()
    assert not update.loaded.last_booked.get("t_ada")


async def test_hold_is_no_appointment(store: LedgerStore) -> None:
    script = begun()
    script.hold(1)
    await script.write(store)
    update = await read_one(store, needs=Needs(appointment_ids={""}))
    assert not update.loaded.reservations
    assert await store.appointments(ORG, AppointmentFilter(), None, 10) == []


async def test_loaded_reservation_that_is_live_comes_with_its_session(store: LedgerStore) -> None:
    script = begun()
    script.hold(1, capacity=3, seats=2)
    script.hold(2, session_id="x_1")
    script.hold(3, staff_id="t_ben")
    script.release(3)
    await script.write(store)
    for needs in (Needs(hold_ids={"h_1", "h_3"}), Needs(hold_ids={"h_2"})):
        update = await read_one(store, needs=needs)
        assert by_id(update.loaded.sessions) == by_id(script.model.sessions.values())


# Responses that are kept.


async def test_response_is_read_by_its_own_key_alone(store: LedgerStore) -> None:
    one, other = begun(), begun(OTHER)
    one.keep(KEY, response())
    await one.write(store)
    await other.write(store)
    others = [
        KEY._replace(client_id="c_deskx"),
        KEY._replace(method="Confirm"),
        KEY._replace(key="KEY"),
        KEY._replace(key=""),
    ]
    for seq in (None, 1, 2):
        assert (await read_one(store, seq=seq, version=2, keys=others)).responses == {}
        found = await read_one(store, seq=seq, version=2, keys=[*others, KEY])
        assert found.responses == {KEY: response()}
        assert (await read_one(store, OTHER, seq, 2, keys=[KEY])).responses == {}
    assert (await read_one(store, seq=2, version=2)).responses == {}


async def test_responses_are_read_with_what_is_new_and_what_is_loaded(store: LedgerStore) -> None:
    script = begun()
    script.hold(1)
    script.keep(KEY, response())
    await script.write(store)
    needs = Needs(hold_ids={"h_1"})
    [update] = await store.read([LedgerRead(ORG, 2, 1, needs, [KEY])])
    assert update.responses == {KEY: response()}
    assert update.events
    assert update.catalog
    assert update.loaded.reservations


async def test_response_can_be_kept_without_any_event(store: LedgerStore) -> None:
    script = begun()
    await script.write(store)
    script.keep(KEY, response())
    script.time = NOW + 7
    await script.write(store)
    assert await store.heads([ORG]) == {ORG: Head(2, NOW + 7, 2)}
    await check_store(store, script)


async def test_response_is_dropped_from_the_instant_that_its_lifetime_is_over(
    store: LedgerStore,
) -> None:
    one, other = begun(), begun(OTHER)
    younger = KEY._replace(key="younger")
    one.keep(KEY, response())
    one.keep(younger, response(expires_at=NOW + DAY + 1))
    other.keep(KEY, response())
    await one.write(store)
    await other.write(store)

    async def left(org_id: str) -> set[str]:
        found = await read_one(store, org_id, keys=[KEY, younger])
        return {key.key for key in found.responses}

    await store.drop_responses(NOW + DAY - 1)
    assert (await left(ORG), await left(OTHER)) == ({"key", "younger"}, {"key"})
    await store.drop_responses(NOW + DAY, [(OTHER, *KEY), (ORG, *younger)])
    assert (await left(ORG), await left(OTHER)) == ({"key", "younger"}, set())
    await store.drop_responses(NOW + DAY)
    assert await left(ORG) == {"younger"}
    await store.drop_responses(NOW + DAY + 1)
    assert await left(ORG) == set()
