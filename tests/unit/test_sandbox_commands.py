"""Commands on the database of a sandbox: they have its clock, whatever the machine's is."""

import asyncio
from pathlib import Path
from typing import TypeVar

import pytest
from click.testing import CliRunner

from zimun import app, demo
from zimun.cli import commands
from zimun.clock import WallClock
from zimun.config import Settings
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.instant import DAY, MINUTE, rfc3339
from zimun.stores import open_stores

T = TypeVar("T")

OFFSET = 400 * DAY

FILE = """\
organization: {id: o_demo, name: Salon, time_zone: UTC}
resources:
- {id: r_new, name: Lamp}
"""


@pytest.fixture
def sandbox(tmp_path: Path) -> Settings:
    """The demo of today, more than a year later."""
    settings = Settings(data_dir=tmp_path, grpc_port=0, auth_port=0)

    async def make() -> None:
        async with open_stores(settings) as stores:
            await demo.seed(stores.writer, stores.clock.now())
        async with app.serve(settings, WallClock(OFFSET)):
            pass

    asyncio.run(make())
    return settings


def run(settings: Settings, *command: str) -> str:
    """What a command prints, which must succeed."""
    result = CliRunner().invoke(commands, [*command, "--data-dir", str(settings.data_dir)])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def catalog(settings: Settings, org_id: str) -> Catalog:
    async def read() -> Catalog:
        async with open_stores(settings) as stores:
            return await stores.reader.catalog(org_id)

    return asyncio.run(read())


def is_now(instant: int) -> bool:
    """Whether it is the present of the sandbox."""
    now = WallClock(OFFSET).now()
    return now - MINUTE < instant <= now


def test_an_import_stamps_the_time_of_the_sandbox(sandbox: Settings) -> None:
    file = sandbox.data_dir / "salon.yaml"
    file.write_text(FILE)
    assert run(sandbox, "import", str(file)) == "created 1, changed 1, unchanged 0\n"
    imported = catalog(sandbox, "o_demo")
    made, changed = imported.resources["r_new"], imported.organization
    assert is_now(made.create_time)
    assert is_now(made.update_time)
    assert is_now(changed.update_time)
    assert changed.create_time < changed.update_time


def test_a_new_organization_has_the_time_of_the_sandbox(sandbox: Settings) -> None:
    run(sandbox, "org", "create", "o_new", "--name", "New")
    made = catalog(sandbox, "o_new").organization
    assert is_now(made.create_time)
    assert made.update_time == made.create_time


def test_prune_counts_days_back_from_the_time_of_the_sandbox(sandbox: Settings) -> None:
    assert run(sandbox, "prune", "--older-than", "500") == "pruned 0\n"
    assert run(sandbox, "prune", "--older-than", "300") == "pruned 1\n"


def test_commands_for_credentials_leave_the_clock_alone_and_keep_real_time(
    sandbox: Settings,
) -> None:
    new = ("client", "create", "--org", "o_demo", "--name", "Web", "--id", "c_web")
    for command in (new, ("client", "rotate", "c_web"), ("keys", "rotate"), ("migrate",)):
        run(sandbox, *command)
    before = WallClock().now()
    run(sandbox, "client", "revoke", "c_web")
    years = {rfc3339(instant)[:4] for instant in (before, WallClock().now())}
    [_, state, revoked, *_] = run(sandbox, "client", "list", "--org", "o_demo").split()
    assert state == "revoked"
    assert revoked[:4] in years
    run(sandbox, "org", "create", "o_new", "--name", "New")
    assert is_now(catalog(sandbox, "o_new").organization.create_time)
