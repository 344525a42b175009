"""The statement that writes a group of commands on PostgreSQL.

A group is one statement, and so one round trip and one transaction that is
never left open: it moves the heads of its ledgers that are still as they were
read, and writes the rows of those ledgers by data-modifying parts of one WITH.
Rows are sent as arrays of text, a type that asyncpg knows on every connection
without a query.
"""

from collections.abc import Mapping, Sequence, Set
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

from zimun.booking.store import Append
from zimun.storage import ledgers
from zimun.storage.changes import PARTS, Changes, Part, changes_of
from zimun.storage.schema import metadata


def append_all(connection: Connection, appends: Sequence[Append]) -> Set[str]:
    """Write a group with changes of the catalogue or new organizations; run it in a transaction."""
    new = [append for append in appends if not (append.before.seq or append.before.time)]
    created = {append.before.org_id for append in new if _insert_head(connection, append)}
    current = [append for append in appends if append not in new or append.before.org_id in created]
    changes = changes_of(current)
    changes.heads = [head for head in changes.heads if head[0] not in created]
    sql, parameters = group_statement(changes, sorted(created))
    written = {row[0] for row in connection.exec_driver_sql(sql, tuple(parameters))}
    for org_id, value in changes.catalog:
        if org_id in written:
            ledgers.put_catalog(connection, org_id, value)
    for org_id, span in changes.longest_spans:
        if org_id in written:
            ledgers.raise_longest_span(connection, org_id, span)
    return written


def _insert_head(connection: Connection, append: Append) -> bool:
    after = append.after
    created = connection.exec_driver_sql(
        "INSERT INTO ledgers (org_id, seq, time, catalog_version) "
        "VALUES ($1::text, $2::text::bigint, $3::text::bigint, $4::text::bigint) "
        "ON CONFLICT DO NOTHING",
        (after.org_id, str(after.seq), str(append.time), str(after.catalog_version)),
    )
    return created.rowcount == 1


def group_statement(changes: Changes, created: Sequence[str] = ()) -> tuple[str, list[object]]:
    """The statement of a group and its parameters.

    The heads of the organizations `created` have been inserted before, in the same transaction.
    For a single organization the id is one parameter instead of a column of each array.
    """
    names = tuple(name for name in PARTS if changes.rows[name])
    org_ids = {head[0] for head in changes.heads} | set(created)
    is_single = len(org_ids) == 1
    parameters: list[object] = [next(iter(org_ids)) if is_single else sorted(created)]
    heads = [list(map(str, column)) for column in zip(*changes.heads, strict=True)]
    parameters += heads or [[]] * 6
    for name in names:
        part = PARTS[name]
        for column, values in zip(part.columns, zip(*changes.rows[name], strict=True), strict=True):
            if not (is_single and column == "org_id"):
                parameters.append(_as_text(part.table, column, values))
    return _group_sql(names, is_single, bool(created)), parameters


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
"""The type by which each column is sent: text, bigint or bytea."""


@lru_cache(maxsize=512)
def _group_sql(names: tuple[str, ...], is_single: bool, has_created: bool) -> str:
    """The statement of a group that has rows of these parts.

    The CTE `moved` moves the heads; `writable` has the organizations whose rows are written:
    those whose head has moved or was inserted before. Parameters: $1 the id of a single
    organization (of several, the ids of those whose head was inserted), $2 to $7 the heads,
    then the columns of each part.
    """
    number = 8
    writes, keys_unused = [], ""
    for name in names:
        if name == "responses":
            keys_unused = _keys_unused_sql(is_single, number)
        sql, number = _part_sql(PARTS[name], name, is_single, number, "ended" in names)
        writes.append(f"write_{name} AS ({sql})")
    org_id = "$1::text" if is_single else "h.org_id"
    is_of_group = "ledgers.org_id = $1::text" if is_single else "ledgers.org_id = ANY($2::text[])"
    if is_single:
        new = "SELECT $1::text AS org_id UNION ALL " if has_created else ""
    else:
        new = "SELECT unnest($1::text[]) AS org_id UNION ALL "
    parts = [
        # Heads are locked in one order, so that groups of several ledgers do not deadlock.
        f"locked AS (SELECT org_id FROM ledgers WHERE {is_of_group} ORDER BY org_id FOR UPDATE)",
        "moved AS (UPDATE ledgers SET seq = h.seq::bigint + h.count::bigint, "
        "time = h.time::bigint, catalog_version = h.catalog_version::bigint "
        "FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) "
        "AS h(org_id, seq, known_time, count, time, catalog_version) "
        f"WHERE {is_of_group} AND ledgers.org_id = {org_id} AND h.org_id = {org_id} "
        "AND ledgers.seq = h.seq::bigint AND ledgers.time = h.known_time::bigint "
        f"AND (SELECT count(*) FROM locked) > 0 {keys_unused}"
        "RETURNING ledgers.org_id)",
        f"writable AS ({new}SELECT org_id FROM moved)",
        *writes,
    ]
    return f"WITH {', '.join(parts)} SELECT org_id FROM writable"


def _keys_unused_sql(is_single: bool, number: int) -> str:
    """The condition that no response is stored under a key of the group.

    `number` is the number of the first parameter of the responses. OFFSET 0 makes the planner
    search the index for each key.
    """
    columns = (
        ("client_id", "method", "key") if is_single else ("org_id", "client_id", "method", "key")
    )
    arrays = ", ".join(f"${number + n}::text[]" for n in range(len(columns)))
    org_id = "$1::text" if is_single else "k.org_id AND i.org_id = ANY($2::text[])"
    condition = "" if is_single else "WHERE k.org_id = h.org_id"
    return (
        f"AND NOT EXISTS (SELECT 1 FROM unnest({arrays}) AS k({', '.join(columns)}) "
        "CROSS JOIN LATERAL (SELECT 1 FROM idempotency AS i WHERE "
        f"i.org_id = {org_id} AND i.client_id = k.client_id AND i.method = k.method "
        f"AND i.key = k.key OFFSET 0) AS used {condition}) "
    )


def _part_sql(
    part: Part, name: str, is_single: bool, number: int, after_ended: bool
) -> tuple[str, int]:
    """The SQL of a part whose first parameter has a number, and the number after its last."""
    sent = [column for column in part.columns if not (is_single and column == "org_id")]
    arrays = ", ".join(f"${number + n}::text[]" for n in range(len(sent)))
    source = f"unnest({arrays}) AS u({', '.join(sent)})"
    guard = (
        "EXISTS (SELECT 1 FROM writable)"
        if is_single
        else "u.org_id IN (SELECT org_id FROM writable)"
    )
    values = {column: _value(part.table, column, is_single) for column in part.columns}
    if part.verb == "INSERT":
        if name == "allocations" and after_ended:
            # Reading `write_ended` makes PostgreSQL delete what ends before it inserts.
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


def _value(table: str, column: str, is_single: bool) -> str:
    if is_single and column == "org_id":
        return "$1::text"
    kind = _TYPES[table, column]
    if kind == "text":
        return f"u.{column}"
    return f"decode(u.{column}, 'hex')" if kind == "bytea" else f"u.{column}::bigint"
