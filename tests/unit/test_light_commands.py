"""Commands load what they run: those that start no server, or another process, start sooner."""

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
