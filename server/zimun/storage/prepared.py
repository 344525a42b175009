"""Statements that are rendered once and then run by the driver itself (PEP 249).

SQLAlchemy takes longer to prepare an execution and its result than an embedded
database takes to run a short statement: about 30 us against 10. So it writes the SQL of holds
and searches, once for each dialect, and the driver's cursor runs it. What these
statements bind and select is plain text, integers and bytes, which need no
conversion.

A database server is a round trip away for every statement. So writes to different
tables can go there as one (`run_together`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Delete, Insert, Select, Update

Statement = Select[*tuple[Any, ...]] | Insert | Update | Delete

Rows = Sequence[tuple[Any, ...]]


class Prepared:
    """A statement with named parameters. Raises the driver's own errors."""

    def __init__(self, statement: Statement) -> None:
        self._statement = statement
        self._rendered: dict[str, _Rendered] = {}

    def run(self, connection: Connection, parameters: Mapping[str, Any]) -> Rows:
        """Execute with these values for its parameters; the rows of a select."""
        rendered = self.render(connection)
        cursor = connection.connection.cursor()
        cursor.execute(rendered.sql, rendered.bind(parameters))
        found: Rows = cursor.fetchall() if rendered.selects else ()
        cursor.close()
        return found

    def goes_with(self, other: "Prepared") -> bool:
        """Whether the two writes do the same in one statement as one after the other."""
        one, two = self._statement, other._statement
        if isinstance(one, Select) or isinstance(two, Select):
            return False
        return one.table is not two.table or (isinstance(one, Insert) and isinstance(two, Insert))

    def render(self, connection: Connection) -> "_Rendered":
        """Its SQL for the connection's database."""
        dialect = connection.dialect
        if dialect.name not in self._rendered:
            compiled = self._statement.compile(dialect=dialect)
            values = compiled.params.items()
            constants = {name: value for name, value in values if value is not None}
            self._rendered[dialect.name] = _Rendered(
                str(compiled),
                tuple(compiled.positiontup or ()),
                constants,
                isinstance(self._statement, Select),
            )
        return self._rendered[dialect.name]


@dataclass(frozen=True, slots=True)
class _Rendered:
    """SQL of one dialect, the names of its parameters by position, and those it sets itself."""

    sql: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]
    selects: bool

    def bind(self, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        if self.constants:
            parameters = {**self.constants, **parameters}
        return tuple([parameters[name] for name in self.names])


Write = tuple[Prepared, Mapping[str, Any]]
"""A statement and the values of its parameters."""


def run_together(connection: Connection, writes: Sequence[Write]) -> None:
    """Execute, as one statement, writes of which each goes with every other (PostgreSQL).

    They are data-modifying parts of a WITH, which all see the same snapshot.
    """
    rendered = [(statement.render(connection), values) for statement, values in writes]
    sql = _together(tuple((one.sql, len(one.names)) for one, _ in rendered))
    cursor = connection.connection.cursor()
    cursor.execute(sql, tuple([value for one, values in rendered for value in one.bind(values)]))
    cursor.close()


@lru_cache(maxsize=256)
def _together(statements: Sequence[tuple[str, int]]) -> str:
    """The SQL of several statements, each with so many parameters, as one."""
    parts, shift = [], 0
    for sql, count in statements:
        parts.append(_PLACEHOLDER.sub(lambda found, by=shift: f"${int(found[1]) + by}", sql))  # type: ignore[misc]
        shift += count
    *others, last = parts
    named = ", ".join(f"w{n} AS ({sql})" for n, sql in enumerate(others))
    return f"WITH {named} {last}" if others else last


_PLACEHOLDER = re.compile(r"\$(\d+)")
