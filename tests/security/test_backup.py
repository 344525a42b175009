"""A backup has its name only once it is complete, even if the command is killed."""

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ..support.processes import BIN, environment, until
from ..support.server import Site
from .files import refused, zimun


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Lock the database exclusively, so that no other connection can read it."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        yield


def test_a_killed_backup_leaves_no_file_under_its_name_and_the_next_one_cleans_up(
    site: Site, tmp_path: Path
) -> None:
    copy = tmp_path / "copy[1].db"
    command = [str(BIN / "zimun"), "backup", str(copy), "--data-dir", str(site.data_dir)]
    with locked(site.data_dir / "zimun.db"):
        backup = subprocess.Popen(command, env=environment())
        until("the copy to begin", lambda: list(tmp_path.glob("copy*")), 20)
        backup.kill()
        backup.wait()
    assert not copy.exists()
    zimun("backup", str(copy), data_dir=site.data_dir)
    assert list(tmp_path.glob("copy*")) == [copy]
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_two_backups_to_one_name_do_not_disturb_each_other(site: Site, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    command = [str(BIN / "zimun"), "backup", str(copy), "--data-dir", str(site.data_dir)]
    with locked(site.data_dir / "zimun.db"):
        backups = [subprocess.Popen(command, env=environment()) for _ in range(2)]
        until("both to begin", lambda: len(list(tmp_path.glob("copy*"))) == 2, 20)
    assert [backup.wait(20) for backup in backups] == [0, 0]
    assert list(tmp_path.glob("copy*")) == [copy]


def test_what_is_no_database_is_not_backed_up(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    copy = tmp_path / "copy.db"
    path = nothing / "zimun.db"
    assert refused("backup", str(copy), data_dir=nothing) == f"there is no database at {path}"
    for content, reason in ((b"", "is no database of Zimun"), (b"hello", "not a database")):
        path.write_bytes(content)
        assert reason in refused("backup", str(copy), data_dir=nothing)
    assert not copy.exists()
