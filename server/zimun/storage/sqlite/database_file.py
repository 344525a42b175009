"""The SQLite file as a whole: locking it for a process, checking it, backup and restore.

Beside the file NAME lie SQLite's NAME-wal, NAME-shm and NAME-journal, and NAME.lock. All of them
are for their owner alone: the keys that sign tokens are in them.
"""

import fcntl
import glob
import os
import re
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from zimun.storage.migrate import check_revision

COMPANIONS = ("-wal", "-shm", "-journal")
"""Suffixes of the files that SQLite keeps beside a database; they belong to that database alone."""

OTHERS_MODE = 0o077
"""The mode bits of group and others."""

_ROLLBACK_FORMAT = b"\x01\x01"
"""Bytes 18 and 19 of a file that has no write-ahead log (SQLite, "Database File Format")."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class FileRefused(Exception):
    """The file cannot be used, copied or put back; the message says why, in one line."""


def beside(path: Path, suffix: str) -> Path:
    """The path with a suffix after the whole of its name."""
    return path.with_name(path.name + suffix)


@contextmanager
def claim(path: Path, alone: bool = False) -> Iterator[None]:
    """Lock a database, shared or exclusively (`alone`), until the context or the process ends.

    Raises FileRefused where it is being restored, or, with `alone`, is in use.
    """
    how = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    with open(beside(path, ".lock"), "w", opener=_for_owner) as lock:
        try:
            fcntl.flock(lock, how | fcntl.LOCK_NB)
        except BlockingIOError as error:
            in_use = f"{path} is in use: stop the server first"
            raise FileRefused(in_use if alone else f"{path} is being restored") from error
        yield


def make(path: Path) -> None:
    """Create the file, for its owner alone, unless it exists, and check the files beside it.

    Raises FileRefused; call it before a connection is opened.
    """
    if beside(path, ".restoring").exists():
        raise FileRefused(f"a restore of {path} was interrupted: run `zimun restore` again")
    _check_companions(path)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def exposed(path: Path) -> list[Path]:
    """The files of a database that users other than its owner may read or write."""
    parts = [path, *(beside(path, suffix) for suffix in (*COMPANIONS, ".lock"))]
    return [part for part in parts if part.exists() and part.stat().st_mode & OTHERS_MODE]


def check(path: Path, thoroughly: bool = False) -> None:
    """Raise FileRefused for a damaged file (PRAGMA quick_check).

    `thoroughly` compares every index with its table, too (PRAGMA integrity_check).
    """
    pragma = "integrity_check" if thoroughly else "quick_check"
    try:
        with closing(_open(path)) as connection:
            [[result]] = connection.execute(f"PRAGMA {pragma}(1)").fetchall()
    except sqlite3.Error as error:
        if not _is_damage(error):
            raise FileRefused(f"{path} cannot be opened: {error}") from error
        result = str(error)
    if result != "ok":
        line = " ".join(result.split())
        raise FileRefused(f"{path} is damaged: {line}; `zimun restore` puts a backup in its place")


def back_up(path: Path, copy: Path) -> None:
    """Write a copy of a database as it is now, while others go on using it.

    The copy has its name once it is whole and on disk. Raises FileRefused and OSError.
    """
    if copy.exists():
        raise FileRefused(f"{copy} exists already")
    _check_there(path)
    with claim(path), _draft(copy) as draft:
        _copy(path, draft)


def restore(copy: Path, path: Path) -> Path | None:
    """Put a copy in the place of a database; returns the directory with the database before it.

    An interrupted one can be repeated, and is refused by `make` until then. Raises FileRefused, and
    then nothing has changed, and OSError.
    """
    _check_there(copy)
    if path.exists() and copy.samefile(path):
        raise FileRefused(f"{copy} is the database itself")
    ready = beside(path, ".restoring")
    with claim(path, alone=True):
        with _draft(ready) as draft:
            _copy(copy, draft)
        renamed = _rename_replaced(path)
        ready.rename(path)
        _sync(path.parent)
    return renamed


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _open(path: Path) -> sqlite3.Connection:
    """A connection to a file that exists."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise FileRefused(f"there is no database at {path}")


def _check_companions(path: Path) -> None:
    """Raise FileRefused for a write-ahead log of another database than the one beside it.

    SQLite would apply it, and mix the two.
    """
    log = beside(path, "-wal")
    if not log.exists() or not log.stat().st_size:
        return
    if not path.exists() or not path.stat().st_size:
        raise FileRefused(f"{path} is gone, and {log} is of no use without it: use `zimun restore`")
    with path.open("rb") as file:
        if file.read(20)[18:] == _ROLLBACK_FORMAT:
            raise FileRefused(f"{log} is not of {path}, which is a copy: use `zimun restore`")


def _copy(source: Path, target: Path) -> None:
    """Copy a Zimun database into an empty file, and check the copy. Raises FileRefused."""
    _check_companions(source)
    try:
        with closing(_open(source)) as connection, closing(_open(target)) as copy:
            connection.backup(copy)
            # So that `_check_companions` finds a log beside the copy to be another file's.
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise FileRefused(f"{source} cannot be copied: {error}") from error
    check(target, thoroughly=True)
    _check_schema(source, target)


def _check_schema(source: Path, copied: Path) -> None:
    try:
        with closing(_open(copied)) as connection:
            revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        revision = None
    if not revision:
        raise FileRefused(f"{source} is no database of Zimun")
    check_revision(revision[0])


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """An empty file that is renamed to `path` at the end, once on disk, or removed on an error."""
    _remove_abandoned(path)
    draft = beside(path, f".partial-{secrets.token_hex(4)}")
    with open(draft, "xb", opener=_for_owner) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield draft
            _sync(draft)
            draft.rename(path)
            _sync(path.parent)
        finally:
            _remove(draft)


def _remove_abandoned(path: Path) -> None:
    """Remove the drafts whose process was killed."""
    for draft in path.parent.glob(f"{glob.escape(path.name)}.partial-*"):
        if re.fullmatch(r".*\.partial-[0-9a-f]{8}", draft.name):
            with suppress(OSError), draft.open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(draft)


def _remove(path: Path) -> None:
    # By the draft itself what was left is found, so it goes last.
    for part in (*(beside(path, suffix) for suffix in COMPANIONS), path):
        part.unlink(missing_ok=True)


def _rename_replaced(path: Path) -> Path | None:
    """Move a database with its companions into a directory; None where there is none."""
    moving = beside(path, ".replaced")
    parts = [path, *(beside(path, suffix) for suffix in COMPANIONS)]
    if not moving.exists() and not any(part.exists() for part in parts):
        return None
    moving.mkdir(mode=0o700, exist_ok=True)
    for part in parts:
        if part.exists():
            part.rename(moving / part.name)
    _sync(moving)
    renamed = beside(path, time.strftime(".replaced-%Y%m%dT%H%M%SZ", time.gmtime()))
    while renamed.exists():
        renamed = beside(renamed, "+")
    return moving.rename(renamed)


def _sync(path: Path) -> None:
    """Flush a file, or the entries of a directory, to disk (fsync)."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
