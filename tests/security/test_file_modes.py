"""Files of the data directory have mode 0600, whatever the mode of the directory."""

from collections.abc import Callable
from pathlib import Path

from ..support.program import Zimun, closed_after
from ..support.server import Server, Site
from .files import mode, zimun


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def test_a_program_in_an_open_directory_writes_files_for_its_owner_alone(tmp_path: Path) -> None:
    with closed_after(Zimun(tmp_path / "open" / "data")) as program:
        program.data_dir.mkdir(mode=0o755, parents=True)
        program.start()
        program.get_json("/api/v1/services")
        program.cli("backup", str(program.data_dir / "copy.db"))
        modes = {path.name: mode(path) for path in files(program.data_dir)}
        program.stop()
    assert {"zimun.db", "zimun.db-wal", "zimun.db-shm", "copy.db", "demo.env"} <= set(modes)
    assert {name: found for name, found in modes.items() if found & 0o077} == {}


def test_a_database_in_another_place_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    url = f"sqlite:///{path}"
    zimun("migrate", data_dir=tmp_path / "data", ZIMUN_DATABASE_URL=url)
    assert mode(path) == 0o600


def test_a_start_warns_of_files_that_others_can_read_and_how_to_mend_it(
    site: Site, serve: Callable[[Site], Server]
) -> None:
    path = site.data_dir / "zimun.db"
    path.chmod(0o644)
    server = serve(site).start()
    server.stop()
    [warning] = [line for line in server.output().splitlines() if "WARNING" in line]
    assert warning.endswith(f"others can read the keys that sign tokens: chmod go= {path}")
    path.chmod(0o600)
    server = serve(site).start()
    server.stop()
    assert "WARNING" not in server.output()
