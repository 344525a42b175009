"""Statements that are rendered once and then run by the driver itself (PEP 249).

SQLAlchemy takes longer to prepare an execution and its result than an embedded
database takes to run a short statement: about 30 us against 10. So it writes the SQL of holds
and searches, once for each dialect, and the driver's cursor runs it. What these
statements bind and select is plain text, integers and bytes, which need no
conversion.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Delete, Insert, Select, Update

Statement = Select[*tuple[Any, ...]] | Insert | Update | Delete

Rows = Sequence[tuple[Any, ...]]


class Prepared:
    """A statement with named parameters; `of_dialects` are those worded otherwise on a dialect.

    Raises the driver's own errors.
    """

    def __init__(self, statement: Statement, **of_dialects: Statement) -> None:
        self._statement, self._of_dialects = statement, of_dialects
        self._rendered: dict[str, _Rendered] = {}

    def run(self, connection: Connection, parameters: Mapping[str, Any]) -> Rows:
        """Execute with these values for its parameters; the rows of a select."""
        rendered = self.render(connection)
        cursor = connection.connection.cursor()
        cursor.execute(rendered.sql, rendered.bind(parameters))
        fetched: Rows = cursor.fetchall() if rendered.selects else ()
        cursor.close()
        return fetched

    def render(self, connection: Connection) -> "_Rendered":
        """Its SQL for the connection's database."""
        dialect = connection.dialect
        if dialect.name not in self._rendered:
            statement = self._of_dialects.get(dialect.name, self._statement)
            compiled = statement.compile(dialect=dialect)
            values = compiled.params.items()
            constants = {name: value for name, value in values if value is not None}
            self._rendered[dialect.name] = _Rendered(
                str(compiled),
                tuple(compiled.positiontup or ()),
                constants,
                isinstance(statement, Select),
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
