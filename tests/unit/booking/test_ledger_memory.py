"""The memory of a ledger: what updates that were read make of it."""

import pytest

from zimun.booking.reader import LedgerMemory
from zimun.booking.store import Head, LedgerUpdate
from zimun.domain.catalog.catalog import empty_catalog
from zimun.domain.errors import TokenInvalid
from zimun.domain.ledger.events import CatalogEvent, Event
from zimun.domain.ledger.loading import Loaded, Needs

ORG = "o_1"


def update(head: Head | None, *events: Event, is_pruned: bool = False) -> LedgerUpdate:
    return LedgerUpdate(head, None if is_pruned else events, None, Loaded(Needs()), {})


@pytest.fixture
def memory() -> LedgerMemory:
    """Memory at the first event; this server wrote it."""
    made = LedgerMemory(ORG)
    made.begin(empty_catalog(ORG))
    made.apply(update(Head(1, 10, 1), CatalogEvent("c_1", None)))
    made.is_likely_current = True
    assert made.rows > 0
    assert made.total.rows > 0
    return made


def test_memory_of_an_organization_that_is_not_there_is_dropped(memory: LedgerMemory) -> None:
    with pytest.raises(TokenInvalid):
        memory.apply(update(None))
    assert memory.ledger is None
    assert memory.timetable is None
    assert memory.total.rows == 0


def test_memory_begins_anew_where_events_have_been_pruned(memory: LedgerMemory) -> None:
    before = memory.ledger
    memory.apply(update(Head(9, 20, 1), is_pruned=True))
    assert memory.ledger
    assert memory.ledger is not before
    assert (memory.ledger.seq, memory.ledger.time) == (9, 20)
    assert (memory.rows, memory.is_likely_current) == (0, False)


def test_memory_takes_up_a_later_time_without_events(memory: LedgerMemory) -> None:
    memory.apply(update(Head(1, 20, 1)))
    assert memory.ledger
    assert (memory.ledger.seq, memory.ledger.time) == (1, 20)
    assert memory.is_likely_current


def test_memory_takes_up_the_events_of_another_server(memory: LedgerMemory) -> None:
    rows = memory.rows
    memory.apply(update(Head(3, 20, 3), CatalogEvent("c_1", None), CatalogEvent("c_1", None)))
    assert memory.ledger
    assert (memory.ledger.seq, memory.ledger.time) == (3, 20)
    assert memory.rows > rows
    assert not memory.is_likely_current


@pytest.mark.parametrize("seq", [0, 2])
def test_head_must_be_that_to_which_the_events_lead(memory: LedgerMemory, seq: int) -> None:
    with pytest.raises(AssertionError):
        memory.apply(update(Head(seq, 20, 1)))
