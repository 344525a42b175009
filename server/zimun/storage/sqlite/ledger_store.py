"""The ledgers in a SQLite file."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence, Set
from functools import lru_cache, partial

from sqlalchemy import Connection

from zimun.booking.store import (
    Append,
    AppointmentFilter,
    Conflict,
    Head,
    HoldFilter,
    LedgerRead,
    LedgerUpdate,
    ReservationChange,
)
from zimun.domain.reservation import Reservation
from zimun.storage import ledgers, lists, statements
from zimun.storage.changes import PARTS, Part, changes_of
from zimun.storage.database_errors import brief
from zimun.storage.sqlite.database import SqliteDatabase


class SqliteLedgers:
    """The ledgers in a SQLite file: a `booking.store.LedgerStore`."""

    lanes = 1
    shares_transactions = True

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def heads(self, org_ids: Collection[str]) -> Mapping[str, Head]:
        """Read without a thread: each takes a few microseconds."""
        with self._database.snapshot() as connection:
            heads = {org_id: ledgers.head(connection, org_id) for org_id in org_ids}
        return {org_id: head for org_id, head in heads.items() if head}

    async def read(self, reads: Sequence[LedgerRead]) -> Sequence[LedgerUpdate]:
        """Every read at one snapshot."""
        with self._database.snapshot() as connection:
            return [ledgers.read(connection, request) for request in reads]

    async def append(self, appends: Sequence[Append]) -> Set[str]:
        """One transaction for the whole group."""
        try:
            async with self._database.transaction() as connection:
                current = [one for one in appends if _move_head(connection, one)]
                _write(connection, current)
            return {one.before.org_id for one in current}
        except sqlite3.IntegrityError as error:
            raise Conflict(brief(error)) from error

    async def expired_holds(self, now: int, limit: int) -> Sequence[tuple[str, str]]:
        """One range of an index on the instant."""
        with self._database.snapshot() as connection:
            expired = statements.EXPIRED_HOLDS.run(connection, {"now": now, "limit": limit})
        return [(row[0], row[1]) for row in expired]

    async def drop_responses(self, now: int, org_ids: Collection[str] = ()) -> None:
        """A transaction only where there is one to drop."""
        if org_ids:
            await self._database.write(lambda tx: ledgers.drop_responses_of(tx, org_ids, now))
            return
        while over := await self._database.read(lambda tx: ledgers.responses_over(tx, now)):
            await self._database.write(partial(ledgers.drop_responses, keys=over, now=now))

    async def appointments(
        self,
        org_id: str,
        criteria: AppointmentFilter,
        after: tuple[int, str] | None,
        limit: int,
    ) -> Sequence[Reservation]:
        """On a thread, as it may be long."""
        return await self._database.scan(
            lambda tx: lists.appointments(tx, org_id, criteria, after, limit)
        )

    async def holds(
        self, org_id: str, wanted: HoldFilter, now: int, after: str, limit: int
    ) -> Sequence[Reservation]:
        """On a thread, as it may be long."""
        return await self._database.scan(
            lambda tx: lists.holds(tx, org_id, wanted, now, after, limit)
        )

    async def appointment_changes(
        self, org_id: str, hold_id: str, revision: int, limit: int
    ) -> Sequence[ReservationChange]:
        """On a thread, as it may be long."""
        return await self._database.scan(
            lambda tx: lists.appointment_changes(tx, org_id, hold_id, revision, limit)
        )

    async def prune(self, org_id: str, before: int, limit: int) -> int:
        """A transaction only where there is something to prune."""
        with self._database.snapshot() as connection:
            if not ledgers.has_prunable(connection, org_id, before):
                return 0
        return await self._database.write(lambda tx: ledgers.prune(tx, org_id, before, limit))

    async def organization_ids(self) -> Sequence[str]:
        """Every organization."""
        return await self._database.read(ledgers.organization_ids)

    async def probe(self) -> None:
        """Write a row that means nothing, to the file of that name."""
        await self._database.write(ledgers.write_probe)
        await self._database.probe_file()


def _move_head(connection: Connection, append: Append) -> bool:
    """Move a ledger's head on from where it was known to be; whether it was there."""
    before, after = append.before, append.after
    cursor = connection.connection.cursor()
    moved = (after.seq, append.time, after.catalog_version, before.org_id)
    if before.seq or before.time:
        cursor.execute(
            "UPDATE ledgers SET seq = ?, time = ?, catalog_version = ? "
            "WHERE org_id = ? AND seq = ? AND time = ?",
            (*moved, before.seq, before.time),
        )
    else:
        cursor.execute(
            "INSERT INTO ledgers (seq, time, catalog_version, org_id) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            moved,
        )
    count = cursor.rowcount
    cursor.close()
    return count == 1


def _write(connection: Connection, appends: Sequence[Append]) -> None:
    changes = changes_of(appends)
    cursor = connection.connection.cursor()
    for name, part in PARTS.items():
        if changed_rows := changes.rows[name]:
            cursor.executemany(_sql(part), changed_rows)
    cursor.close()
    for org_id, value in changes.catalog:
        ledgers.put_catalog(connection, org_id, value)
    for org_id, span in changes.longest_spans:
        ledgers.raise_longest_span(connection, org_id, span)


@lru_cache
def _sql(part: Part) -> str:
    """The statement of a part, its parameters being the part's columns in order."""
    if part.verb == "INSERT":
        columns, values = ", ".join(part.columns), ", ".join("?" * len(part.columns))
        return f"INSERT INTO {part.table} ({columns}) VALUES ({values})"
    number = {name: f"?{n}" for n, name in enumerate(part.columns, 1)}
    where = " AND ".join(f"{name} = {number[name]}" for name in part.keys)
    if part.verb == "DELETE":
        return f"DELETE FROM {part.table} WHERE {where}"
    values = ", ".join(f"{name} = {number[name]}" for name in part.columns if name not in part.keys)
    return f"UPDATE {part.table} SET {values} WHERE {where}"
