"""Mistakes on the command line end in one line, which quotes no password."""

import subprocess
from pathlib import Path

import pytest

from ..support.processes import BIN, run
from .files import refused, zimun

SECRET = "hunter2"

URLS = [
    f"postgresql//u:{SECRET}@h/db",
    f"sqlite://u:{SECRET}@/x",
    f"sqlite:///x?key={SECRET}",
    f"mysql://u:{SECRET}@h/db",
    f"postgresql://u:{SECRET}@127.0.0.1:1/db",
    f"postgresql://u:{SECRET}@127.0.0.1:99999/db",
    f"postgresql://u:p@127.0.0.1:{SECRET}/db",
    f"postgresql://u:{SECRET}@[h/db",
    f"postgresql://u:p@127.0.0.1:1/db?{SECRET}={SECRET}",
    f"sqlite:///{SECRET}%00",
    f"postgresql://u:{SECRET}%00@127.0.0.1:1/db",
    f"postgresql://u%0a:{SECRET}@127.0.0.1:1/db",
    f"postgresql://127.0.0.1:1/{SECRET}%0d%0aX",
    f"{SECRET}://h/db",
    SECRET,
]


@pytest.mark.parametrize("url", URLS)
def test_a_database_url_that_cannot_be_opened_is_not_repeated(url: str, tmp_path: Path) -> None:
    line = refused("keys", "list", data_dir=tmp_path, ZIMUN_DATABASE_URL=url)
    assert "ZIMUN_DATABASE_URL" in line
    assert SECRET not in line


def test_doctor_does_not_repeat_a_password_that_stands_for_a_database(tmp_path: Path) -> None:
    url = f"postgresql:///u:{SECRET}@127.0.0.1:1/db"
    variables = {"ZIMUN_DATABASE_URL": url, "ZIMUN_DATA_DIR": str(tmp_path)}
    done = run(str(BIN / "zimun"), "doctor", **variables)
    assert "database: ZIMUN_DATABASE_URL: must be" in done.stdout
    assert SECRET not in done.stdout + done.stderr


def complaint(*arguments: str, data_dir: Path) -> str:
    """The last line of a command that must fail without a traceback."""
    done = run(str(BIN / "zimun"), *arguments, "--data-dir", str(data_dir))
    assert done.returncode in (1, 2), done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("client", "rotate", "c_1", "--grace", "9" * 20),
        ("prune", "--older-than", "9" * 20),
        ("prune", "--older-than", "9" * 10),
        ("org", "create", "o_1", "--name", "\udcff"),
        ("client", "revoke", "\udcff"),
        ("up", "--demo", "--now", "9999-12-31T23:59:59-12:00"),
        ("up", "--demo", "--now", "0001-01-01T00:00:00+23:59"),
        ("backup", "/no/such/directory/copy"),
    ],
    ids=lambda arguments: ascii(" ".join(arguments))[:40],
)
def test_impossible_value_is_refused_in_one_line(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    complaint(*arguments, data_dir=tmp_path)


@pytest.mark.parametrize(
    "text", ["[" * 50_000, "a: " + "{b: " * 20_000, "".join("  " * n + "a:\n" for n in range(2000))]
)
def test_deeply_nested_catalogue_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "deep.yaml"
    file.write_text(text)
    line = complaint("import", str(file), data_dir=tmp_path / "data")
    assert line == f"{file}:1: is nested too deeply"


def test_catalogue_without_an_end_is_refused_in_one_line(tmp_path: Path) -> None:
    line = complaint("import", "/dev/zero", data_dir=tmp_path)
    assert line == "/dev/zero:1: must have at most 134217728 bytes"


def test_directory_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    """A file system that is only read, by a limit of the process where root runs the test."""
    zimun("migrate", data_dir=tmp_path)
    for limit in ("ulimit -f 0", "ulimit -f 8; rm zimun.db"):
        command = f"cd {tmp_path}; {limit}; exec {BIN / 'zimun'} keys rotate --data-dir ."
        done = subprocess.run(
            ["sh", "-c", f"trap '' XFSZ; {command}"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1, done.stderr
