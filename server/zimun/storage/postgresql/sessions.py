"""Sessions of a database server: how they begin, and whether a pooler shares them."""

from typing import Any

import asyncpg
from sqlalchemy import URL

CONNECT_TIMEOUT = 2.0
"""Seconds in which a database server has to take a connection."""


class SharedSessions(Exception):
    """A pooler gives the sessions of the database server to one transaction after another.

    Prepared statements and settings belong to a session: those of another process would be used.
    """

    def __str__(self) -> str:
        return (
            "ZIMUN_DATABASE_URL: the pooler must keep a session of the database for each "
            "connection (PgBouncer: pool_mode = session)"
        )


async def begin_session(*arguments: Any, settings: dict[str, str], **options: Any) -> Any:
    """Connect as asyncpg does, then apply the settings.

    They are no part of the connection's first message: a pooler refuses those that it does not know
    there.
    """
    connection = await asyncpg.connect(*arguments, **options)
    try:
        await connection.execute("; ".join(f"SET {name} = {settings[name]}" for name in settings))
    except BaseException:
        connection.terminate()
        raise
    return connection


async def check_sessions(url: URL) -> None:
    """Raise SharedSessions where two connections have one session, or one has several in turn."""
    first = await _connect(url)
    try:
        session = await _session(first)
        if session == first.get_server_pid():
            # There is no pooler.
            return
        second = await _connect(url)
        try:
            sessions = await _session(second), await _session(first)
        finally:
            second.terminate()
    except (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError):
        raise SharedSessions from None
    finally:
        first.terminate()
    if sessions[0] == session or sessions[1] != session:
        raise SharedSessions


async def _connect(url: URL) -> Any:
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return await asyncpg.connect(address, timeout=CONNECT_TIMEOUT, command_timeout=CONNECT_TIMEOUT)


async def _session(connection: Any) -> int:
    """The process that serves a connection now."""
    pid: int = await connection.fetchval("SELECT pg_backend_pid()")
    return pid
