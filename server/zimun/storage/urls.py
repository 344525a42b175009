"""Which database a URL names."""

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError


def database_url(text: str, data_dir: Path) -> URL:
    """The URL to open: `text`, or the SQLite file in `data_dir` where it is empty.

    Raises ValueError for anything that cannot be opened.
    """
    if not text:
        return URL.create("sqlite", database=str(data_dir / "zimun.db"))
    try:
        url = make_url(text)
    except ArgumentError as error:
        # What is malformed may hold a password anywhere.
        raise ValueError("is not a database URL") from error
    name = url.get_backend_name()
    if name in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+asyncpg")
    if name != "sqlite" or not url.database or url.database == ":memory:":
        shown = url.render_as_string()
        raise ValueError(f"{shown!r}: must be sqlite:///PATH or postgresql://HOST/DATABASE")
    return url


def is_postgresql(url: URL) -> bool:
    """Whether it names a database server, which many machines share."""
    return url.get_backend_name() == "postgresql"
