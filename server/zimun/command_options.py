"""What commands have in common: their options, settings and stores."""

import logging
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import uvloop

from zimun.config import Settings, load
from zimun.domain.text import check_line
from zimun.telemetry import logs

if TYPE_CHECKING:
    from zimun.booking.credentials import CredentialStore
    from zimun.stores import Stores

T = TypeVar("T")

MAX_NAME_LENGTH = 200
"""Characters of a name, as in the API."""


def _name(value: str) -> str:
    """A name as the API takes it."""
    is_long = len(value) > MAX_NAME_LENGTH
    violation = f"must have at most {MAX_NAME_LENGTH} characters" if is_long else check_line(value)
    if violation:
        raise click.BadParameter(violation, param_hint="--name")
    return value


name = click.option("--name", required=True, type=_name, metavar="TEXT", help="what people call it")
data_dir = click.option("--data-dir", type=click.Path(path_type=Path), help="ZIMUN_DATA_DIR")
database = click.option("--database-url", help="ZIMUN_DATABASE_URL")


def load_settings(**given: Any) -> Settings:
    """The settings of the environment and of the options; begins to log."""
    settings = load(os.environ, **given)
    logs.configure(settings.log_level)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # A traceback for each connection that cannot be closed, where the database does not respond.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    return settings


def run(program: Coroutine[Any, Any, T]) -> T:
    """The result of a program, on an event loop of its own."""
    return uvloop.run(program)


def on_stores(work: "Callable[[Stores], Coroutine[Any, Any, T]]", **given: Any) -> T:
    """The result of work on the stores that the options name."""
    from zimun.stores import open_stores

    settings = load_settings(**given)

    async def program() -> T:
        async with open_stores(settings) as stores:
            return await work(stores)

    return run(program())


def on_credentials(work: "Callable[[CredentialStore], Coroutine[Any, Any, T]]", **given: Any) -> T:
    """The result of work on the credentials of the store that the options name."""
    return on_stores(lambda stores: work(stores.credentials), **given)


def real_now() -> int:
    """Credentials live in real time, whatever the booking clock says."""
    return time.time_ns() // 1000
