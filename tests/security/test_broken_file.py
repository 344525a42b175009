"""A database file that is removed, replaced or damaged while a server has it open."""

import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ..support.processes import until
from ..support.server import Caller, Server, Site, outcome, starts
from .files import refused

REFUSED = ("UNAVAILABLE", "OVERLOADED")
APPOINTMENTS = "zimun.v1.AppointmentsService"

Serve = Callable[[Site], Server]


def removed(database: Path) -> None:
    shutil.rmtree(database.parent)


def removed_alone(database: Path) -> None:
    database.unlink()


def without_log(database: Path) -> None:
    database.with_name("zimun.db-wal").unlink()


def replaced(database: Path) -> None:
    """By a copy, as `cp` and `mv` do."""
    shutil.copy(database, database.with_name("copy"))
    database.with_name("copy").replace(database)


REPLACED = [removed, removed_alone, without_log, replaced]


def overwritten(database: Path) -> None:
    """In place, every page of it."""
    with database.open("r+b") as file:
        file.write(b"\xa5" * database.stat().st_size)
    cut(database.with_name("zimun.db-wal"))


def zeroed(database: Path) -> None:
    with database.open("r+b") as file:
        file.write(bytes(database.stat().st_size))
    cut(database.with_name("zimun.db-wal"))


def cut(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(0)


def log_cut(database: Path) -> None:
    """What SQLite would go on to write is lost at the next start."""
    cut(database.with_name("zimun.db-wal"))


def log_cut_in_the_middle(database: Path) -> None:
    log = database.with_name("zimun.db-wal")
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size // 2)


DAMAGED = [overwritten, zeroed, cut]


def log_header_zeroed(database: Path) -> None:
    overwrite_log(database, 0, bytes(32))


def log_salt_changed(database: Path) -> None:
    overwrite_log(database, 16, b"\xa5\x5a")


def overwrite_log(database: Path, position: int, data: bytes) -> None:
    """In place: SQLite would go on to write, and the next start ignore all of it."""
    with database.with_name("zimun.db-wal").open("r+b") as log:
        log.seek(position)
        log.write(data)


LOG_DAMAGED = [log_cut, log_cut_in_the_middle, log_header_zeroed, log_salt_changed]


@pytest.mark.parametrize("lose", REPLACED)
def test_changes_are_refused_where_the_file_was_removed_or_replaced(
    lose: Callable[[Path], None], site: Site, serve: Serve, tmp_path: Path
) -> None:
    server, times = serve(site).start(), starts()
    with server.caller() as caller:
        caller.hold(next(times))
        lose(site.data_dir / "zimun.db")
        assert outcome(caller.begin_hold(next(times))) == REFUSED
        is_told(caller)


def is_told(caller: Caller) -> None:
    """Assert that calls are refused, and that health is NOT_SERVING."""
    until("NOT_SERVING", lambda: caller.health() == "NOT_SERVING")
    assert caller.health(APPOINTMENTS) == "NOT_SERVING"
    at = next(starts())
    assert outcome(caller.begin_hold(at)) == REFUSED


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_reported_and_a_start_on_it_is_refused(
    damage: Callable[[Path], None], site: Site, serve: Serve
) -> None:
    server, times = serve(site).start(), starts()
    path = site.data_dir / "zimun.db"
    with server.caller() as caller:
        # Their pages are in the memory of the server's connections.
        for _ in range(12):
            caller.hold(next(times))
        damage(path)
        for _ in range(3):
            assert outcome(caller.begin_hold(next(times))) == REFUSED
        is_told(caller)
    assert "Traceback" not in server.output()
    errors = [line for line in server.output().splitlines() if "ERROR" in line]
    assert len(errors) <= 3, errors
    server.process.kill()
    server.process.wait()
    line = refused("serve", "--grpc-port", "0", "--auth-port", "0", data_dir=site.data_dir)
    assert str(path) in line


@pytest.mark.parametrize("damage", LOG_DAMAGED)
def test_nothing_is_written_to_a_damaged_log(
    damage: Callable[[Path], None], site: Site, serve: Serve
) -> None:
    server, times = serve(site).start(), starts()
    with server.caller() as caller:
        for _ in range(4):
            caller.hold(next(times))
        damage(site.data_dir / "zimun.db")
        for _ in range(3):
            assert outcome(caller.begin_hold(next(times))) == REFUSED
        is_told(caller)
    assert "Traceback" not in server.output()


def test_the_log_of_a_file_behind_a_symbolic_link_is_checked(site: Site, serve: Serve) -> None:
    link, file = site.data_dir / "zimun.db", site.data_dir.with_name("elsewhere")
    link.rename(file)
    link.symlink_to(file)
    server, times = serve(site).start(), starts()
    with server.caller() as caller:
        caller.hold(next(times))
        cut(file.with_name("elsewhere-wal"))
        assert outcome(caller.begin_hold(next(times))) == REFUSED
        is_told(caller)


def test_a_checkpoint_by_another_program_is_no_damage(site: Site, serve: Serve) -> None:
    server, times = serve(site).start(), starts()
    with server.caller() as caller, closing(sqlite3.connect(site.data_dir / "zimun.db")) as other:
        for _ in range(3):
            caller.hold(next(times))
            [(is_busy, *_)] = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            assert not is_busy
            assert not (site.data_dir / "zimun.db-wal").stat().st_size
        assert outcome(caller.begin_hold(next(times))) == ("OK", "")
        assert caller.health() == "SERVING"
    server.stop()


def test_a_directory_that_was_moved_and_comes_back_is_served_again(
    site: Site, serve: Serve
) -> None:
    server, times = serve(site).start(), starts()
    moved = site.data_dir.with_name("moved")
    with server.caller() as caller:
        site.data_dir.rename(moved)
        assert outcome(caller.begin_hold(next(times))) == REFUSED
        is_told(caller)
        moved.rename(site.data_dir)
        until("SERVING", lambda: caller.health() == "SERVING")
        assert outcome(caller.begin_hold(next(times))) == ("OK", "")


def test_the_index_of_the_log_that_is_cut_ends_the_server_and_loses_nothing(
    site: Site, serve: Serve
) -> None:
    """SQLite maps it into memory: the kernel ends the process at the next access (SIGBUS)."""
    server, times = serve(site).start(), starts()
    with server.caller() as caller:
        acknowledged = {caller.hold(next(times)).hold_id for _ in range(4)}
        cut(site.data_dir / "zimun.db-shm")
    assert server.process.wait(20) == -signal.SIGBUS
    server.start()
    with server.caller() as caller:
        caller.hold(next(times))
    server.stop()
    with closing(sqlite3.connect(site.data_dir / "zimun.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        kept = {hold_id for (hold_id,) in database.execute("SELECT hold_id FROM reservations")}
    assert acknowledged <= kept
