"""`zimun import` and `zimun export` as programs, beside a server and without one."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from ..support.processes import BIN, environment, run
from ..support.program import Zimun

ZIMUN = str(BIN / "zimun")
EXAMPLE = Path(__file__).parents[2] / "examples" / "catalogue" / "salon.yaml"

ROOM = """\
organization: {id: o_acme, name: Acme, time_zone: UTC}
resources:
- {id: r_room, name: Room}
"""


def zimun(
    data_dir: Path, *arguments: str, stdin: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """Runs a command on a data directory."""
    done = subprocess.run(
        [ZIMUN, *arguments, "--data-dir", str(data_dir)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=environment(),
    )
    assert "Traceback" not in done.stderr
    return done


def output_of(done: "subprocess.CompletedProcess[str]") -> str:
    """What a command printed that must end well, and say nothing else."""
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refused(done: "subprocess.CompletedProcess[str]", status: int = 1) -> list[str]:
    """The lines that a command was refused with."""
    assert (done.returncode, done.stdout) == (status, "")
    return done.stderr.splitlines()


def test_a_file_becomes_a_catalogue_and_the_catalogue_a_file(tmp_path: Path) -> None:
    assert output_of(zimun(tmp_path / "a", "import", str(EXAMPLE))) == (
        "created 19, changed 0, unchanged 0\n"
    )
    text = output_of(zimun(tmp_path / "a", "export"))
    exported = tmp_path / "salon.yaml"
    exported.write_text(text)
    assert output_of(zimun(tmp_path / "b", "import", str(exported))) == (
        "created 19, changed 0, unchanged 0\n"
    )
    assert output_of(zimun(tmp_path / "b", "export")) == text
    exported.write_text(text.replace("name: Haircut", "name: Hair"))
    assert output_of(zimun(tmp_path / "b", "import", str(exported))) == (
        "created 0, changed 1, unchanged 18\n"
    )
    assert "name: Hair\n" in output_of(zimun(tmp_path / "b", "export", "--org", "o_salon"))


def test_import_reads_stdin_for_a_dash(tmp_path: Path) -> None:
    assert (
        output_of(zimun(tmp_path, "import", "-", stdin=ROOM))
        == "created 2, changed 0, unchanged 0\n"
    )
    # Written in UTF-8, whatever the terminal.
    named = ROOM.replace("Room", "Räume 🐎")
    output_of(zimun(tmp_path, "import", "-", stdin=named))
    done = run(ZIMUN, "export", "--data-dir", str(tmp_path), PYTHONIOENCODING="ascii")
    assert yaml.safe_load(output_of(done))["resources"] == [{"id": "r_room", "name": "Räume 🐎"}]
    assert refused(zimun(tmp_path, "import", "-", stdin="a: [")) == [
        "<stdin>:1: is not YAML: expected the node content, but found '<stream end>'"
    ]


def test_every_error_is_told_with_its_line_and_then_nothing_is_changed(tmp_path: Path) -> None:
    data_dir, file = tmp_path / "data", tmp_path / "acme.yaml"
    output_of(zimun(data_dir, "import", "-", stdin=ROOM))
    before = output_of(zimun(data_dir, "export"))
    file.write_text(
        ROOM + "- {id: r_more, name: More}\n- {id: room, name: A, size: 3}\nrooms: []\n"
    )
    assert refused(zimun(data_dir, "import", str(file))) == [
        f"{file}:5: resources[2].size: is not a field that a Resource has in a file",
        f"{file}:5: resources[2].id: must be r_ and 1 to 62 characters of A-Z, a-z, 0-9, _ and -",
        f"{file}:6: rooms: is none of organization, locations, staff, resources, services,"
        " overrides, time_off",
    ]
    assert output_of(zimun(data_dir, "export")) == before


def test_a_file_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    lines = refused(zimun(tmp_path, "import", str(tmp_path / "none.yaml")), 2)
    assert "none.yaml" in lines[-1]


def test_export_needs_the_organization_named_unless_there_is_exactly_one(tmp_path: Path) -> None:
    assert "there are 0 organizations" in refused(zimun(tmp_path, "export"), 2)[-1]
    output_of(zimun(tmp_path, "org", "create", "o_one", "--name", "One"))
    assert output_of(zimun(tmp_path, "export")) == (
        "organization:\n  id: o_one\n  name: One\n  time_zone: UTC\n"
    )
    output_of(zimun(tmp_path, "org", "create", "o_two", "--name", "Two"))
    assert "there are 2 organizations" in refused(zimun(tmp_path, "export"), 2)[-1]
    assert "no organization o_six" in refused(zimun(tmp_path, "export", "--org", "o_six"), 2)[-1]

    rooms = "resources: [{id: r_room, name: Room}]"
    assert refused(zimun(tmp_path, "import", "-", stdin=rooms)) == [
        "<stdin>:1: organization.id: is required, here or as --org"
    ]
    output_of(zimun(tmp_path, "import", "-", "--org", "o_two", stdin=rooms))
    assert "r_room" in output_of(zimun(tmp_path, "export", "--org", "o_two"))
    assert "r_room" not in output_of(zimun(tmp_path, "export", "--org", "o_one"))


SERVICE = """\
services:
- id: s_{name}
  name: {name}
  duration: 30m
  staff_ids: [t_ada]
"""


@pytest.fixture
def own_program(new_program: Callable[..., Zimun]) -> Zimun:
    """A server with a catalogue of its own."""
    started: Zimun = new_program().start()
    return started


def test_a_running_server_sees_a_loaded_catalogue_with_the_next_request(
    own_program: Zimun, tmp_path: Path
) -> None:
    before = own_program.get_json("/api/v1/services")["items"]
    day = "2025-12-01"
    assert own_program.slots(day, "s_123")
    text = (
        SERVICE.format(name="new")
        + f"overrides: [{{owner_id: o_demo, date: {day}, status: CLOSED}}]"
    )
    file = tmp_path / "more.yaml"
    file.write_text(text)
    assert own_program.cli("import", str(file), "--org", "o_demo") == (
        "created 2, changed 0, unchanged 0\n"
    )
    after = own_program.get_json("/api/v1/services")["items"]
    assert [one["id"] for one in after] == [*(one["id"] for one in before), "s_new"]
    assert own_program.slots("2025-12-02", "s_new")
    # `l_main` has no hours of its own: it is closed as its organization is.
    assert own_program.slots(day, "s_new") == {}


def test_a_running_server_s_catalogue_goes_through_a_file_unchanged(
    own_program: Zimun, tmp_path: Path
) -> None:
    file = tmp_path / "demo.yaml"
    file.write_text(own_program.cli("export"))
    before = own_program.get_json("/api/v1/services")
    etag = own_program.get_json("/api/v1/organization")["etag"]
    assert own_program.cli("import", str(file)) == "created 0, changed 0, unchanged 11\n"
    assert own_program.get_json("/api/v1/services") == before
    assert own_program.get_json("/api/v1/organization")["etag"] == etag


def test_an_organization_that_makes_no_sense_is_not_made(tmp_path: Path) -> None:
    for wrong in (("acme",), ("o_",), ("o_a b",), ("o_acme", "--time-zone", "Mars/Olympus")):
        refused(zimun(tmp_path, "org", "create", *wrong, "--name", "Acme"))
    assert "there are 0 organizations" in refused(zimun(tmp_path, "export"), 2)[-1]
