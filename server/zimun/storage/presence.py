"""Whether the SQLite file that connections have open is still the file of its name, and sound."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from zimun.domain.errors import Overloaded

FileId = tuple[int, int]

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Presence:
    """What was opened: made when connections are open, before anything is written.

    A file that was removed or replaced goes on taking writes, which nobody will ever find again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts = [str(path), f"{path}-wal", f"{path}-shm"]
        self._opened = [_file_id(part) for part in self._parts]
        self._is_there = True
        self._damage = ""

    def check(self) -> None:
        """Raise Overloaded where another file, or none, has the name: some microseconds."""
        self._is_there = [_file_id(part) for part in self._parts] == self._opened
        self.require()

    def require(self) -> None:
        """Raise Overloaded for what is known already."""
        if self._damage:
            raise Overloaded("the store is damaged")
        if not self._is_there:
            raise Overloaded("the store's file is gone")

    def look(self) -> None:
        """Open the file by its name and read, as a newcomer does; raises as `check` does."""
        self.check()
        try:
            with closing(
                sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True)
            ) as newcomer:
                newcomer.execute("SELECT name FROM installation").fetchall()
        except sqlite3.Error as error:
            self.note(error)
            raise Overloaded("the store's file cannot be read") from error

    def note(self, error: BaseException) -> None:
        """Take note of a failure: a damaged file is not served until a start has checked it."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        if getattr(cause, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            self._damage = str(cause)


def _file_id(path: str) -> FileId | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
