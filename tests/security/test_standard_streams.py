"""A command does its work where standard streams are closed or cannot show a name."""

import subprocess
from pathlib import Path

import pytest

from ..support.processes import BIN, environment
from .files import zimun


@pytest.mark.parametrize("streams", ["<&-", ">&-", "<&- >&- 2>&-"])
def test_a_command_works_where_streams_are_closed(streams: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", str(BIN / "zimun"), "keys", "list"],
        capture_output=True,
        text=True,
        check=False,
        env=environment(ZIMUN_DATA_DIR=str(tmp_path)),
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_name_that_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    zimun("org", "create", "o_1", "--name", "One", data_dir=tmp_path)
    zimun("client", "create", "--org", "o_1", "--name", "Zo \U0001f9a9", data_dir=tmp_path)
    listed = zimun("client", "list", "--org", "o_1", data_dir=tmp_path, PYTHONIOENCODING="latin-1")
    assert listed.endswith("Zo \\U0001f9a9\n")
