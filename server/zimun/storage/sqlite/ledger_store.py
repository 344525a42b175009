"""The ledgers in a SQLite file."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence, Set
from contextlib import suppress
from functools import lru_cache, partial

from sqlalchemy import Connection

from zimun.booking.store import (
    Append,
    AppendRejected,
    Head,
    LedgerRead,
    LedgerUpdate,
)
from zimun.storage import ledgers
from zimun.storage.changes import PARTS, Part, changes_of
from zimun.storage.database_errors import brief
from zimun.storage.ledger_queries import LedgerQueries
from zimun.storage.loading import TakesLong, may_be_long
from zimun.storage.sqlite.database import SqliteDatabase


class SqliteLedgers(LedgerQueries[SqliteDatabase]):
    """The ledgers in a SQLite file: a `booking.store.LedgerStore`."""

    lanes = 1
    shares_transactions = True

    async def heads(self, org_ids: Collection[str]) -> Mapping[str, Head]:
        """Read without a thread: each takes a few microseconds."""
        with self._database.snapshot() as connection:
            heads = {org_id: ledgers.head(connection, org_id) for org_id in org_ids}
        return {org_id: head for org_id, head in heads.items() if head}

    async def read(self, reads: Sequence[LedgerRead]) -> Sequence[LedgerUpdate]:
        """Every read at one snapshot; on a thread where they may take long."""
        if not any(may_be_long(request.org_id, request.needs) for request in reads):
            with suppress(TakesLong):
                short = partial(_read_all, reads=reads, may_take_long=False)
                return await self._database.read(short)
        return await self._database.load(partial(_read_all, reads=reads))

    async def append(self, appends: Sequence[Append]) -> Set[str]:
        """One transaction for the whole group."""
        try:
            return await self._append(appends)
        except _KeyUsed:
            return await self._append(appends, checking_keys=True)

    async def _append(self, appends: Sequence[Append], checking_keys: bool = False) -> Set[str]:
        """Raises AppendRejected, and _KeyUsed unless keys are checked before."""
        try:
            async with self._database.transaction() as connection:
                if checking_keys:
                    appends = [one for one in appends if not _uses_key_again(connection, one)]
                current = [append for append in appends if _move_head(connection, append)]
                _write(connection, current)
        except sqlite3.IntegrityError as error:
            raise AppendRejected(brief(error)) from error
        return {append.before.org_id for append in current}

    async def expired_holds(
        self, now: int, limit: int, others: Collection[str] = ()
    ) -> Sequence[tuple[str, str]]:
        """One range of an index on the instant; on a thread where it may pass over many."""
        read = partial(ledgers.expired_holds, now=now, limit=limit, others=others)
        return await (self._database.load(read) if others else self._database.read(read))

    async def prune(self, org_id: str, before: int, limit: int) -> int:
        """A transaction only where there is something to prune."""
        with self._database.snapshot() as connection:
            if not ledgers.has_prunable(connection, org_id, before):
                return 0
        return await self._database.write(lambda tx: ledgers.prune(tx, org_id, before, limit))

    async def probe(self) -> None:
        """Write a row that means nothing, to the file of that name."""
        await self._database.write(ledgers.write_probe)
        await self._database.probe_file()


def _read_all(
    connection: Connection, reads: Sequence[LedgerRead], may_take_long: bool = True
) -> Sequence[LedgerUpdate]:
    return [ledgers.read(connection, request, may_take_long) for request in reads]


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


class _KeyUsed(Exception):
    """A response is stored under one of the keys of a group."""


def _uses_key_again(connection: Connection, append: Append) -> bool:
    """Whether a response is stored under one of the keys of an append."""
    return bool(ledgers.responses(connection, append.before.org_id, tuple(append.responses)))


def _write(connection: Connection, appends: Sequence[Append]) -> None:
    """Write the rows; raises _KeyUsed before it writes another row."""
    changes = changes_of(appends)
    cursor = connection.connection.cursor()
    if responses := changes.rows.pop("responses"):
        cursor.executemany(f"{_sql(PARTS['responses'])} ON CONFLICT DO NOTHING", responses)
        if cursor.rowcount < len(responses):
            raise _KeyUsed
    for name, part in PARTS.items():
        if changed_rows := changes.rows.get(name):
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
