"""Restoring a backup: after a crash, over a remaining log, while a server runs."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from zimun.storage.sqlite import database_file

from ..support.server import Server, Site, starts
from .files import refused, zimun

Serve = Callable[[Site], Server]


@pytest.fixture
def crashed(site: Site, serve: Serve, tmp_path: Path) -> tuple[Path, str, str]:
    """A backup, the hold in it, and the hold made after it before the server was killed."""
    server, times = serve(site).start(), starts()
    before, after = next(times), next(times)
    copy = tmp_path / "copy.db"
    with server.caller() as caller:
        caller.hold(before)
        zimun("backup", str(copy), data_dir=site.data_dir)
        caller.hold(after)
    server.process.kill()
    server.process.wait()
    assert (site.data_dir / "zimun.db-wal").stat().st_size
    return copy, before, after


def test_a_copy_that_is_put_beside_a_log_that_is_left_is_refused(
    crashed: tuple[Path, str, str], site: Site
) -> None:
    shutil.copy(crashed[0], site.data_dir / "zimun.db")
    log = site.data_dir / "zimun.db-wal"
    for command in (("serve", "--grpc-port", "0", "--auth-port", "0"), ("keys", "list")):
        line = refused(*command, data_dir=site.data_dir)
        assert line.startswith(f"{log} is not of ")
        assert "zimun restore" in line


def test_a_log_without_its_database_is_refused(crashed: tuple[Path, str, str], site: Site) -> None:
    (site.data_dir / "zimun.db").unlink()
    line = refused("keys", "list", data_dir=site.data_dir)
    assert "zimun.db is gone" in line
    assert not (site.data_dir / "zimun.db").exists()


def test_a_restore_after_a_crash_serves_the_backup_and_keeps_what_was_there_whole(
    crashed: tuple[Path, str, str], site: Site, serve: Serve
) -> None:
    copy, before, after = crashed
    said = zimun("restore", str(copy), data_dir=site.data_dir)
    aside = Path(said.split()[-1])
    assert {file.name for file in aside.iterdir()} >= {"zimun.db", "zimun.db-wal"}
    free = staff(serve(site).start(), before, after)
    assert (len(free[before]), len(free[after])) == (2, 3)
    # What was set aside can be put back, with what only its log has.
    zimun("restore", str(aside / "zimun.db"), data_dir=site.data_dir)
    free = staff(serve(site).start(), before, after)
    assert (len(free[before]), len(free[after])) == (2, 2)


def staff(server: Server, *times: str) -> dict[str, set[str]]:
    with server.caller() as caller:
        free = {at: caller.free_staff(at) for at in times}
    server.stop()
    return free


def test_no_restore_while_a_server_runs(site: Site, serve: Serve, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    server = serve(site).start()
    zimun("backup", str(copy), data_dir=site.data_dir)
    path = site.data_dir / "zimun.db"
    in_use = f"{path} is in use: stop the server first"
    assert refused("restore", str(copy), data_dir=site.data_dir) == in_use
    with server.caller() as caller:
        caller.hold(next(starts()))
    server.stop()


def test_a_server_does_not_start_while_a_restore_is_under_way(site: Site) -> None:
    path = site.data_dir / "zimun.db"
    with database_file.claim(path, alone=True):
        assert refused("keys", "list", data_dir=site.data_dir) == f"{path} is being restored"


@pytest.mark.parametrize("moment", ["the copy is ready", "the log has been moved", "all has"])
def test_an_interrupted_restore_is_told_and_can_be_repeated(
    moment: str, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, path = tmp_path / "copy.db", site.data_dir / "zimun.db"
    zimun("backup", str(copy), data_dir=site.data_dir)
    (site.data_dir / "zimun.db-wal").touch()
    parts = {file.name for file in site.data_dir.glob("zimun.db*")} - {"zimun.db.lock"}
    left = {"the copy is ready": 1, "the log has been moved": 2, "all has": 3}[moment]
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            database_file.restore(copy, path)
    with pytest.raises(database_file.FileRefused, match="interrupted: run `zimun restore` again"):
        database_file.make(path)
    aside = database_file.restore(copy, path)
    assert aside
    assert {file.name for file in aside.iterdir()} == parts
    database_file.make(path)
    database_file.check(path, thoroughly=True)


def test_file_that_cannot_be_served_is_not_restored(site: Site, tmp_path: Path) -> None:
    path, copy = site.data_dir / "zimun.db", tmp_path / "copy.db"
    before = path.read_bytes()
    zimun("backup", str(copy), data_dir=site.data_dir)
    bad = {"a file that ends early": copy.read_bytes()[:40_000], "no database": b"hello"}
    bad["a damaged page"] = damaged(copy.read_bytes(), 3)
    for name, content in bad.items():
        copy.write_bytes(content)
        with pytest.raises(database_file.FileRefused):
            database_file.restore(copy, path)
        assert path.read_bytes() == before, name
    line = refused("restore", str(tmp_path / "none"), data_dir=site.data_dir)
    assert line == f"there is no database at {tmp_path / 'none'}"
    assert not list(site.data_dir.glob("*partial*"))


def damaged(content: bytes, page: int) -> bytes:
    """A database whose page, counted from 0, has been overwritten."""
    return content[: page * 4096] + b"\xa5" * 4096 + content[(page + 1) * 4096 :]


def test_a_start_on_a_damaged_file_is_refused_in_one_line(site: Site) -> None:
    path = site.data_dir / "zimun.db"
    path.write_bytes(damaged(path.read_bytes(), 3))
    for options in ((), ("--workers", "2")):
        ports = ("--grpc-port", "0", "--auth-port", "0", *options)
        line = refused("serve", *ports, data_dir=site.data_dir)
        assert line.startswith(f"{path} is damaged: ")
        assert line.endswith("`zimun restore` puts a backup in its place")


def test_a_copy_of_a_newer_schema_is_refused(site: Site, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    zimun("backup", str(copy), data_dir=site.data_dir)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    line = refused("restore", str(copy), data_dir=site.data_dir)
    assert line == "the database is at schema 9999, which this Zimun does not know"
    os.remove(copy)
