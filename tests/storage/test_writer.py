"""Writing ledgers: what the writer does where memory and the store disagree."""

import asyncio
import logging

import pytest

from zimun.domain.errors import SlotUnavailable
from zimun.domain.ledger import BLOCK, Ledger, Loaded, Needs
from zimun.domain.reservation import Reservation

from .desk import KIOSK, ORG, Desk, at


def forget_bookings(desk: Desk) -> None:
    """Let memory believe that nobody has booked the kiosk."""
    memory = desk.stores.reader.memory(ORG)
    assert memory.ledger
    head = memory.ledger
    wrong = Loaded(Needs(blocks={(KIOSK.id, at(10) // BLOCK)}))
    memory.ledger = Ledger(ORG, head.seq, head.time, head.catalog_version).with_loaded(wrong)


async def test_a_group_that_meets_a_constraint_is_decided_again_from_a_fresh_read(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.book(at(10), KIOSK.id)
    forget_bookings(desk)
    starts = (at(10), at(11), at(12))
    with caplog.at_level(logging.WARNING):
        got = await asyncio.gather(
            *(desk.hold(start, KIOSK.id) for start in starts), return_exceptions=True
        )
    assert [type(one) for one in got] == [SlotUnavailable, Reservation, Reservation]
    [record] = caplog.records
    assert "met a constraint" in record.getMessage()
    assert "allocations" in record.getMessage()
