"""How contacts are sought and erased: few statements, and bounded transactions."""

from dataclasses import replace
from functools import partial

import pytest

from zimun.booking.store import LedgerStore
from zimun.domain.ledger.events import EventType
from zimun.domain.ledger.reservation import contact_key
from zimun.storage import contacts
from zimun.storage.ledger_queries import LedgerQueries
from zimun.stores import Stores

from .appending import Script, begun
from .engines import Engine, Tables
from .interrupted import Interrupted
from .sample_catalog import NOW, ORG, SAM, at

SAM_KEY = contact_key(SAM.email)


async def with_changed_appointments(store: LedgerStore, count: int) -> Script:
    """Appointments that were once of Sam, with four events each."""
    script = begun()
    for number in range(1, count + 1):
        script.hold(number, start=at(number), end=at(number) + 1)
        script.confirm(number, contact=SAM)
        for contact in (replace(SAM, notes="Late"), replace(SAM, email="else@example.com")):
            script.change(EventType.APPOINTMENT_UPDATED, number, contact=contact)
    await script.write(store)
    return script


async def test_one_statement_empties_the_events_of_an_erasure(
    store: LedgerStore, engine: Engine, statements: list[tuple[str, str]]
) -> None:
    await with_changed_appointments(store, 3)
    statements.clear()
    await store.erase_contact(ORG, ["h_1", "h_2", "h_3"], SAM_KEY, "c_desk", NOW, True)
    assert len([sql for sql, _ in statements if sql.startswith("UPDATE events")]) == 1
    assert SAM.email not in str(engine.tables())


async def test_long_history_is_erased_in_bounded_transactions_and_found_until_the_last(
    store: LedgerStore,
    engine: Engine,
    statements: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contacts, "MAX_EMPTIED", 2)
    monkeypatch.setattr(contacts, "MAX_ROWS_READ", 2)
    script = await with_changed_appointments(store, 3)
    for number in (1, 3):
        script.change(EventType.APPOINTMENT_UPDATED, number, contact=SAM)
        script.change(EventType.APPOINTMENT_UPDATED, number, contact=replace(SAM, email="x@y.org"))
    await script.write(store)
    statements.clear()
    erase = contacts.erase

    def interrupted(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(contacts, "erase", interrupted)
    with pytest.raises(RuntimeError):
        await store.erase_contact(ORG, ["h_1", "h_2", "h_3"], SAM_KEY, "c_desk", NOW, True)
    changed = [parameters for sql, parameters in statements if sql.startswith("UPDATE events")]
    assert len(changed) >= 3
    assert all(parameters.count("contact_email") <= 2 for parameters in changed)
    assert await store.contact_holds(ORG, SAM_KEY, "", 10) == ["h_1", "h_2", "h_3"]
    monkeypatch.setattr(contacts, "erase", erase)
    await store.erase_contact(ORG, ["h_1", "h_2", "h_3"], SAM_KEY, "c_desk", NOW, True)
    assert SAM.email not in str(engine.tables())
    assert await store.contact_holds(ORG, SAM_KEY, "", 10) == []


async def test_as_many_reservations_of_a_contact_are_sought_as_are_asked_for(
    store: LedgerStore, statements: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contacts, "MAX_ROWS_READ", 1)
    await with_changed_appointments(store, 5)
    statements.clear()
    assert await store.contact_holds(ORG, SAM_KEY, "h_2", 2) == ["h_2", "h_3"]
    assert "h_4" not in [text for _, text in statements], "no more is read"
    present = contact_key("else@example.com")
    statements.clear()
    assert await store.contact_holds(ORG, present, "", 3) == ["h_1", "h_2", "h_3"]
    assert not [sql for sql, _ in statements if "events.data" in sql], "they are known already"


async def test_reservations_of_a_contact_are_sought_from_an_id_on(
    store: LedgerStore, statements: list[tuple[str, str]]
) -> None:
    await with_changed_appointments(store, 3)
    assert await store.contact_holds(ORG, SAM_KEY, "", 10) == ["h_1", "h_2", "h_3"]
    statements.clear()
    assert await store.contact_holds(ORG, SAM_KEY, "h_2", 10) == ["h_2", "h_3"]
    assert "h_2" in str(statements)
    assert "h_1" not in str(statements), "the events before are not read"
    present = contact_key("else@example.com")
    assert await store.contact_holds(ORG, present, "h_3", 10) == ["h_3"]


@pytest.mark.parametrize("is_sam_again", [False, True])
async def test_contact_that_another_call_has_erased_meanwhile_is_erased_again_only_where_it_is_back(
    stores: Stores, engine: Engine, is_sam_again: bool
) -> None:
    script = await with_changed_appointments(stores.ledgers, 2)
    hold_ids = ["h_1", "h_2"]
    meanwhile: list[Tables] = []

    async def erase_first() -> None:
        await stores.ledgers.erase_contact(ORG, hold_ids, SAM_KEY, "c_desk", NOW, True)
        for number in (1, 2):
            script.change(EventType.APPOINTMENT_CONTACT_ERASED, number)
        script.written()
        if is_sam_again:
            script.change(EventType.APPOINTMENT_UPDATED, 2, contact=SAM)
            script.change(EventType.APPOINTMENT_UPDATED, 2, contact=replace(SAM, email="x@y.org"))
            await script.write(stores.ledgers)
        meanwhile.append(engine.tables())

    second = LedgerQueries(Interrupted(stores.database, erase_first))
    await second.erase_contact(ORG, hold_ids, SAM_KEY, "c_desk", NOW, True)
    after = engine.tables()
    assert SAM.email not in str(after)
    if is_sam_again:
        [erased] = after["events"][len(meanwhile[0]["events"]) :]
        assert (erased["type"], erased["hold_id"]) == ("APPOINTMENT_CONTACT_ERASED", "h_2")
    else:
        assert after == meanwhile[0]


async def test_contact_is_erased_from_a_reservation_whose_events_do_not_have_it(
    stores: Stores, engine: Engine
) -> None:
    script = await with_changed_appointments(stores.ledgers, 1)
    present = script.model.reservations["h_1"].contact.email
    seqs = [row["seq"] for row in engine.tables()["events"] if row["hold_id"]]
    empty = partial(contacts.empty_events, org_id=ORG, seqs=seqs, key=contact_key(present))
    assert await stores.database.write(empty) == {"h_1"}
    assert present in str(engine.tables())
    await stores.ledgers.erase_contact(ORG, ["h_1"], contact_key(present), "c_desk", NOW, True)
    assert present not in str(engine.tables())
