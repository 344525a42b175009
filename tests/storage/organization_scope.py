"""Whether a statement stays within one organization, read from its syntax tree.

On a distributed database the rows of an organization are on one node. A
statement goes to that node alone if every table that it names is compared with
the organization's id as a value, and a row stays there as long as nobody sets a
column of its key.
"""

from collections.abc import Iterator, Sequence

import sqlglot
from sqlglot import exp

from zimun.storage.schema import metadata

KEYS = {
    table.name: tuple(column.name for column in table.primary_key)
    for table in metadata.sorted_tables
}

OF_ORGANIZATIONS = {name for name, key in KEYS.items() if key[0] == "org_id"}
"""The tables whose rows belong to organizations."""

_BLOCKS = (exp.Select, exp.Update, exp.Delete, exp.Insert)


def faults(sql: str) -> list[str]:
    """What is wrong with a statement of PostgreSQL; empty where nothing is."""
    tree = sqlglot.parse_one(sql, dialect="postgres")
    found: list[str] = []
    for block in tree.find_all(*_BLOCKS):
        found += _key_faults(block)
        found += _insert_faults(block) if isinstance(block, exp.Insert) else _scope_faults(block)
    return found


def _key_faults(block: exp.Expr) -> Iterator[str]:
    """Columns of keys that are set, by UPDATE or by ON CONFLICT DO UPDATE."""
    if isinstance(block, exp.Update):
        assignments, name = block.expressions, block.this.name
    elif isinstance(block, exp.Insert) and (conflict := block.args.get("conflict")):
        assignments, name = conflict.expressions or [], _target(block)
    else:
        return
    for assignment in assignments:
        if assignment.this.name in KEYS.get(name, ()):
            yield f"sets {name}.{assignment.this.name}"


def _target(insert: exp.Insert) -> str:
    into = insert.this
    return str(into.this.name if isinstance(into, exp.Schema) else into.name)


def _insert_faults(insert: exp.Insert) -> Iterator[str]:
    """An organization's row must be given its org_id as a value."""
    name = _target(insert)
    if name not in OF_ORGANIZATIONS:
        return
    columns = [column.name for column in insert.this.expressions]
    rows = _inserted(insert.expression)
    at = columns.index("org_id") if "org_id" in columns else -1
    if at < 0 or not all(_is_value(row[at], insert.expression) for row in rows):
        yield f"inserts into {name} without the organization's id as a value"


def _inserted(source: exp.Expr) -> list[Sequence[exp.Expr]]:
    if isinstance(source, exp.Values):
        return [row.expressions for row in source.expressions]
    return [source.selects] if isinstance(source, exp.Select) else [[exp.null()]]


def _scope_faults(block: exp.Expr) -> Iterator[str]:
    """Tables of organizations in a block of a statement, without a comparison of their org_id."""
    sources = [*_sources(block)]
    tables = [
        source
        for source in sources
        if isinstance(source, exp.Table) and source.name in OF_ORGANIZATIONS
    ]
    compared = {
        column.table for condition in _conditions(block) for column in _compared(condition, block)
    }
    for table in tables:
        # A column without a table's name is that of the only table.
        alone = len(sources) == 1 and "" in compared
        if not alone and table.alias_or_name not in compared:
            yield f"does not compare {table.name}.org_id with a value"


def _sources(block: exp.Expr) -> Iterator[exp.Expr]:
    """What a block reads or changes, apart from what its subqueries do."""
    if isinstance(block, exp.Update | exp.Delete):
        yield block.this
        yield from block.args.get("using") or ()
    if begin := block.args.get("from_") or block.args.get("from"):
        yield begin.this
        yield from (join.this for join in begin.this.args.get("joins") or ())
    yield from (join.this for join in block.args.get("joins") or ())


def _conditions(block: exp.Expr) -> Iterator[exp.Expr]:
    """What must all be true of what a block reads: of WHERE, and of the joins' ON."""
    begin = block.args.get("from_") or block.args.get("from")
    joins = [*(block.args.get("joins") or ())]
    joins += [*(begin.this.args.get("joins") or ())] if begin else []
    where = block.args.get("where")
    for condition in [where and where.this, *(join.args.get("on") for join in joins)]:
        if condition is not None:
            yield from _conjuncts(condition)


def _conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    condition = condition.unnest()
    if isinstance(condition, exp.And):
        yield from _conjuncts(condition.left)
        yield from _conjuncts(condition.right)
    else:
        yield condition


def _compared(condition: exp.Expr, block: exp.Expr) -> Iterator[exp.Column]:
    """The columns org_id that a condition compares with values."""
    compared: list[tuple[exp.Expr, Sequence[exp.Expr]]] = []
    if isinstance(condition, exp.EQ):
        compared = [(condition.left, [condition.right]), (condition.right, [condition.left])]
    elif isinstance(condition, exp.In) and condition.expressions:
        compared = [(condition.this, condition.expressions)]
    for column, values in compared:
        if not isinstance(column, exp.Column) or column.name != "org_id":
            continue
        if all(_is_value(value, block) for value in values):
            yield column


def _is_value(expression: exp.Expr, block: exp.Expr) -> bool:
    """A parameter, a constant, one of an array of these, or a column of rows sent as arrays."""
    expression = expression.unnest()
    if isinstance(expression, exp.Cast | exp.Alias):
        return _is_value(expression.this, block)
    if isinstance(expression, exp.Any | exp.Array):
        inner = [expression.this] if isinstance(expression, exp.Any) else expression.expressions
        return all(_is_value(one, block) for one in inner)
    if isinstance(expression, exp.Column):
        return expression.table in {
            source.alias for source in _sources(block) if _is_sent(source)
        } - {""}
    return isinstance(expression, exp.Parameter | exp.Placeholder | exp.Literal)


def _is_sent(source: exp.Expr) -> bool:
    """Whether rows come from unnest($1, $2 and so on): they are sent with the statement."""
    if isinstance(source, exp.Table):
        return isinstance(source.this, exp.Expr) and _is_sent_function(source.this)
    return _is_sent_function(source)


def _is_sent_function(source: exp.Expr) -> bool:
    if not isinstance(source, exp.Unnest | exp.Explode | exp.Anonymous):
        return False
    if isinstance(source, exp.Anonymous) and source.name.lower() != "unnest":
        return False
    arrays = source.expressions or [source.this]
    return all(_is_value(array, source) for array in arrays)
