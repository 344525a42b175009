"""What a database fails with, whichever engine it is, in words for an operator."""

import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Callable

import asyncpg
from sqlalchemy.exc import DBAPIError

FAILURES = (OSError, DBAPIError, sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What opening or using a database raises that is nobody's mistake in the code."""

MAX_WORDS = 300
"""Characters of an error that are told."""

LOG_INTERVAL = 60.0
"""Seconds between two lines about refusals of one kind."""


def brief(error: BaseException) -> str:
    """What the database itself said, in one line: without the statement and its parameters."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return brief(error.orig)
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # What follows the first line may be the row.
    return lines[0].rpartition("'>: ")[2][:MAX_WORDS]


class Refusals:
    """Counts what a store refused, and logs it once a minute for each kind, not each time."""

    def __init__(self, log: logging.Logger, time: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._time = time
        self._told: dict[str, tuple[float, int]] = {}
        self.counts: Counter[str] = Counter()

    def note(self, kind: str, message: str, error: BaseException) -> None:
        """A call was told `message` because of an error; `kind` is of a small set."""
        self.counts[kind] += 1
        due, told = self._told.get(kind, (0.0, 0))
        now = self._time()
        if now < due:
            return
        more = self.counts[kind] - told
        times = "" if more == 1 else f" ({more} times since the last such line)"
        self._log.error("%s%s: %s", message, times, brief(error))
        self._told[kind] = (now + LOG_INTERVAL, self.counts[kind])
