"""Which database a URL names."""

import os
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from zimun.domain.text import check_key

URL_FORMATS = "must be sqlite:///PATH or postgresql://USER@HOST:PORT/DATABASE"

MAX_PORT = 65535


def database_url(text: str, data_dir: Path) -> URL:
    """The URL to open: `text`, or the SQLite file in `data_dir` where it is empty.

    Raises ValueError for anything that cannot be opened; it tells nothing of `text`, which may hold
    a password, wherever it is misspelt.
    """
    if not text:
        return _file(str(data_dir / "zimun.db"))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(URL_FORMATS) from None
    parts = (url.username, url.password, url.host, url.database)
    if any(check_key(str(part)) for part in parts if part):
        raise ValueError("has an escaped character that no line of text has")
    name = url.get_backend_name()
    if name in ("postgresql", "postgres"):
        return _server(url)
    if name != "sqlite" or url.host or url.username or not url.database:
        raise ValueError(URL_FORMATS)
    if url.query or url.database == ":memory:" or url.database.startswith("file:"):
        raise ValueError("must be sqlite:///PATH, without parameters")
    return _file(url.database)


def _file(path: str) -> URL:
    """Of what a symbolic link points to: SQLite keeps a file's log beside the file itself."""
    return URL.create("sqlite", database=os.path.realpath(path) if os.path.islink(path) else path)


def _server(url: URL) -> URL:
    if url.port is not None and not 0 < url.port <= MAX_PORT:
        raise ValueError(f"has a port that is not from 1 to {MAX_PORT}")
    if "@" in (url.database or ""):
        # A slash too many: the name would be shown, with the password in it.
        raise ValueError(URL_FORMATS)
    if set(url.query) - {"host", "port"}:
        raise ValueError("has a parameter that is not read: PGSSLMODE and its like are variables")
    return url.set(drivername="postgresql+asyncpg")


def is_postgresql(url: URL) -> bool:
    """Whether it names a database server, which many machines share."""
    return url.get_backend_name() == "postgresql"
