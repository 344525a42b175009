"""PostgreSQL: connections, groups, errors and constraints of a database server.

A group is one statement, and so one round trip and one transaction that is
never left open: it moves the heads of its ledgers that are still as they were
read, and writes the rows of those ledgers by data-modifying parts of one WITH.
Rows are sent as arrays of text, a type that asyncpg knows on every connection
without a query.

The file is long, as each engine is whole in one.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import URL, Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from zimun.booking.store import (
    Append,
    AppointmentFilter,
    Conflict,
    Head,
    IdempotencyKey,
    KeptResponse,
    LedgerRead,
    LedgerUpdate,
)
from zimun.domain.errors import OutcomeUnknown, Overloaded, ZimunError
from zimun.domain.events import Event
from zimun.domain.loading import Loaded, Needs
from zimun.domain.reservation import Reservation
from zimun.storage import ledgers, statements
from zimun.storage.changes import PARTS, Changes, Part, changes_of
from zimun.storage.failures import Refusals, brief
from zimun.storage.permits import Permits
from zimun.storage.schema import metadata
from zimun.storage.sqlstates import (
    BROKEN,
    CONSTRAINTS,
    TOO_MANY_CONNECTIONS,
    is_conflict,
    is_lost,
    is_refusal,
    is_refusal_to_serve,
    state_of,
)

T = TypeVar("T")

MAX_CONNECTIONS = 10
"""Transactions of one process that run at once; others wait."""

LANES = 4
"""Groups of one process that are written at the same time."""

CONNECT_TIMEOUT = 2.0
"""Seconds in which a database server has to take a connection."""

QUEUE_TIMEOUT = 10.0
"""Seconds for which a transaction waits for a connection."""

LOCK_TIMEOUT = 5.0
"""Seconds for which a statement waits for a row that another server has locked."""

ANSWER_TIMEOUT = 10.0
"""Seconds in which the server has to answer a statement, longer than `LOCK_TIMEOUT`: a connection
that leads nowhere is noticed by nothing else."""

IDLE_TIMEOUT = 10.0
"""Seconds after which the server ends a transaction whose client does nothing."""

MAX_ATTEMPTS = 8
"""How often a transaction is tried that conflicts with others."""

MIN_PAUSE, MAX_PAUSE = 0.005, 0.2
"""Seconds of the first and of the longest pause between two attempts, less a random part."""

RECONNECT_TIME = 0.5
"""Seconds for which a lost server is tried again before the call fails."""

BROKEN_TIME = 3.0
"""Seconds for which a server counts as broken after an error of class BROKEN."""

WITHHOLD_TIME = 1.0
"""Seconds after which a connection that the server refused is tried again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for which the database may keep a server waiting, and a server the database.

    `lock` is for a row that another server has locked; `idle` for a transaction
    whose client does nothing; `answer`, longer than `lock`, for a statement: a
    connection that leads nowhere is noticed by nothing else. None is no limit.
    """

    lock: float | None = LOCK_TIMEOUT
    idle: float | None = IDLE_TIMEOUT
    answer: float | None = ANSWER_TIMEOUT

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a connection."""
        return {
            "application_name": "zimun",
            "lock_timeout": _milliseconds(self.lock),
            "statement_timeout": _milliseconds(self.answer),
            "idle_in_transaction_session_timeout": _milliseconds(self.idle),
        }


def _milliseconds(seconds: float | None) -> str:
    return str(round((seconds or 0) * 1000))


_GROUP_SETTINGS = {
    # Groups find rows by their keys alone; a plan made while tables were small must not scan them.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}


UNHURRIED = Timeouts(None, None, None)
"""Without limits, for the statements of migrations."""


def open_engine(
    url: URL,
    connections: int = 1,
    timeouts: Timeouts = Timeouts(),
) -> AsyncEngine:
    """An engine of at most so many connections; READ COMMITTED."""
    return create_async_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_size=connections,
        max_overflow=0,
        pool_timeout=QUEUE_TIMEOUT,
        # Errors are logged, and parameters may be contacts or secrets.
        hide_parameters=True,
        connect_args={
            "timeout": CONNECT_TIMEOUT,
            "command_timeout": timeouts.answer,
            "prepared_statement_cache_size": 512,
            "server_settings": timeouts.settings,
        },
    )


class PostgresqlDatabase:
    """Connections to a server; a `storage.database.Database`. Use it on one event loop."""

    def __init__(
        self,
        url: URL,
        timeouts: Timeouts = Timeouts(),
        connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._url = url
        self._timeouts = timeouts
        self._connections = connections
        self._group_permits, self._read_permits = (
            Permits(connections, WITHHOLD_TIME, QUEUE_TIMEOUT) for _ in range(2)
        )
        self._refusals = Refusals(log)
        self._broken_until = 0.0

    async def __aenter__(self) -> "PostgresqlDatabase":
        self._engine = open_engine(self._url, self._connections, self._timeouts)
        self._snapshots = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._direct = asyncpg.create_pool(
            self._url.set(drivername="postgresql").render_as_string(hide_password=False),
            min_size=0,
            max_size=self._connections,
            max_inactive_connection_lifetime=0,
            timeout=CONNECT_TIMEOUT,
            command_timeout=self._timeouts.answer,
            statement_cache_size=512,
            server_settings=self._timeouts.settings | _GROUP_SETTINGS,
            connection_class=_Connection,
        )
        await self._direct
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._direct.terminate()
        await self._engine.dispose()

    def connections_in_use(self) -> Mapping[str, tuple[int, int]]:
        """Connections in use and their limit: those of groups and heads, and those of reads."""
        direct = self._direct.get_size() - self._direct.get_idle_size()
        pool: Any = self._engine.pool
        return {
            "groups": (direct, self._connections),
            "reads": (pool.checkedout(), self._connections),
        }

    async def fetch(self, sql: str, *parameters: object) -> Sequence[Any]:
        """The rows of one statement, which is a transaction of its own.

        Raises Overloaded where there is no connection, and the driver's errors.
        """
        async with self._group_connection() as connection:
            try:
                found: Sequence[Any] = await connection.fetch(sql, *parameters)
            except TimeoutError:
                connection.terminate()
                await self._replace_connections()
                raise
        return found

    @asynccontextmanager
    async def _group_connection(self) -> AsyncIterator[Any]:
        async def connect() -> Any:
            return await self.retry(lambda: self._direct.acquire(timeout=QUEUE_TIMEOUT))

        async with self._group_permits.connection(connect, _is_full, self._close_reader) as found:
            try:
                yield found
            finally:
                await self._direct.release(found)

    @asynccontextmanager
    async def _connection(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        async def connect() -> AsyncConnection:
            return await self.retry(lambda: engine.connect().start())

        async with self._read_permits.connection(connect, _is_full, self._close_group) as found:
            try:
                yield found
            finally:
                await asyncio.shield(asyncio.create_task(found.close()))

    async def _close_reader(self) -> bool:
        """Close an idle connection of reads, if there is one; False where reads have none."""
        pool: Any = self._engine.pool
        if pool.checkedin():
            async with self._engine.connect() as connection:
                await connection.invalidate()
            return True
        return bool(pool.checkedout())

    async def _close_group(self) -> bool:
        """Close an idle connection of groups, if there is one; False where groups have none."""
        if self._direct.get_idle_size():
            connection = await self._direct.acquire()
            await connection.close()
            await self._direct.release(connection)
            return True
        return bool(self._direct.get_size())

    async def _replace_connections(self) -> None:
        """Close all connections: where one does not respond, the others may not, either."""
        await self._direct.expire_connections()
        await self._engine.dispose()

    async def retry(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Retry an attempt that conflicted with others or lost its connection.

        Pauses grow and are random in part, so that transactions that collided do not
        collide again. Raises Overloaded in the end.
        """
        loop = asyncio.get_running_loop()
        reconnect_until, pause = loop.time() + RECONNECT_TIME, MIN_PAUSE
        for number in range(1, MAX_ATTEMPTS + 1):
            try:
                return await attempt()
            except (ZimunError, Conflict):
                raise
            except Exception as error:
                last = error
                if is_lost(error):
                    if loop.time() >= reconnect_until:
                        break
                elif is_refusal_to_serve(error):
                    break
                elif not is_conflict(error):
                    raise
            log.debug("attempt %d of a transaction failed: %s", number, brief(last))
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
            pause = min(2 * pause, MAX_PAUSE)
        raise self.refused(last) from last

    def refused(self, error: BaseException) -> Overloaded:
        """Count an error of a server that cannot do the work now; the error that callers get."""
        state = state_of(error)
        self._refusals.note(state or "connection", "the store cannot be used", error)
        if state.startswith(BROKEN):
            self._broken_until = asyncio.get_running_loop().time() + BROKEN_TIME
        return Overloaded("the store cannot be used")

    @property
    def is_broken(self) -> bool:
        """Whether it failed lately with an error that a probe may not meet, such as a full disk."""
        return asyncio.get_running_loop().time() < self._broken_until

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on one snapshot."""
        return await self.retry(lambda: self._run(self._snapshots, fn))

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn`; when this returns, its effect is on the server's disk."""
        return await self.retry(lambda: self.attempt(fn))

    async def attempt(self, fn: Callable[[Connection], T]) -> T:
        """As `write`, once; raises the driver's errors."""
        return await self._run(self._engine, fn, writing=True)

    async def _run(
        self, engine: AsyncEngine, fn: Callable[[Connection], T], writing: bool = False
    ) -> T:
        async with self._connection(engine) as connection:
            try:
                await connection.begin()
                result = await connection.run_sync(fn)
                if writing:
                    await _commit(connection)
                return result
            except BaseException as error:
                # A dead connection, or one of a cancelled call, must not be used again.
                if not isinstance(error, Exception) or is_lost(error):
                    await connection.invalidate(error)
                if isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError):
                    await self._replace_connections()
                raise


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection without a reset between uses, as statements leave no state."""

    def get_reset_query(self) -> str:
        return ""


async def _commit(connection: AsyncConnection) -> None:
    """Commit; raises OutcomeUnknown where the server did not report the outcome."""
    try:
        await connection.commit()
    except Exception as error:
        if is_refusal(error):
            raise
        await connection.invalidate(error)
        raise OutcomeUnknown("the store was lost while it committed") from error


def _is_full(error: BaseException) -> bool:
    return state_of(error) == TOO_MANY_CONNECTIONS


class PostgresqlLedgers:
    """The ledgers on a PostgreSQL server: a `booking.store.LedgerStore`.

    On a distributed database (`is_distributed`) a group is of one organization,
    so that it stays on one node.
    """

    lanes = LANES

    def __init__(self, database: PostgresqlDatabase, is_distributed: bool = False) -> None:
        self._database = database
        self.shares_transactions = not is_distributed

    async def heads(self, org_ids: Collection[str]) -> Mapping[str, Head]:
        """One statement for all of them."""
        found = await self._fetch(_HEADS, [*org_ids])
        return {row[0]: Head(row[1], row[2], row[3]) for row in found}

    async def read(self, reads: Sequence[LedgerRead]) -> Sequence[LedgerUpdate]:
        """One statement where nothing is to be loaded, and one for each ledger with new events.

        Where that is not enough, a snapshot of several statements for each ledger.
        """
        plain = [asked for asked in reads if asked.seq is not None and not asked.needs]
        found = await self._read_updates(plain) if plain else {}
        return [found.get(asked.org_id) or await self._read_all(asked) for asked in reads]

    async def _read_all(self, asked: LedgerRead) -> LedgerUpdate:
        return await self._database.read(lambda connection: ledgers.read(connection, asked))

    async def _read_updates(self, reads: Sequence[LedgerRead]) -> dict[str, LedgerUpdate]:
        """The updates of ledgers whose catalogue has not changed, with their kept responses."""
        keys = [(asked.org_id, *key) for asked in reads for key in asked.keys]
        columns = [list(column) for column in zip(*keys, strict=True)] if keys else [[]] * 4
        found = await self._fetch(_HEADS_AND_RESPONSES, [asked.org_id for asked in reads], *columns)
        heads: dict[str, Head] = {}
        responses: dict[str, dict[IdempotencyKey, KeptResponse]] = {}
        for row in found:
            if row[4] is None:
                heads[row[0]] = Head(row[1], row[2], row[3])
            else:
                key = IdempotencyKey(row[4], row[5], row[6])
                kept = KeptResponse(row[7], row[8], row[1])
                responses.setdefault(row[0], {})[key] = kept
        updates: dict[str, LedgerUpdate] = {}
        for asked in reads:
            head = heads.get(asked.org_id)
            if head is None or head.catalog_version != asked.catalog_version:
                continue
            events = await self._events_since(asked, head)
            if events is not None:
                updates[asked.org_id] = LedgerUpdate(
                    head, events, None, Loaded(Needs()), responses.get(asked.org_id, {})
                )
        return updates

    async def _events_since(self, asked: LedgerRead, head: Head) -> Sequence[Event] | None:
        """The events up to a head; None where some have been pruned."""
        if head.seq == asked.seq:
            return ()
        found = await self._fetch(_EVENTS, asked.org_id, asked.seq, head.seq)
        return ledgers.whole_history(found, head.seq - (asked.seq or 0))

    async def append(self, appends: Sequence[Append]) -> Set[str]:
        """One statement; with changes of the catalogue a transaction of a few."""
        changes = changes_of(appends)
        try:
            if changes.is_plain:
                sql, parameters = _group(changes)
                found = await self._database.fetch(sql, *parameters)
                return {row[0] for row in found}
            return await self._database.attempt(lambda tx: _append_all(tx, changes, appends))
        except (ZimunError, Conflict):
            raise
        except Exception as error:
            raise self._translate(error) from error

    def _translate(self, error: Exception) -> Exception:
        """The error that the writer gets for an error of the driver."""
        state = state_of(error)
        if state in CONSTRAINTS:
            return Conflict(brief(error))
        if state in ("40001", "40P01"):
            return Conflict(f"another transaction: {brief(error)}")
        if not is_refusal(error):
            return OutcomeUnknown("the store was lost while it committed")
        return self._database.refused(error) if is_refusal_to_serve(error) else error

    async def expired_holds(self, now: int, limit: int) -> Sequence[tuple[str, str]]:
        """One range of an index on the instant."""
        found = await self._database.read(
            lambda tx: statements.EXPIRED_HOLDS.run(tx, {"now": now, "limit": limit})
        )
        return [(row[0], row[1]) for row in found]

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
        wanted: AppointmentFilter,
        after: tuple[int, str] | None,
        limit: int,
    ) -> Sequence[Reservation]:
        """One statement."""
        return await self._database.read(
            lambda tx: ledgers.appointments(tx, org_id, wanted, after, limit)
        )

    async def prune(self, org_id: str, before: int, limit: int) -> int:
        """A transaction only where there is something to prune."""
        if await self._database.read(lambda tx: ledgers.has_prunable(tx, org_id, before)):
            return await self._database.write(lambda tx: ledgers.prune(tx, org_id, before, limit))
        return 0

    async def organization_ids(self) -> Sequence[str]:
        """Every organization."""
        return await self._database.read(ledgers.organization_ids)

    async def probe(self) -> None:
        """Commit something; no row is written, so that servers do not meet.

        Reads have connections of their own, which are tried as well.
        """
        if self._database.is_broken:
            raise Overloaded("the database cannot do its work")
        [[read_only, _]] = await self._fetch(_PROBE)
        if read_only != "off":
            raise Overloaded("the database is read-only")
        await self._database.read(lambda connection: connection.execute(text("SELECT 1")))

    async def _fetch(self, sql: str, *parameters: object) -> Sequence[Any]:
        return await self._database.retry(lambda: self._database.fetch(sql, *parameters))


_PROBE = """
SELECT current_setting('transaction_read_only'),
pg_logical_emit_message(true, 'zimun.probe', '')::text
"""
"""The message has no reader: it makes the commit write, and wait for the server's disk."""

_HEADS = "SELECT org_id, seq, time, catalog_version FROM ledgers WHERE org_id = ANY($1::text[])"

_EVENTS = (
    "SELECT type, client_id, data FROM events WHERE org_id = $1 AND seq > $2 AND seq <= $3 "
    "ORDER BY seq"
)

_HEADS_AND_RESPONSES = """
SELECT org_id, seq, time, catalog_version, NULL::text, NULL::text, NULL::text, NULL::bytea,
NULL::bytea FROM ledgers WHERE org_id = ANY($1::text[])
UNION ALL
SELECT i.org_id, i.expires_at, 0, 0, i.client_id, i.method, i.key, i.fingerprint, i.response
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS k(org_id, client_id, method, key)
CROSS JOIN LATERAL (
SELECT * FROM idempotency WHERE org_id = k.org_id AND client_id = k.client_id
AND method = k.method AND key = k.key AND org_id = ANY($1::text[]) OFFSET 0
) AS i
"""
"""Heads, and kept responses. OFFSET 0 makes the planner search the index once for each key."""


def _append_all(connection: Connection, changes: Changes, appends: Sequence[Append]) -> Set[str]:
    """A group with changes of the catalogue; run it in a transaction."""
    new = [append for append in appends if not (append.before.seq or append.before.time)]
    made = {append.before.org_id for append in new if _make_head(connection, append)}
    current = [one for one in appends if one not in new or one.before.org_id in made]
    changes = changes_of(current)
    changes.heads = [head for head in changes.heads if head[0] not in made]
    sql, parameters = _group(changes, sorted(made))
    written = {row[0] for row in connection.exec_driver_sql(sql, tuple(parameters))}
    for org_id, value in changes.catalog:
        if org_id in written:
            ledgers.put_catalog(connection, org_id, value)
    for org_id, span in changes.longest_spans:
        if org_id in written:
            ledgers.raise_longest_span(connection, org_id, span)
    return written


def _make_head(connection: Connection, append: Append) -> bool:
    after = append.after
    made = connection.exec_driver_sql(
        "INSERT INTO ledgers (org_id, seq, time, catalog_version) "
        "VALUES ($1::text, $2::text::bigint, $3::text::bigint, $4::text::bigint) "
        "ON CONFLICT DO NOTHING",
        (after.org_id, str(after.seq), str(append.time), str(after.catalog_version)),
    )
    return made.rowcount == 1


def _group(changes: Changes, made: Sequence[str] = ()) -> tuple[str, list[object]]:
    """The statement of a group and its parameters; of those `made` the head is there already.

    With one organization its id is a value everywhere.
    """
    names = tuple(name for name in PARTS if changes.rows[name])
    org_ids = {head[0] for head in changes.heads} | set(made)
    alone = len(org_ids) == 1
    parameters: list[object] = [next(iter(org_ids)) if alone else sorted(made)]
    heads = [list(map(str, column)) for column in zip(*changes.heads, strict=True)]
    parameters += heads or [[]] * 6
    for name in names:
        part = PARTS[name]
        for column, values in zip(part.columns, zip(*changes.rows[name], strict=True), strict=True):
            if not (alone and column == "org_id"):
                parameters.append(_as_text(part.table, column, values))
    return _group_sql(names, alone, bool(made)), parameters


def _as_text(table: str, column: str, values: Sequence[Any]) -> list[str]:
    kind = _TYPES[table, column]
    if kind == "text":
        return list(values)
    return [value.hex() for value in values] if kind == "bytea" else list(map(str, values))


_TYPES: Mapping[tuple[str, str], str] = {
    (table.name, column.name): {"TEXT": "text", "BLOB": "bytea"}.get(str(column.type), "bigint")
    for table in metadata.sorted_tables
    for column in table.columns
}
"""The type of each column that groups write, as far as it matters how it is sent."""


@lru_cache(maxsize=512)
def _group_sql(names: tuple[str, ...], alone: bool, made: bool) -> str:
    """The statement of a group that has rows of these parts.

    Parameters: $1 the organization's id (or, of several, the ids of those whose
    head was made just before), $2 to $7 the heads, then the columns of each part.
    """
    known = "$1::text" if alone else "h.org_id"
    own = "ledgers.org_id = $1::text" if alone else "ledgers.org_id = ANY($2::text[])"
    if alone:
        new = "SELECT $1::text AS org_id UNION ALL " if made else ""
    else:
        new = "SELECT unnest($1::text[]) AS org_id UNION ALL "
    number = 8
    parts = [
        # Heads are locked in one order, so that groups of several ledgers do not deadlock.
        f"locked AS (SELECT org_id FROM ledgers WHERE {own} ORDER BY org_id FOR UPDATE)",
        "moved AS (UPDATE ledgers SET seq = h.seq::bigint + h.count::bigint, "
        "time = h.time::bigint, catalog_version = h.catalog_version::bigint "
        "FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) "
        "AS h(org_id, seq, known_time, count, time, catalog_version) "
        f"WHERE {own} AND ledgers.org_id = {known} AND h.org_id = {known} "
        "AND ledgers.seq = h.seq::bigint AND ledgers.time = h.known_time::bigint "
        "AND (SELECT count(*) FROM locked) > 0 "
        "RETURNING ledgers.org_id)",
        f"head AS ({new}SELECT org_id FROM moved)",
    ]
    for name in names:
        sql, number = _part_sql(PARTS[name], name, alone, number, "ended" in names)
        parts.append(f"write_{name} AS ({sql})")
    return f"WITH {', '.join(parts)} SELECT org_id FROM head"


def _part_sql(
    part: Part, name: str, alone: bool, number: int, after_ended: bool
) -> tuple[str, int]:
    """The SQL of a part whose first parameter has this number, and the next part's number."""
    sent = [column for column in part.columns if not (alone and column == "org_id")]
    arrays = ", ".join(f"${number + n}::text[]" for n in range(len(sent)))
    source = f"unnest({arrays}) AS u({', '.join(sent)})"
    guard = "EXISTS (SELECT 1 FROM head)" if alone else "u.org_id IN (SELECT org_id FROM head)"
    values = {column: _value(part.table, column, alone) for column in part.columns}
    if part.verb == "INSERT":
        if name == "allocations" and after_ended:
            # What ends is deleted before another takes its place.
            guard += " AND (SELECT count(*) FROM write_ended) >= 0"
        columns, selected = ", ".join(part.columns), ", ".join(values.values())
        sql = f"INSERT INTO {part.table} ({columns}) SELECT {selected} FROM {source} WHERE {guard}"
    else:
        where = " AND ".join(f"t.{column} = {values[column]}" for column in part.keys)
        if part.verb == "DELETE":
            sql = (
                f"DELETE FROM {part.table} AS t USING {source} "
                f"WHERE {where} AND {guard} RETURNING 1"
            )
        else:
            set_values = ", ".join(
                f"{column} = {values[column]}" for column in part.columns if column not in part.keys
            )
            sql = (
                f"UPDATE {part.table} AS t SET {set_values} FROM {source} WHERE {where} AND {guard}"
            )
    return sql, number + len(sent)


def _value(table: str, column: str, alone: bool) -> str:
    if alone and column == "org_id":
        return "$1::text"
    kind = _TYPES[table, column]
    if kind == "text":
        return f"u.{column}"
    return f"decode(u.{column}, 'hex')" if kind == "bytea" else f"u.{column}::bigint"
