"""A database as functions of a connection see it, whichever engine it is."""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


class Database(Protocol):
    """Runs synchronous functions of a connection, each in one transaction.

    A function may run more than once. It must neither commit nor roll back, nor
    have an effect other than through its connection. Whatever it raises is
    raised, after a rollback.
    """

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on one consistent snapshot.

        Raises Overloaded when the database cannot be read.
        """

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in one transaction, which is durable when this returns.

        SQLite: BEGIN IMMEDIATE, so that writers run one after another.
        PostgreSQL: READ COMMITTED, so that each statement sees what was
        committed before it; the transaction is retried as a whole after a
        serialization failure, a deadlock or a unique violation.

        Raises Overloaded when the database cannot be written (nothing was
        done), and OutcomeUnknown when the connection was lost during COMMIT.
        """

    def connections_in_use(self) -> Mapping[str, tuple[int, int]]:
        """How many connections of each pool are in use, and its limit; nothing for a file."""
