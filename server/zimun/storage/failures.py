"""What a database fails with, whichever engine it is, in words for an operator."""

import sqlite3

import asyncpg
from sqlalchemy.exc import DBAPIError

FAILURES = (OSError, DBAPIError, sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What opening or using a database raises that is nobody's mistake in the code."""

MAX_WORDS = 300
"""Characters of an error that are told."""


def brief(error: BaseException) -> str:
    """What the database itself said, in one line: without the statement and its parameters."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return brief(error.orig)
    words = " ".join(str(error).split()) or type(error).__name__
    return words.rpartition("'>: ")[2][:MAX_WORDS]
