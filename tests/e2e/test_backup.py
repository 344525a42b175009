"""Copies that are made while the service goes on, and that can be served again."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ..support.postgres import BIN, shared
from ..support.processes import environment, run
from ..support.program import Zimun, closed_after

TIME = "2025-12-01T10:00:00Z"
LATER = "2025-12-04T09:00:00Z"
LATER_TIME = "2025-12-05T10:00:00Z"


@pytest.mark.about_the_file
def test_a_backup_of_the_running_embedded_store_serves_what_it_held(
    new_program: Callable[..., Zimun],
) -> None:
    zimun, restored = new_program().start(), new_program()
    booked = zimun.book(TIME)
    restored.data_dir.mkdir()
    zimun.cli("backup", str(restored.data_dir / "zimun.db"))
    later = zimun.book("2025-12-01T11:00:00Z")
    restored.start()
    assert restored.appointment(booked["appointment_id"]) == booked
    gone = restored.get(f"/api/v1/appointments/{later['appointment_id']}")
    assert gone.status_code == 404
    assert booked["staff_id"] not in restored.free_staff(TIME)


@pytest.mark.about_the_file
def test_a_backup_overwrites_nothing(zimun: Zimun, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_text("precious")
    command = Path(zimun.process.args[0])  # type: ignore[index,arg-type]
    done = run(str(command), "backup", str(copy), "--data-dir", str(zimun.data_dir))
    assert (done.returncode, done.stderr) == (1, f"zimun: {copy} exists already\n")
    assert copy.read_text() == "precious"


def test_a_dump_of_the_running_server_restores_into_an_empty_database(
    tmp_path: Path,
) -> None:
    server, _ = shared()
    urls = [server.url(server.create()) for _ in range(2)]
    full, empty = (
        Zimun(tmp_path / f"data{n}", ZIMUN_DATABASE_URL=url) for n, url in enumerate(urls)
    )
    with closed_after(full), closed_after(empty):
        zimun = full.start()
        booked = zimun.book(TIME)
        dump = str(tmp_path / "zimun.dump")
        for command in (
            ["pg_dump", "--format=custom", f"--file={dump}", urls[0]],
            ["pg_restore", "--no-owner", f"--dbname={urls[1]}", dump],
        ):
            subprocess.run([str(BIN / command[0]), *command[1:]], check=True, env=environment())
        zimun.stop()
        restored = empty.start()
        assert restored.appointment(booked["appointment_id"]) == booked
        assert booked["staff_id"] not in restored.free_staff(TIME)
        restored.stop()


def test_pruning_takes_what_is_over_and_leaves_the_rest(new_program: Callable[..., Zimun]) -> None:
    """What is over by the clock of the sandbox, which is not the machine's."""
    zimun = new_program().start()
    old = zimun.book(TIME)
    assert zimun.cli("prune", "--older-than", "1").startswith("pruned ")
    assert zimun.appointment(old["appointment_id"]) == old
    zimun.stop()
    zimun.start(LATER)
    assert zimun.cli("prune", "--older-than", "1").startswith("pruned ")
    gone = zimun.get(f"/api/v1/appointments/{old['appointment_id']}")
    assert gone.status_code == 404
    assert zimun.free_staff(LATER_TIME) == {"t_ada", "t_ben", "t_chloe"}
