"""Pages of what is kept of a contact: each reads a bounded part, whatever happens meanwhile."""

from dataclasses import replace
from typing import Any

import pytest

from zimun.booking import contacts
from zimun.booking.appointments import PageKey
from zimun.booking.contacts import ContactHistory, export_contact
from zimun.booking.store import LedgerStore
from zimun.domain.ledger.events import EventType
from zimun.domain.ledger.reservation import Contact, contact_key
from zimun.domain.memory_size import weight
from zimun.storage.ledger_queries import LedgerQueries
from zimun.stores import Stores

from .appending import begun
from .interrupted import Interrupted
from .sample_catalog import CALLER, NOW, ORG, SAM, at

EVE = Contact(name="Eve", email="eve@example.com")
SAM_KEY = contact_key(SAM.email)


async def book(store: LedgerStore, *histories: list[Contact]) -> None:
    """An appointment for each of these, changed to have one contact after the other."""
    script = begun()
    for number, (first, *others) in enumerate(histories, 1):
        script.hold(number, start=at(number), end=at(number) + 1)
        script.confirm(number, contact=first)
        for contact in others:
            script.change(EventType.APPOINTMENT_UPDATED, number, contact=contact)
    await script.write(store)


async def pages_of(
    store: Any, size: int, after: PageKey | None = None
) -> list[list[ContactHistory]]:
    """The pages of Sam's export after a key."""
    pages = []
    while True:
        page, after = await export_contact(store, CALLER, SAM.email, size, after)
        pages.append([*page])
        if after is None:
            return pages


def shape(pages: list[list[ContactHistory]]) -> list[list[tuple[str, int]]]:
    """The id of each appointment and how many changes it has, on each page."""
    return [[(one.reservation.hold_id, len(one.changes)) for one in page] for page in pages]


async def test_export_goes_on_where_a_contact_is_erased_from_a_page_that_is_being_read(
    stores: Stores,
) -> None:
    await book(stores.ledgers, *[[SAM]] * 5)
    scans = 0

    async def erase_first() -> None:
        nonlocal scans
        scans += 1
        if scans == 1:
            hold_ids = ["h_1", "h_2", "h_3"]
            await stores.ledgers.erase_contact(ORG, hold_ids, SAM_KEY, "c_desk", NOW, True)

    pages = await pages_of(LedgerQueries(Interrupted(stores.database, erase_first)), size=1)
    assert shape(pages) == [[], [("h_4", 1)], [("h_5", 1)]]


async def test_page_of_an_export_reads_no_more_changes_of_another_contact_than_of_its_own(
    store: LedgerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await book(store, [SAM, *[EVE] * 25, SAM], [SAM])
    whole = shape(await pages_of(store, size=10))
    assert whole == [[("h_1", 2), ("h_2", 1)]]
    monkeypatch.setattr(contacts, "MAX_EXPORT_BYTES", 1)
    assert shape(await pages_of(store, size=10)) == [
        [("h_1", 1)],
        [],
        [("h_1", 1)],
        [("h_2", 1)],
        [],
    ]


async def test_export_goes_on_after_a_page_that_ends_with_the_last_of_its_bytes(
    store: LedgerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = [replace(SAM, notes=f"{number:02}") for number in range(contacts.MAX_CHANGES + 2)]
    await book(store, history)
    size = contacts.MAX_CHANGES * (contacts.CHANGE_BYTES + weight(history[0]))
    monkeypatch.setattr(contacts, "MAX_EXPORT_BYTES", size)
    assert shape(await pages_of(store, size=10)) == [
        [("h_1", contacts.MAX_CHANGES)],
        [("h_1", 2)],
    ]


async def test_page_of_an_export_has_few_enough_changes_however_small_they_are(
    store: LedgerStore,
) -> None:
    most = contacts.MAX_EXPORT_BYTES // contacts.CHANGE_BYTES
    await book(store, [replace(SAM, notes=f"{number:04}") for number in range(most + 50)])
    [first], [second] = shape(await pages_of(store, size=10))
    assert first[1] <= most
    assert first[1] + second[1] == most + 50


async def test_each_change_of_an_export_is_weighed_once(
    store: LedgerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await book(store, [replace(SAM, notes=str(number)) for number in range(45)])
    weighed: list[Contact] = []

    def noted(contact: Contact) -> int:
        weighed.append(contact)
        return weight(contact)

    monkeypatch.setattr(contacts, "weight", noted)
    assert shape(await pages_of(store, size=10)) == [[("h_1", 45)]]
    assert len(weighed) == 45
