"""The embedded store's own promises: grouped commits, callers that give up, closing, locks."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date
from functools import partial
from typing import TypeVar

import pytest
from sqlalchemy import Connection
from zimun.storage.transactions import BACKLOG, GROUP, EmbeddedStore

from zimun.booking.availability import SHORT_DAYS, DateRange, Wanted, get_availability
from zimun.booking.store import Answer, AppointmentFilter, Store, Transaction
from zimun.domain.availability import Search, Slot
from zimun.domain.catalog import Service
from zimun.domain.errors import Overloaded, SlotUnavailable
from zimun.storage import dialect

from .desk import CALLER, CLASS, CUT, KIOSK, NOW, ORG, Desk, Embedded, at, check_ledger, open_salon

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds after which a test that waits for another thread is taken to hang."""


@pytest.fixture
async def store(embedded: Embedded) -> AsyncIterator[Store]:
    async with embedded.open() as opened:
        yield opened


@pytest.fixture
async def desk(embedded: Embedded, store: Store) -> AsyncIterator[Desk]:
    await store.write(open_salon)
    opened = Desk(store)
    yield opened
    check_ledger(embedded.tables(), opened.clock.now())


@contextmanager
def locked(embedded: Embedded) -> Iterator[sqlite3.Connection]:
    """Another process has the file's write lock: what is written meanwhile waits, and comes in
    one group after it."""
    with closing(sqlite3.connect(embedded.path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        if connection.in_transaction:
            connection.execute("COMMIT")


async def _write(store: Store, fn: Callable[[Transaction], T]) -> T:
    return await store.write(fn)


def begun(store: Store, *fns: Callable[[Transaction], T]) -> "list[asyncio.Task[T]]":
    return [asyncio.get_running_loop().create_task(_write(store, fn)) for fn in fns]


async def turn() -> None:
    """Let everything that can run on the loop run once."""
    await asyncio.sleep(0)


def remember(key: str, then: BaseException | None = None) -> Callable[[Transaction], str]:
    """A small change: keep an answer under the key, and then return or raise."""

    def run(tx: Transaction) -> str:
        tx.remember(ORG, "c", "m", key, Answer(b"", b"", NOW))
        if then:
            raise then
        return key

    return run


def committed(embedded: Embedded) -> set[str]:
    """The keys that another connection sees."""
    with closing(sqlite3.connect(embedded.path)) as connection:
        return {row[0] for row in connection.execute("SELECT key FROM idempotency")}


async def test_a_function_that_raises_is_rolled_back_alone_and_its_group_commits(
    embedded: Embedded, store: Store
) -> None:
    with locked(embedded):
        writes = begun(
            store,
            *(remember(str(n), LookupError(n) if n % 3 == 0 else None) for n in range(GROUP // 2)),
        )
        await turn()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    for n, outcome in enumerate(outcomes):
        if n % 3 == 0:
            assert isinstance(outcome, LookupError)
            assert outcome.args == (n,)
        else:
            assert outcome == str(n)
    assert committed(embedded) == {str(n) for n in range(GROUP // 2) if n % 3}


async def test_functions_of_one_group_share_one_commit_and_see_each_other(
    embedded: Embedded, store: Store
) -> None:
    seen: list[set[str]] = []

    def look(tx: Transaction) -> str:
        seen.append(committed(embedded))
        assert tx.recall(ORG, "c", "m", "first") is not None
        return "look"

    with locked(embedded):
        writes = begun(store, remember("first"), look)
        await turn()
    await asyncio.gather(*writes)
    assert seen == [set()]
    assert committed(embedded) == {"first"}


async def test_a_refusal_in_a_group_does_not_hide_from_later_functions_what_earlier_ones_did(
    embedded: Embedded, desk: Desk
) -> None:
    with locked(embedded):
        calls = [desk.hold(at(10), KIOSK.id) for _ in range(3)]
        calls.append(desk.hold(at(11), KIOSK.id))
        tasks = [asyncio.ensure_future(call) for call in calls]
        await turn()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [isinstance(outcome, SlotUnavailable) for outcome in outcomes]
    assert refused == [False, True, True, False]


async def test_functions_run_in_the_order_in_which_they_were_submitted(
    embedded: Embedded, store: Store
) -> None:
    ran: list[int] = []

    def note(number: int, tx: Transaction) -> None:
        ran.append(number)

    with locked(embedded):
        writes = begun(store, *(partial(note, n) for n in range(3 * GROUP)))
        await turn()
    await asyncio.gather(*writes)
    assert ran == list(range(3 * GROUP))


async def test_a_class_refuses_only_who_finds_too_few_seats_when_their_turn_comes(
    desk: Desk,
) -> None:
    sizes = [1 + n * n % 3 for n in range(100)]
    outcomes = await asyncio.gather(
        *(desk.hold(at(10), CLASS.id, seats=n) for n in sizes), return_exceptions=True
    )
    free = CLASS.capacity
    for seats, outcome in zip(sizes, outcomes, strict=True):
        if isinstance(outcome, SlotUnavailable):
            assert free < seats
        else:
            free -= seats
    assert free == 0


async def test_nobody_is_answered_before_the_whole_group_is_committed(
    embedded: Embedded, store: Store
) -> None:
    seen: list[set[str]] = []

    def last(tx: Transaction) -> None:
        assert not any(task.done() for task in early)
        assert committed(embedded) == set()

    with locked(embedded):
        early = begun(store, *(remember(str(n)) for n in range(3)))
        for task in early:
            task.add_done_callback(lambda task: seen.append(committed(embedded)))
        after = begun(store, last)
        await turn()
    await asyncio.gather(*early, *after)
    await turn()
    assert seen == [{"0", "1", "2"}] * 3


async def test_an_answered_write_is_visible_to_every_other_connection(
    embedded: Embedded, store: Store
) -> None:
    for n in range(20):
        await store.write(remember(str(n)))
        assert str(n) in committed(embedded)
        assert await store.read(lambda tx, n=n: tx.recall(ORG, "c", "m", str(n)))  # type: ignore[misc]
        assert await store.scan(lambda tx, n=n: tx.recall(ORG, "c", "m", str(n)))  # type: ignore[misc]


async def test_a_caller_that_gives_up_before_its_turn_is_skipped(
    embedded: Embedded, store: Store
) -> None:
    with locked(embedded):
        writes = begun(store, *(remember(str(n)) for n in range(6)))
        await turn()
        for task in writes[::2]:
            task.cancel()
        await turn()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes] == [
        True,
        False,
    ] * 3
    assert committed(embedded) == {"1", "3", "5"}


async def test_a_caller_that_gives_up_during_its_turn_disturbs_nobody(
    embedded: Embedded, store: Store
) -> None:
    with locked(embedded):
        [leaving] = begun(store, lambda tx: leaving.cancel())
        others = begun(store, remember("other"))
        await turn()
    assert await asyncio.gather(*others) == ["other"]
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert committed(embedded) == {"other"}


async def test_a_group_of_callers_who_all_gave_up_is_nothing_to_commit(
    embedded: Embedded, store: Store
) -> None:
    with locked(embedded):
        writes = begun(store, *(remember(str(n)) for n in range(3)))
        await turn()
        for task in writes:
            task.cancel()
        await turn()
    assert await store.write(remember("after")) == "after"
    assert committed(embedded) == {"after"}


async def test_reads_do_not_wait_for_the_writer(embedded: Embedded, store: Store) -> None:
    await store.write(remember("before"))
    with locked(embedded):
        [waiting] = begun(store, remember("after"))
        await turn()
        assert await store.read(lambda tx: tx.recall(ORG, "c", "m", "before"))
        assert await store.scan(lambda tx: tx.recall(ORG, "c", "m", "before"))
        assert not waiting.done()
    await waiting


async def test_a_read_sees_one_snapshot_while_another_thread_commits(
    embedded: Embedded, store: Store
) -> None:
    def run(tx: Transaction) -> tuple[object, object]:
        first = tx.recall(ORG, "c", "m", "later")
        with closing(sqlite3.connect(embedded.path, timeout=PATIENCE)) as connection:
            connection.execute("INSERT INTO idempotency VALUES ('o','c','m','later','','',1)")
            connection.commit()
        return first, tx.recall("o", "c", "m", "later")

    assert await store.read(run) == (None, None)
    assert await store.read(lambda tx: tx.recall("o", "c", "m", "later"))


async def test_a_long_search_is_worked_out_beside_the_event_loop(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    slots = Search.slots

    def watched(self: Search, first: date, last: date) -> list[Slot]:
        threads.append(threading.get_ident())
        return slots(self, first, last)

    monkeypatch.setattr(Search, "slots", watched)
    for days in (SHORT_DAYS, SHORT_DAYS + 1):
        await get_availability(
            desk.store,
            desk.clock.now(),
            CALLER,
            Wanted(service_id=CUT.id),
            DateRange(days_ahead=days),
        )
    assert [thread == threading.get_ident() for thread in threads] == [True, False]


async def test_a_caller_who_goes_in_the_middle_of_a_scan_leaves_no_error(store: Store) -> None:
    await store.write(open_salon)
    wanted = AppointmentFilter()
    cut_short = 0
    for steps in range(200):
        scan = asyncio.create_task(
            store.scan(lambda tx: tx.appointments(ORG, wanted, None, limit=10))
        )
        for _ in range(steps % 20):
            await asyncio.to_thread(int)  # So long as a thread takes, as the statement does.
        if scan.cancel():
            cut_short += 1
            with pytest.raises(asyncio.CancelledError):
                await scan
    assert cut_short > 20
    assert await store.scan(lambda tx: tx.appointments(ORG, wanted, None, limit=10)) == []


@pytest.mark.parametrize("way", ["read", "scan", "write"])
async def test_a_function_may_raise_without_harm_to_those_that_come_after(
    embedded: Embedded, store: Store, way: str
) -> None:
    run = getattr(store, way)

    def fail(tx: Transaction) -> None:
        tx.organization_ids()
        raise LookupError("mine")

    for _ in range(20):
        with pytest.raises(LookupError, match="mine"):
            await run(fail)
    assert await run(lambda tx: tx.organization_ids()) == []
    await store.write(remember("after"))
    assert committed(embedded) == {"after"}


async def test_reads_cannot_write(embedded: Embedded, store: Store) -> None:
    for way in (store.read, store.scan):
        with pytest.raises(Overloaded):
            await way(remember("never"))
    assert committed(embedded) == set()
    assert await store.write(remember("after")) == "after"


async def test_closing_finishes_what_waits(embedded: Embedded) -> None:
    async with EmbeddedStore(embedded.url) as store:
        with locked(embedded):
            writes = begun(store, *(remember(str(n)) for n in range(3 * GROUP)))
            await turn()
    assert committed(embedded) == {str(n) for n in range(3 * GROUP)}
    await turn()
    assert [task.result() for task in writes] == [str(n) for n in range(3 * GROUP)]


async def test_a_store_that_is_closed_or_closing_is_overloaded(embedded: Embedded) -> None:
    store = EmbeddedStore(embedded.url)
    async with store:
        with locked(embedded):
            begun(store, remember("waiting"))
            await turn()
            closing_ = asyncio.ensure_future(store.__aexit__())
            await turn()
            with pytest.raises(Overloaded):
                await store.write(remember("late"))
        await closing_
        with pytest.raises(Overloaded):
            await store.write(remember("later"))
        await store.__aenter__()  # for the block to close again
        assert await store.write(remember("reopened")) == "reopened"
    assert committed(embedded) == {"waiting", "reopened"}


async def test_closing_leaves_one_whole_file_behind(embedded: Embedded) -> None:
    async with embedded.open() as store:
        await store.write(remember("kept"))
        await store.scan(lambda tx: tx.organization_ids())
    assert [path.name for path in embedded.path.parent.iterdir()] == [embedded.path.name]
    assert committed(embedded) == {"kept"}


async def test_when_too_much_waits_the_next_is_refused_at_once_and_the_rest_is_done(
    embedded: Embedded, store: Store
) -> None:
    with locked(embedded):
        waiting = begun(store, *((lambda tx: None) for _ in range(BACKLOG)))
        await turn()
        with pytest.raises(Overloaded):
            await store.write(remember("one too many"))
        assert not any(found.done() for found in waiting)
    await asyncio.gather(*waiting)
    assert await store.write(remember("room again")) == "room again"
    assert committed(embedded) == {"room again"}


async def test_two_stores_on_one_file_see_each_others_catalogue_changes_at_once(
    embedded: Embedded,
) -> None:
    def name(tx: Transaction) -> str:
        return tx.timetable(ORG).catalog.entry(Service, CUT.id).name

    def put(name: str) -> Callable[[Transaction], None]:
        return lambda tx: tx.put_entry(ORG, replace(CUT, name=name))

    async with embedded.open() as first, embedded.open() as second:
        await first.write(open_salon)
        for number in range(10):
            for one, other in ((first, second), (second, first)):
                wanted = f"{number} {one is first}"
                await one.write(put(wanted))
                for way in (other.read, other.scan, other.write, one.read, one.scan, one.write):
                    assert await way(name) == wanted


async def test_two_stores_on_one_file_sell_nothing_twice(embedded: Embedded) -> None:
    async with embedded.open() as first, embedded.open() as second:
        await first.write(open_salon)
        desks = (Desk(first), Desk(second))
        outcomes = await asyncio.gather(
            *(desks[n % 2].hold(at(10) + n // 10 * CUT.duration) for n in range(60)),
            return_exceptions=True,
        )
        refused = [outcome for outcome in outcomes if isinstance(outcome, SlotUnavailable)]
        assert len(refused) == 60 - 6 * 3
    check_ledger(embedded.tables(), NOW)


async def test_another_process_that_writes_delays_a_write_and_no_read(
    embedded: Embedded, store: Store
) -> None:
    await store.write(remember("before"))
    with locked(embedded) as other:
        [write] = begun(store, remember("delayed"))
        other.execute("INSERT INTO idempotency VALUES ('o','c','m','theirs','','',1)")
        for _ in range(20):
            assert await store.read(lambda tx: tx.recall(ORG, "c", "m", "before"))
            assert await store.scan(lambda tx: tx.recall(ORG, "c", "m", "before"))
        assert not write.done()
    assert await write == "delayed"
    assert committed(embedded) == {"before", "theirs", "delayed"}


async def test_another_process_that_does_not_stop_writing_overloads_the_store_until_it_does(
    embedded: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialect, "BUSY_TIMEOUT", 0.05)
    begins: list[Connection] = []
    begin = dialect.begin_write

    def watched(connection: Connection) -> None:
        begins.append(connection)
        begin(connection)

    monkeypatch.setattr(dialect, "begin_write", watched)
    async with embedded.open() as store:
        with locked(embedded):
            writes = begun(store, *(remember(str(n)) for n in range(5)))
            for outcome in await asyncio.gather(*writes, return_exceptions=True):
                assert isinstance(outcome, Overloaded)
            assert len(begins) == 1  # nobody waits out the time-outs of others
            assert await store.read(lambda tx: tx.organization_ids()) == []
        assert committed(embedded) == set()
        assert await store.write(remember("after")) == "after"
    assert committed(embedded) == {"after"}


@pytest.mark.parametrize("way", ["read", "scan"])
async def test_a_store_that_cannot_be_read_is_overloaded(embedded: Embedded, way: str) -> None:
    async with embedded.open() as store:
        with closing(sqlite3.connect(embedded.path)) as connection:
            connection.execute("ALTER TABLE organizations RENAME TO gone")
        with pytest.raises(Overloaded):
            await getattr(store, way)(lambda tx: tx.organization_ids())
        with closing(sqlite3.connect(embedded.path)) as connection:
            connection.execute("ALTER TABLE gone RENAME TO organizations")
        assert await getattr(store, way)(lambda tx: tx.organization_ids()) == []


async def test_a_file_that_cannot_be_opened_for_a_scan_is_overload_too(embedded: Embedded) -> None:
    async with embedded.open() as store:
        aside = embedded.path.rename(embedded.path.with_name("aside"))
        embedded.path.mkdir()
        with pytest.raises(Overloaded):
            await store.scan(lambda tx: tx.organization_ids())
        embedded.path.rmdir()
        aside.rename(embedded.path)
        assert await store.scan(lambda tx: tx.organization_ids()) == []


async def test_more_scans_at_once_than_there_are_connections_are_all_answered(
    store: Store,
) -> None:
    await store.write(open_salon)
    found = await asyncio.gather(*(store.scan(lambda tx: tx.organization_ids()) for _ in range(60)))
    assert found == [[ORG]] * 60
