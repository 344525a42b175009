"""The retention of contacts, a few organizations at a time; long lists of reservations."""

from dataclasses import replace

import pytest

from zimun.booking import contacts
from zimun.booking.contacts import Retention, erase_contact
from zimun.clock import ManualClock
from zimun.domain.instant import DAY
from zimun.stores import Stores

from .booking_client import BookingClient
from .sample_catalog import CALLER, KIOSK, SALON, SAM, at, put_catalog


@pytest.fixture
async def swept(
    stores: Stores, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> tuple[Retention, list[str]]:
    """A retention of three organizations, and the organizations that are looked through."""
    for org_id in ("o_1", "o_2", "o_3"):
        organization = replace(SALON, id=org_id, contact_retention=DAY)
        await put_catalog(stores, organization, org_id=org_id)
    org_ids: list[str] = []
    erase = stores.ledgers.erase_ended_contacts

    async def noted(org_id: str, now: int, limit: int) -> int:
        org_ids.append(org_id)
        return await erase(org_id, now, limit)

    monkeypatch.setattr(stores.ledgers, "erase_ended_contacts", noted)
    return Retention(stores.ledgers, clock), org_ids


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (2, ["o_1", "o_2", "o_3", "o_1", "o_2"]),
        (3, ["o_1", "o_2", "o_3", "o_1", "o_2", "o_3"]),
        (9, ["o_1", "o_2", "o_3"] * 3),
    ],
)
async def test_sweep_goes_on_with_the_next_organizations_and_begins_again_after_the_last(
    swept: tuple[Retention, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    expected: list[str],
) -> None:
    monkeypatch.setattr(contacts, "MAX_SWEPT", most)
    retention, org_ids = swept
    for _ in range(3):
        assert await retention.sweep() == 0
    assert org_ids == expected


@pytest.mark.parametrize("most", [2, 3, 5, 6])
async def test_all_reservations_of_a_contact_are_erased_however_many_are_sought_at_a_time(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(contacts, "MAX_SOUGHT", most)
    monkeypatch.setattr(contacts, "BATCH", 1)
    stores = client.stores
    booked = [await client.book(at(10 + n), KIOSK.id) for n in range(5)]
    client.clock.instant = at(24)
    erase = (stores.ledgers, stores.reader, CALLER, SAM.email, False, lambda *_: None)
    assert await erase_contact(*erase)
    for appointment in booked:
        assert (await client.get(appointment.appointment_id)).contact.email == ""
