"""Errors of databases, of whichever engine, and their log lines."""

import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Callable

import asyncpg
from sqlalchemy.exc import DBAPIError

FAILURES = (OSError, DBAPIError, sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError)
"""Errors of opening or using a database that are no fault of the code."""

MAX_ERROR_LENGTH = 300
"""Characters of an error in a log line or a message."""

LOG_INTERVAL = 60.0
"""Seconds between two lines about refusals of one kind."""


def brief(error: BaseException) -> str:
    """The message of the database in one line, without the statement and its parameters."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return brief(error.orig)
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # What follows the first line may be the row.
    return lines[0].rpartition("'>: ")[2][:MAX_ERROR_LENGTH]


class Refusals:
    """Counts the errors of a store, and logs each kind once a minute."""

    def __init__(self, log: logging.Logger, time: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._time = time
        self._logged: dict[str, tuple[float, int]] = {}
        self.counts: Counter[str] = Counter()

    def note(self, kind: str, message: str, error: BaseException) -> None:
        """Count an error that a caller gets as `message`; `kind` is one of a few."""
        self.counts[kind] += 1
        due, logged = self._logged.get(kind, (0.0, 0))
        now = self._time()
        if now < due:
            return
        more = self.counts[kind] - logged
        times = "" if more == 1 else f" ({more} times since the last such line)"
        self._log.error("%s%s: %s", message, times, brief(error))
        self._logged[kind] = (now + LOG_INTERVAL, self.counts[kind])
