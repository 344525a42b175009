"""Writing ledgers: what the writer does where memory and the store disagree."""

import asyncio
import logging

import pytest

from zimun.booking.catalog import CreateOrganization
from zimun.clock import ManualClock
from zimun.domain.booking_errors import SlotUnavailable
from zimun.domain.errors import TokenInvalid
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import BLOCK, Loaded, Needs
from zimun.domain.ledger.reservation import Reservation
from zimun.stores import Stores

from .booking_client import BookingClient
from .engines import Engine
from .sample_catalog import CALLER, KIOSK, NOW, ORG, SALON, at, salon_entries


def forget_bookings(client: BookingClient) -> None:
    """Remove the bookings of the kiosk from memory; the store keeps them."""
    memory = client.stores.reader.memory(ORG)
    assert memory.ledger
    head = memory.ledger
    wrong = Loaded(Needs(blocks={(f"{KIOSK.id}@", at(10) // BLOCK)}))
    memory.ledger = Ledger(ORG, head.seq, head.time, head.catalog_version).with_loaded(wrong)


async def test_a_group_that_meets_a_constraint_is_decided_again_from_a_fresh_read(
    client: BookingClient, caplog: pytest.LogCaptureFixture
) -> None:
    await client.book(at(10), KIOSK.id)
    forget_bookings(client)
    starts = (at(10), at(11), at(12))
    with caplog.at_level(logging.WARNING):
        got = await asyncio.gather(
            *(client.hold(start, KIOSK.id) for start in starts), return_exceptions=True
        )
    assert [type(one) for one in got] == [SlotUnavailable, Reservation, Reservation]
    [record] = caplog.records
    assert "the store rejects a group" in record.getMessage()
    assert "allocations" in record.getMessage()


async def test_command_beside_the_making_of_its_organization_is_refused_and_takes_no_effect(
    stores: Stores, engine: Engine
) -> None:
    """It came while there was no such organization, whatever else is in its group."""
    client = BookingClient(stores, ManualClock(NOW), CALLER)
    creation = CreateOrganization(SALON, salon_entries())
    got: list[object] = await asyncio.gather(
        client.hold(at(10), KIOSK.id),
        stores.writer.run(ORG, creation, creates=True),
        return_exceptions=True,
    )
    assert isinstance(got[0], TokenInvalid)
    assert got[1] is True
    assert engine.tables()["reservations"] == []


async def test_organization_that_many_make_at_once_is_made_once(
    stores: Stores, engine: Engine
) -> None:
    creation = CreateOrganization(SALON, salon_entries())
    made = await asyncio.gather(
        *(stores.writer.run(ORG, creation, creates=True) for _ in range(20))
    )
    assert sorted(made) == [False] * 19 + [True]
    assert len(engine.tables()["organizations"]) == 1
