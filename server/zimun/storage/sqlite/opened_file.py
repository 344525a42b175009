"""The identity and the health of the SQLite file that the connections have open."""

import os
import sqlite3
import struct
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from zimun.domain.errors import Overloaded
from zimun.storage.schema import COLUMNS

FileId = tuple[int, int]

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_LOG_HEADER = 32
"""Bytes of the header of a write-ahead log."""

_LOG_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
"""Its first bytes: with checksums of little-endian and of big-endian words."""

_SCHEMA = "SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c"


class OpenedFile:
    """The file that was opened; create it once connections are open, before the first write.

    SQLite goes on writing to a file that was removed or replaced, and a restart loses the writes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts = [str(path), f"{path}-wal", f"{path}-shm"]
        self._opened = [_file_id(part) for part in self._parts]
        self._is_unchanged = True
        self._damage = ""
        self._sizes = _sizes(*self._parts[:2])
        self._log: int | None = None
        with suppress(FileNotFoundError):
            self._log = os.open(self._parts[1], os.O_RDONLY)
        self._log_header = self._read_log_header()

    def close(self) -> None:
        """Close the log; SQLite has no locks on it that this would release."""
        if self._log is not None:
            os.close(self._log)

    def check(self) -> None:
        """Raise Overloaded where the file was removed, replaced or damaged.

        Call it before each commit, with the file locked for writing, as writers write the log's
        header: it takes microseconds, and the file is read only where it or its log has become
        smaller, as neither does while it is open unless another program cuts it.
        """
        self._is_unchanged = [_file_id(part) for part in self._parts] == self._opened
        self.require_usable()
        sizes = _sizes(*self._parts[:2])
        is_cut, is_log_cut = (now < was for now, was in zip(sizes, self._sizes, strict=True))
        if is_cut and not sizes[0]:
            # SQLite would delete the log as soon as a connection is opened, with what is in it.
            self._damage = "the file is empty"
            self.require_usable()
        if is_cut or is_log_cut:
            self._read(with_log=not is_cut)
        self._sizes = sizes
        self._check_log_header()

    def _check_log_header(self) -> None:
        """Without its header SQLite goes on writing to a log, and the next start ignores it."""
        header = self._read_log_header()
        if header != self._log_header:
            if len(header) == _LOG_HEADER and not _is_log_header(header):
                self._damage = "the header of the log is damaged"
                self.require_usable()
            self._log_header = header

    def _read_log_header(self) -> bytes:
        return b"" if self._log is None else os.pread(self._log, _LOG_HEADER, 0)

    def require_usable(self) -> None:
        """Raise Overloaded where an earlier check or failure has found the file unusable."""
        if self._damage:
            raise Overloaded("the store is damaged")
        if not self._is_unchanged:
            raise Overloaded("the store's file is gone")

    def probe(self) -> None:
        """Open the file by its name and read, as a new process would; raises as `check` does."""
        self._read()

    def _read(self, with_log: bool = False) -> None:
        """Read a row and the schema, and `with_log` all of the write-ahead log.

        Raises as `check` does, and Overloaded where another program has removed a column.
        """
        try:
            with closing(
                sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True)
            ) as connection:
                if with_log:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                connection.execute("SELECT name FROM installation").fetchall()
                columns = connection.execute(_SCHEMA).fetchall()
        except sqlite3.Error as error:
            self.note_failure(error)
            raise Overloaded("the store's file cannot be read") from error
        if not COLUMNS.issubset(columns):
            raise Overloaded("the store lacks a column")

    def note_failure(self, error: BaseException) -> None:
        """Remember that the file is damaged, if the error says so, until a restart checks it."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        if getattr(cause, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            self._damage = str(cause)


def _is_log_header(header: bytes) -> bool:
    """Whether a log's header has its magic and checksum (SQLite, "Database File Format", 4.1)."""
    if header[:4] not in _LOG_MAGIC:
        return False
    order = ">" if header[3] & 1 else "<"
    first = second = 0
    for even, odd in struct.iter_unpack(f"{order}2I", header[:24]):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return struct.pack(">2I", first, second) == header[24:]


def _sizes(path: str, log: str) -> tuple[int, int]:
    """Of the database and its write-ahead log; 0 without them."""
    try:
        return os.stat(path).st_size, os.stat(log).st_size
    except OSError:
        return 0, 0


def _file_id(path: str) -> FileId | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
