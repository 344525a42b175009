"""Commands load what they run, and end without a search for garbage: they take less time."""

import subprocess
import sys

import pytest

HEAVY = ("aiohttp", "alembic", "asyncpg", "cryptography", "grpc", "sqlalchemy")
DATABASE = {"asyncpg", "sqlalchemy"}


@pytest.mark.parametrize(
    ("module", "loads"),
    [("cli", set()), ("gateway_settings", set()), ("workers", DATABASE)],
)
def test_module_of_a_command_loads_no_library_that_it_does_not_use(
    module: str, loads: set[str]
) -> None:
    loaded = f"import sys, zimun.{module}; print(*(sys.modules.keys() & {{*{HEAVY}}}))"
    done = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == loads


def test_objects_of_a_command_that_ends_are_exempt_from_the_search_for_garbage() -> None:
    """The interpreter would look through 100,000 of them, several times."""
    ending = """
import atexit, gc, sys
from zimun.cli import main
atexit.register(lambda: print(len(gc.get_objects()) < 1_000))
sys.argv = ["zimun", "--version"]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", ending], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "True"
