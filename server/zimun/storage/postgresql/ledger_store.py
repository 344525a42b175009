"""The ledgers on a PostgreSQL server."""

from collections.abc import Collection, Mapping, Sequence, Set
from typing import Any

from sqlalchemy import text

from zimun.booking.store import (
    Append,
    AppendRejected,
    Head,
    IdempotencyKey,
    LedgerRead,
    LedgerUpdate,
    StoredResponse,
)
from zimun.domain.errors import OutcomeUnknown, Overloaded, ZimunError
from zimun.domain.ledger.events import Event
from zimun.domain.ledger.loading import Loaded, Needs
from zimun.storage import ledgers
from zimun.storage.changes import changes_of, is_plain
from zimun.storage.database_errors import brief
from zimun.storage.ledger_queries import LedgerQueries
from zimun.storage.postgresql.database import PostgresqlDatabase
from zimun.storage.postgresql.group_statement import append_all, group_statement
from zimun.storage.postgresql.sqlstates import (
    CONSTRAINTS,
    is_conflict,
    is_refusal,
    is_refusal_to_serve,
    state_of,
)
from zimun.storage.schema import COLUMNS, metadata

LANES = 4
"""Groups of one process that are written at the same time."""

MAX_SCANS = 4
"""Long reads of an organization at a time; there are ten connections for reads."""


class PostgresqlLedgers(LedgerQueries[PostgresqlDatabase]):
    """The ledgers on a PostgreSQL server: a `booking.store.LedgerStore`.

    On a distributed database (`is_distributed`) a group is of one organization,
    so that it stays on one node.
    """

    lanes = LANES
    max_scans = MAX_SCANS

    def __init__(self, database: PostgresqlDatabase, is_distributed: bool = False) -> None:
        super().__init__(database)
        self.shares_transactions = not is_distributed

    async def heads(self, org_ids: Collection[str]) -> Mapping[str, Head]:
        """One statement for all of them."""
        head_rows = await self._fetch(_HEADS, [*org_ids])
        return {row[0]: Head(row[1], row[2], row[3]) for row in head_rows}

    async def read(self, reads: Sequence[LedgerRead]) -> Sequence[LedgerUpdate]:
        """One statement where nothing is to be loaded, and one for each ledger with new events.

        Where that is not enough, a snapshot of several statements for each ledger.
        """
        plain = [request for request in reads if request.seq is not None and not request.needs]
        updates = await self._read_updates(plain) if plain else {}
        return [updates.get(request.org_id) or await self._read_all(request) for request in reads]

    async def _read_all(self, request: LedgerRead) -> LedgerUpdate:
        return await self._database.read(lambda connection: ledgers.read(connection, request))

    async def _read_updates(self, reads: Sequence[LedgerRead]) -> dict[str, LedgerUpdate]:
        """The updates of ledgers whose catalogue has not changed, with their stored responses."""
        keys = [(request.org_id, *key) for request in reads for key in request.keys]
        columns = [list(column) for column in zip(*keys, strict=True)] if keys else [[]] * 4
        head_rows = await self._fetch(
            _HEADS_AND_RESPONSES, [request.org_id for request in reads], *columns
        )
        heads: dict[str, Head] = {}
        responses: dict[str, dict[IdempotencyKey, StoredResponse]] = {}
        for row in head_rows:
            if row[4] is None:
                heads[row[0]] = Head(row[1], row[2], row[3])
            else:
                key = IdempotencyKey(row[4], row[5], row[6])
                response = StoredResponse(row[7], row[8], row[1], row[9])
                responses.setdefault(row[0], {})[key] = response
        updates: dict[str, LedgerUpdate] = {}
        for request in reads:
            head = heads.get(request.org_id)
            if head is None or head.catalog_version != request.catalog_version:
                continue
            events = await self._events_since(request, head)
            if events is not None:
                updates[request.org_id] = LedgerUpdate(
                    head, events, None, Loaded(Needs()), responses.get(request.org_id, {})
                )
        return updates

    async def _events_since(self, request: LedgerRead, head: Head) -> Sequence[Event] | None:
        """The events up to a head; None where there are too many, or some have been pruned."""
        count = head.seq - (request.seq or 0)
        if not count:
            return ()
        if count > ledgers.MAX_CATCH_UP:
            return None
        event_rows = await self._fetch(_EVENTS, request.org_id, request.seq, head.seq)
        return ledgers.whole_history(event_rows, count)

    async def append(self, appends: Sequence[Append]) -> Set[str]:
        """One statement; with changes of the catalogue a transaction of a few."""
        try:
            if all(map(is_plain, appends)):
                sql, parameters = group_statement(changes_of(appends))
                moved = await self._database.fetch(sql, *parameters)
                return {row[0] for row in moved}
            return await self._database.attempt(lambda tx: append_all(tx, appends))
        except (ZimunError, AppendRejected):
            raise
        except Exception as error:
            raise self._translate(error) from error

    def _translate(self, error: Exception) -> Exception:
        """The error that the writer gets for an error of the driver."""
        if state_of(error) in CONSTRAINTS:
            return AppendRejected(brief(error))
        if is_conflict(error):
            return AppendRejected(f"another transaction: {brief(error)}")
        if not is_refusal(error):
            return OutcomeUnknown("the store was lost while it committed")
        return self._database.refused(error) if is_refusal_to_serve(error) else error

    async def expired_holds(
        self, now: int, limit: int, others: Collection[str] = ()
    ) -> Sequence[tuple[str, str]]:
        """One range of an index on the instant."""
        return await self._database.read(lambda tx: ledgers.expired_holds(tx, now, limit, others))

    async def prune(self, org_id: str, before: int, limit: int) -> int:
        """A transaction only where there is something to prune."""
        if await self._database.read(lambda tx: ledgers.has_prunable(tx, org_id, before)):
            return await self._database.write(lambda tx: ledgers.prune(tx, org_id, before, limit))
        return 0

    async def probe(self) -> None:
        """Commit something, look for every column and privilege, and lock all tables as writes do.

        No row is written, so that servers do not meet. Reads have connections of their own, which
        are tried as well.
        """
        if self._database.is_broken:
            raise Overloaded("the database cannot do its work")
        [[read_only, _, may_write]] = await self._fetch(_PROBE, *_COLUMNS)
        if read_only != "off":
            # Connections keep the defaults of their role and database from when they began.
            await self._database.replace_connections()
            raise Overloaded("the database is read-only")
        if not may_write:
            raise Overloaded("a privilege is missing")
        if self.shares_transactions:
            # The nodes of a distributed database have locks of their own.
            await self._fetch(_LOCKS)
        await self._database.read(lambda connection: connection.execute(text("SELECT 1")))

    async def _fetch(self, sql: str, *parameters: object) -> Sequence[Any]:
        return await self._database.retry(lambda: self._database.fetch(sql, *parameters))


_COLUMNS = [list(names) for names in zip(*sorted(COLUMNS), strict=True)]
"""The tables and the names of all columns."""

_PROBE = """
SELECT current_setting('transaction_read_only'),
pg_logical_emit_message(true, 'zimun.probe', '')::text,
(SELECT bool_and(has_column_privilege(c.table_name, c.name, 'SELECT')
AND has_column_privilege(c.table_name, c.name, 'INSERT')
AND has_column_privilege(c.table_name, c.name, 'UPDATE')
AND has_table_privilege(c.table_name, 'DELETE'))
FROM unnest($1::text[], $2::text[]) AS c(table_name, name))
"""
"""The message has no reader: it makes the commit write, and wait for the server's disk. The
functions raise an error for a table or a column that is missing."""

_LOCK = "LOCK TABLE {} IN ROW EXCLUSIVE MODE; COMMIT;"
_LOCKS = f"DO $$ BEGIN {' '.join(map(_LOCK.format, sorted(metadata.tables)))} END $$"
"""One after the other, so that a command that locks several tables does not meet a deadlock. A
locked table is an error after `lock_timeout`, as for a write."""

_HEADS = "SELECT org_id, seq, time, catalog_version FROM ledgers WHERE org_id = ANY($1::text[])"

_EVENTS = (
    "SELECT type, client_id, data FROM events WHERE org_id = $1 AND seq > $2 AND seq <= $3 "
    "ORDER BY seq"
)

_HEADS_AND_RESPONSES = """
SELECT org_id, seq, time, catalog_version, NULL::text, NULL::text, NULL::text, NULL::bytea,
NULL::bytea, NULL::text FROM ledgers WHERE org_id = ANY($1::text[])
UNION ALL
SELECT i.org_id, i.expires_at, 0, 0, i.client_id, i.method, i.key, i.fingerprint, i.response,
i.contact_key
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS k(org_id, client_id, method, key)
CROSS JOIN LATERAL (
SELECT * FROM idempotency WHERE org_id = k.org_id AND client_id = k.client_id
AND method = k.method AND key = k.key AND org_id = ANY($1::text[]) OFFSET 0
) AS i
"""
"""Heads, and stored responses. OFFSET 0 makes the planner search the index once for each key."""
