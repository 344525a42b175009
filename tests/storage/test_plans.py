"""How the embedded database runs each query: through an index that narrows more than the tenant.

A partial index is used only where a query words its condition as the index
does; nothing but the plan tells when it does not. Every statement that a
transaction runs is recorded and explained.
"""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection
from zimun.domain.booking import EventType, State
from zimun.storage.queries import CatalogCache, Queries

from zimun.booking.store import Answer, AppointmentFilter, Transaction
from zimun.domain.catalog import Override, StaffMember
from zimun.domain.instant import DAY, to_datetime
from zimun.storage import dialect, statements
from zimun.storage.prepared import Prepared, Rows

from .desk import CLASS, NOW, ORG, SPA, TUESDAY, Embedded, appointment, at, booked, open_salon

GROWING = "reservations|allocations|events|idempotency"
"""The tables that grow with every booking."""


@pytest.fixture
def connection(embedded: Embedded) -> Iterator[Connection]:
    engine = dialect.open_engine(embedded.url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


FILTERS = [
    AppointmentFilter(),
    AppointmentFilter(service_id="s_spa"),
    AppointmentFilter(staff_id="t_ada"),
    AppointmentFilter(state=State.CONFIRMED),
    AppointmentFilter(start_from=1),
    AppointmentFilter(start_before=1),
    AppointmentFilter("s_spa", "t_ada", State.CONFIRMED, 1, 2),
]


def everything(tx: Transaction) -> None:
    """Call every method of a transaction."""
    open_salon(tx)
    tx.put_override(ORG, Override(owner_id=ORG, date=to_datetime(TUESDAY).date()))
    tx.delete_override(ORG, "v_1")
    tx.put_entry(ORG, StaffMember(id="t_ben", name="Ben", time_zone="UTC", daily_limit=3))
    catalog = tx.timetable(ORG).catalog
    tx.organization_ids()
    held = booked(1)
    tx.add(EventType.HOLD_CREATED, held, "c")
    tx.lock(ORG, [("t_ada", (at(10), at(11)))])
    tx.lock_catalog(ORG)
    tx.allocate(held, ("t_ada", "r_room"), (at(10), at(11)), NOW, capacity=2)
    tx.join(held, 2)
    tx.change(EventType.HOLD_EXTENDED, held, replace(held, revision=2), "c")
    tx.change(
        EventType.HOLD_RELEASED, replace(held, session_id="x_9"), replace(held, revision=3), "c"
    )
    tx.run_out(ORG, ("t_ada", "r_room"), (at(10), at(11)), DAY, NOW)
    tx.add(EventType.APPOINTMENT_CONFIRMED, appointment(2, start=at(12)), "c")
    tx.hold(ORG, "h_1")
    tx.appointment(ORG, "a_2")
    for wanted in FILTERS:
        for after in (None, (1, "a_1")):
            tx.appointments(ORG, wanted, after, 10)
    for service in (SPA, CLASS):
        tx.busy(catalog, service, (at(0), at(24)), NOW, held)
    for members in (("t_ada",), ("t_ada", "t_ben")):
        tx.staff_load(ORG, members, (at(0), at(24)), 0, NOW)
    tx.stale_holds(ORG, NOW + DAY, 10)
    tx.settle(ORG, "x_1")
    tx.add(EventType.APPOINTMENT_CONFIRMED, appointment(9, start=at(1), end=at(2)), "c")
    tx.prune(ORG, at(3), 10)
    tx.settle(ORG, "x_none")
    tx.recall(ORG, "c", "m", "k")
    tx.answered([(ORG, "c", "m", "k"), (ORG, "c", "m", "l")])
    tx.remember(ORG, "c", "m", "k", Answer(b"", b"", NOW))
    tx.forgettable(ORG, NOW)
    tx.forget(ORG, NOW)
    tx.touch()


class Recording:
    """A transaction that remembers which of its methods were called."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.called.add(name)
        return getattr(self._queries, name)


@pytest.fixture
def ran(connection: Connection) -> list[str]:
    """Every statement that `everything` ran, with its values."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    recorded: list[str] = []
    recording = Recording(Queries(connection, CatalogCache()))
    driver.set_trace_callback(recorded.append)
    everything(recording)
    driver.set_trace_callback(None)
    methods = {name for name in vars(Transaction) if not name.startswith("_")}
    assert recording.called == methods, "a method of Transaction is not explained here"
    return recorded


def plans(embedded: Embedded, sqls: list[str]) -> dict[str, list[str]]:
    """The steps of each statement's plan."""
    with closing(sqlite3.connect(embedded.path)) as connection:
        return {
            sql: [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
            for sql in sqls
            if re.match("SELECT|INSERT|UPDATE|DELETE", sql)
        }


def test_no_statement_scans_a_table_that_grows(embedded: Embedded, ran: list[str]) -> None:
    found = plans(embedded, ran)
    assert sum(bool(steps) for steps in found.values()) > 25
    for sql, steps in found.items():
        for step in steps:
            assert not re.match(f"SCAN ({GROWING})", step), (sql, steps)


def test_every_search_of_a_table_that_grows_is_narrower_than_the_organization(
    embedded: Embedded, ran: list[str]
) -> None:
    searched: set[str] = set()
    for sql, steps in plans(embedded, ran).items():
        for step in steps:
            if search := re.match(rf"SEARCH ({GROWING}) USING .*?\((.*)\)$", step):
                searched.add(search[1])
                # A list without bounds goes through the index in its own order, up to its limit.
                in_order = "reservations_by_start" in step and "LIMIT" in sql
                # Pruning reads the whole history, and no caller waits for it.
                pruning = "end_time <" in sql
                assert search[2] != "org_id=?" or in_order or pruning, (sql, steps)
    assert searched == {"reservations", "allocations", "idempotency", "events"}


def test_only_the_seats_of_one_services_sessions_are_ever_sorted(
    embedded: Embedded, ran: list[str]
) -> None:
    for sql, steps in plans(embedded, ran).items():
        if any("TEMP B-TREE" in step for step in steps):
            assert "GROUP BY reservations.session_id" in sql, (sql, steps)


def test_every_partial_index_is_used(embedded: Embedded, ran: list[str]) -> None:
    with closing(sqlite3.connect(embedded.path)) as connection:
        partial = {
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'"
            )
        }
    used = " ".join(step for steps in plans(embedded, ran).values() for step in steps)
    assert len(partial) >= 5
    assert {name for name in partial if name not in used} == set()


def test_every_prepared_statement_is_among_those_explained(
    monkeypatch: pytest.MonkeyPatch, connection: Connection
) -> None:
    seen: list[Prepared] = []
    run = Prepared.run

    def noted(self: Prepared, connection: Connection, parameters: Mapping[str, Any]) -> Rows:
        seen.append(self)
        return run(self, connection, parameters)

    monkeypatch.setattr(Prepared, "run", noted)
    everything(Queries(connection, CatalogCache()))
    known = {name: found for name, found in vars(statements).items() if isinstance(found, Prepared)}
    assert len(known) > 10
    assert [name for name, found in known.items() if found not in seen] == []
