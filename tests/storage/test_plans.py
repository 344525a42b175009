"""How SQLite runs each statement: through an index that narrows more than the organization.

A partial index is used only where a query words its condition as the index
does; nothing but the plan tells when it does not. Every statement that the
store runs is recorded and explained.
"""

import inspect
import re
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from zimun.booking.store import LedgerStore
from zimun.storage import statements
from zimun.storage.changes import PARTS
from zimun.storage.prepared import Prepared, Rows
from zimun.storage.schema import metadata
from zimun.storage.sqlite.ledger_store import _sql

from .engines import SqliteEngine
from .every_statement import METHODS, run_every_statement

GROWING = "reservations|held|keys|reservations_1|allocations|sessions|events|idempotency"
"""The tables that grow with every booking, and other names that statements give them."""


class Recording:
    """A store that remembers which of its methods were called."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.called.add(name)
        return getattr(self._store, name)


@pytest.fixture
async def recorded(sqlite_engine: SqliteEngine) -> list[str]:
    """Every statement that `run_every_statement` runs, with its values."""
    found: list[str] = []

    def opened(connection: DBAPIConnection, _: object) -> None:
        assert isinstance(connection, sqlite3.Connection)
        connection.set_trace_callback(found.append)

    event.listen(Engine, "connect", opened)
    async with sqlite_engine.open() as stores:
        event.remove(Engine, "connect", opened)
        recording = Recording(stores.ledgers)
        await run_every_statement(recording)
    assert recording.called == METHODS, "a method of the store is not explained here"
    return found


Plans = Mapping[str, list[str]]


@pytest.fixture
def plans(sqlite_engine: SqliteEngine, recorded: list[str]) -> Plans:
    """The steps of each statement's plan."""
    with closing(sqlite3.connect(sqlite_engine.path)) as connection:
        return {
            sql: [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
            for sql in dict.fromkeys(recorded)
            if re.match("SELECT|INSERT|UPDATE|DELETE", sql)
        }


def searches(plans: Plans) -> Iterable[tuple[str, str, str, str]]:
    """Each search of a table that grows: the statement, the table, the step and its condition."""
    for sql, steps in plans.items():
        for step in steps:
            if found := re.match(rf"SEARCH ({GROWING}) .*?\((.*)\)$", step):
                yield sql, found[1], step, found[2]


def test_statements_of_every_part_of_a_group_are_explained(plans: Plans) -> None:
    texts = {re.split(r"\(| SET | WHERE ", sql)[0].strip() for sql in plans}
    for part in PARTS.values():
        assert re.split(r"\(| SET | WHERE ", _sql(part))[0].strip() in texts, part
    assert sum(bool(steps) for steps in plans.values()) > 25


def test_no_statement_scans_a_table_that_grows(plans: Plans) -> None:
    for sql, steps in plans.items():
        for step in steps:
            assert not re.match(f"SCAN ({GROWING})", step), (sql, steps)


def test_every_search_of_a_table_that_grows_is_narrower_than_the_organization(
    plans: Plans,
) -> None:
    searched: set[str] = set()
    for sql, table, step, condition in searches(plans):
        searched.add(table)
        # A list without bounds goes through the index in its own order, up to its limit.
        in_order = "reservations_by_start" in step and "LIMIT" in sql
        # Pruning reads the whole history, and no caller waits for it.
        pruning = "end_time <" in sql
        assert condition != "org_id=?" or in_order or pruning, (sql, step)
    assert searched >= {"reservations", "allocations", "sessions", "idempotency", "events"}


def test_what_is_looked_for_in_all_organizations_is_found_by_an_index_of_the_instant(
    plans: Plans,
) -> None:
    found = {step for sql, table, step, condition in searches(plans) if "org_id" not in condition}
    assert {re.search(r"INDEX (\w+)", step)[1] for step in found} == {  # type: ignore[index]
        "reservations_by_expiry",
        "idempotency_by_expiry",
    }


@pytest.mark.parametrize("table", ["reservations", "idempotency"])
def test_what_has_a_contact_is_found_by_the_index_of_contacts(plans: Plans, table: str) -> None:
    reads = {sql for sql in plans if sql.startswith("SELECT") and "contact_key = " in sql}
    steps = [step for sql, name, step, _ in searches(plans) if sql in reads and name == table]
    assert steps
    assert all(f"{table}_by_contact" in step for step in steps), steps


def test_no_more_than_one_block_or_list_of_ids_is_ever_sorted(plans: Plans) -> None:
    for sql, steps in plans.items():
        if any("TEMP B-TREE" in step for step in steps):
            assert "GROUP BY" in sql, (sql, steps)


def test_every_partial_index_is_used(sqlite_engine: SqliteEngine, plans: Plans) -> None:
    with closing(sqlite3.connect(sqlite_engine.path)) as connection:
        partial = {
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'"
            )
        }
    used = " ".join(step for steps in plans.values() for step in steps)
    assert len(partial) >= 5
    assert {name for name in partial if name not in used} == set()


def test_every_index_of_the_tables_is_in_the_file(sqlite_engine: SqliteEngine) -> None:
    with closing(sqlite3.connect(sqlite_engine.path)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall()
    wanted = {index.name for table in metadata.tables.values() for index in table.indexes}
    assert wanted <= {name for (name,) in found}


async def test_every_prepared_statement_is_among_those_explained(
    monkeypatch: pytest.MonkeyPatch, sqlite_engine: SqliteEngine
) -> None:
    seen: list[Prepared] = []
    run = Prepared.run

    def noted(self: Prepared, connection: Connection, parameters: Mapping[str, Any]) -> Rows:
        seen.append(self)
        return run(self, connection, parameters)

    monkeypatch.setattr(Prepared, "run", noted)
    async with sqlite_engine.open() as stores:
        await run_every_statement(stores.ledgers)
    known = {name: found for name, found in vars(statements).items() if isinstance(found, Prepared)}
    assert known.keys() == {
        "APPOINTMENT_MEMBERS",
        "EVENTS_SINCE",
        "HEAD",
        "HELD_MEMBERS",
        "EXPIRED_RESPONSES",
        "ONE_OF_CONTACT",
        "PAGE_OF_ALL",
        "PAGE_OF_SERVICE",
        "RESPONSE",
    }
    assert [name for name, found in known.items() if found not in seen] == []
    makers = {
        name: found
        for name, found in vars(statements).items()
        if hasattr(found, "cache_info") and inspect.unwrap(found).__module__ == statements.__name__
    }
    assert makers.keys() >= {
        "allocations_of",
        "expired_holds",
        "group_members",
        "members_of",
        "last_booked",
        "reservations_by",
    }
    assert [name for name, found in makers.items() if not found.cache_info().currsize] == []
