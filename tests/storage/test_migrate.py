"""Migrations: they make the tables of the code, once, whoever starts first."""

import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL

from zimun.storage.migrate import (
    STEPS,
    SchemaTooNew,
    current_revision,
    migrate,
    newest_revision,
    revisions,
)
from zimun.storage.schema import metadata
from zimun.storage.sqlite import database as sqlite
from zimun.storage.urls import database_url

from .engines import SqliteEngine
from .sample_catalog import ORG, create_salon


@pytest.fixture
def url(tmp_path: Path) -> URL:
    """Of a file that is not there yet."""
    return database_url("", tmp_path)


def file_of(url: URL) -> Path:
    return Path(url.database or "")


def schema(url: URL) -> dict[str, str]:
    """The statements that made what is in the file, apart from their layout."""
    with closing(sqlite3.connect(file_of(url))) as connection:
        found = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type != 'trigger'"
        ).fetchall()
    return {
        name: " ".join(sql.replace("(", " ( ").split())
        for name, sql in found
        if name != "alembic_version"
    }


def test_alembic_finds_no_difference_between_the_migrations_and_the_tables(url: URL) -> None:
    migrate(url)
    engine = sqlite.open_engine(url)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert found == []


def test_the_migrations_make_what_the_tables_would_have_made_to_the_letter(
    url: URL, tmp_path: Path
) -> None:
    migrate(url)
    direct = database_url(f"sqlite:///{tmp_path / 'direct.db'}", tmp_path)
    engine = sqlite.open_engine(direct)
    metadata.create_all(engine)
    engine.dispose()
    migrated, wanted = schema(url), schema(direct)
    assert migrated.keys() == wanted.keys()
    for name, sql in wanted.items():
        # Columns may be worded in another order of clauses; what they say may not differ.
        assert sorted(_clauses(migrated[name])) == sorted(_clauses(sql)), name


def _clauses(sql: str) -> list[str]:
    return [" ".join(sorted(clause.split())) for clause in sql.split(",")]


def test_every_table_of_an_organization_leads_with_its_id() -> None:
    shared = {"clients", "installation", "signing_keys"}
    for table in metadata.sorted_tables:
        first = next(iter(table.primary_key)).name
        assert (first == "org_id") == (table.name not in shared), table.name


def test_revisions_of_the_file_names_are_those_of_alembic_in_its_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(STEPS.parent))
    script = ScriptDirectory.from_config(config)
    assert revisions() == [step.revision for step in script.walk_revisions()][::-1]
    assert newest_revision() == script.get_current_head()


def test_revision_of_an_empty_database_is_none(url: URL) -> None:
    engine = sqlite.open_engine(url)
    with engine.connect() as connection:
        assert current_revision(connection) is None
    migrate(url)
    with engine.connect() as connection:
        assert current_revision(connection) == newest_revision()
    engine.dispose()


async def test_migrating_again_changes_nothing(sqlite_engine: SqliteEngine) -> None:
    async with sqlite_engine.open() as stores:
        await create_salon(stores)
    before, rows = sqlite_engine.path.read_bytes(), sqlite_engine.tables()
    migrate(sqlite_engine.url)
    assert sqlite_engine.path.read_bytes() == before
    assert sqlite_engine.tables() == rows


async def test_migrating_under_an_open_store_disturbs_nobody(sqlite_engine: SqliteEngine) -> None:
    async with sqlite_engine.open() as stores:
        migrate(sqlite_engine.url)
        await create_salon(stores)
        migrate(sqlite_engine.url)
        assert await stores.ledgers.organization_ids() == [ORG]


PROGRAM = """
import multiprocessing, sys
from pathlib import Path
from zimun.storage.sqlite.database import open_engine
from zimun.storage.urls import database_url
from zimun.storage.migrate import migrate

def open_only(url):
    engine = open_engine(url)
    engine.connect().close()
    engine.dispose()

def work(step, barrier, ended):
    for number in range(int(sys.argv[3])):
        directory = Path(sys.argv[2], str(number))
        directory.mkdir(exist_ok=True)
        barrier.wait()
        try:
            step(database_url("", directory))
        except Exception as error:
            ended.put(repr(error))
        else:
            ended.put("well")

step = migrate if sys.argv[1] == "migrate" else open_only
fork = multiprocessing.get_context("fork")
barrier, ended = fork.Barrier(4), fork.Queue()
for _ in range(4):
    fork.Process(target=work, args=(step, barrier, ended)).start()
for _ in range(4 * int(sys.argv[3])):
    print(ended.get())
"""


@pytest.mark.parametrize(("step", "rounds"), [("open", 80), ("migrate", 5)])
def test_processes_that_start_on_one_new_file_at_once_all_succeed(
    tmp_path: Path, step: str, rounds: int
) -> None:
    command = [sys.executable, "-c", PROGRAM, step, str(tmp_path), str(rounds)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stderr == ""
    assert Counter(ended.stdout.splitlines()) == {"well": 4 * rounds}
    if step == "migrate":
        for number in range(rounds):
            url = database_url("", tmp_path / str(number))
            with closing(sqlite3.connect(file_of(url))) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                found = connection.execute("SELECT count(*) FROM alembic_version").fetchone()
            assert found == (1,)
            assert schema(url).keys() >= metadata.tables.keys()


async def test_a_schema_newer_than_the_code_is_refused_and_left_alone(
    sqlite_engine: SqliteEngine,
) -> None:
    async with sqlite_engine.open() as stores:
        await create_salon(stores)
    with closing(sqlite3.connect(sqlite_engine.path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    before = sqlite_engine.tables()
    with pytest.raises(SchemaTooNew, match="9999"):
        migrate(sqlite_engine.url)
    assert sqlite_engine.tables() == before
    with closing(sqlite3.connect(sqlite_engine.path)) as connection:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    assert found == [("9999",)]


def test_a_migration_that_fails_leaves_nothing_of_itself(url: URL) -> None:
    # A table in the way, so that a later step of the first migration cannot be done.
    with closing(sqlite3.connect(file_of(url))) as connection:
        connection.execute("CREATE TABLE staff (mine TEXT)")
    before = schema(url)
    with pytest.raises(Exception, match="already exists"):
        migrate(url)
    assert schema(url) == before
    with closing(sqlite3.connect(file_of(url))) as connection:
        connection.execute("DROP TABLE staff")
    migrate(url)
    assert schema(url).keys() >= metadata.tables.keys()


def test_sqlite_file_has_wal_full_synchronous_and_foreign_keys(sqlite_engine: SqliteEngine) -> None:
    engine = sqlite.open_engine(sqlite_engine.url)
    with engine.connect() as connection:
        found = {
            pragma: connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()
            for pragma in ("journal_mode", "synchronous", "foreign_keys")
        }
    engine.dispose()
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


@pytest.mark.parametrize(
    "text", ["mysql://localhost/zimun", "sqlite://", "sqlite:///:memory:", "no url", "sqlite:"]
)
def test_a_database_that_cannot_be_opened_is_refused_by_name(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"database URL|must be sqlite"):
        database_url(text, tmp_path)
