"""The meaning of PostgreSQL's errors, by SQLSTATE (PostgreSQL, appendix A)."""

from collections.abc import Iterator

from sqlalchemy import exc

CONSTRAINTS = ("23505", "23P01", "23514")
"""Violations of the schema's constraints: unique keys, the exclusion of overlaps, checks."""

_MISSING = ("42501", "42703", "42704", "42883", "42P01")
"""A privilege, a column, a type, a function or a table is missing: another schema than ours."""

_READ_ONLY, _NO_STATEMENT, _SAME_STATEMENT = "25006", "26000", "42P05"

OF_SESSION = (_READ_ONLY, _NO_STATEMENT, _SAME_STATEMENT)
"""Errors of a session, which is not used again: it keeps the read-only default from when it began,
or a prepared statement is missing or is there already, as a pooler has come to share sessions."""

CANNOT_SERVE = (
    "25",  # read-only, or a transaction that was ended
    "28",  # the password or the role is not accepted any more
    "3D",
    "3F",  # the database or the schema does not exist any more
    *_MISSING,
    *OF_SESSION,
    "53",  # connections, disk, memory
    "55",  # a lock was not available in time, no connections are accepted
    "57",  # ended by a time-out or an operator
    "58",
    "F0",
    "P0",  # a trigger of the operator refused
    "XX",  # files, configuration, damaged data
)
"""Classes and codes of a server that cannot do the work now, whatever the work is."""

BROKEN = (*OF_SESSION, "28", "3D", "3F", *_MISSING, "53100", "53200", "58", "P0", "XX")
"""Errors of the database server itself: read-only, missing, out of disk or memory, damaged."""

TOO_MANY_CONNECTIONS = "53300"

_OUTCOME_UNKNOWN = ("08", "57P", "58", "XX")
"""Errors of the connection, the system or another node: the transaction may have committed."""


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and, one after the other, what caused it."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = getattr(seen, "orig", None) or seen.__cause__


def state_of(error: BaseException) -> str:
    """The SQLSTATE of an error or of its causes; empty where none has a SQLSTATE."""
    states = (getattr(one, "sqlstate", None) for one in causes(error))
    return next((str(state) for state in states if state), "")


def is_conflict(error: BaseException) -> bool:
    """Whether a transaction failed because of another transaction, and may succeed when repeated:
    serialization failures, deadlocks, violated constraints, a column whose type was changed."""
    is_plan_outdated = any(
        type(one).__name__ == "InvalidCachedStatementError" for one in causes(error)
    )
    return is_plan_outdated or state_of(error) in ("40001", "40P01", *CONSTRAINTS)


def is_lost(error: BaseException) -> bool:
    """Whether the connection was lost, refused, or cannot be used any more.

    These are classes 08 and 57P of SQLSTATE, and errors of asyncpg or the socket without SQLSTATE.
    """
    for one in causes(error):
        if isinstance(one, OSError | TimeoutError | EOFError):
            return True
        if type(one).__name__ in ("InterfaceError", "InternalClientError"):
            return True
    return state_of(error).startswith(("08", "57P"))


def is_refusal(error: BaseException) -> bool:
    """Whether the server said that it did nothing, so that the outcome is known."""
    if isinstance(error, exc.TimeoutError):
        return True
    state = state_of(error)
    return bool(state) and not state.startswith(_OUTCOME_UNKNOWN)


def is_refusal_to_serve(error: BaseException) -> bool:
    """Whether the server, or the queue for its connections, cannot take the work now."""
    return isinstance(error, exc.TimeoutError) or state_of(error).startswith(CANNOT_SERVE)
