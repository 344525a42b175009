"""The files of the embedded store, and commands on them."""

import stat
from pathlib import Path

from ..support.processes import BIN, run


def zimun(*arguments: str, data_dir: Path, **env: str) -> str:
    """Run a command that must succeed; its output."""
    done = run(str(BIN / "zimun"), *arguments, "--data-dir", str(data_dir), **env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(*arguments: str, data_dir: Path, **env: str) -> str:
    """Run a command that must fail with one line on standard error; that line."""
    done = run(str(BIN / "zimun"), *arguments, "--data-dir", str(data_dir), **env)
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    [line] = done.stderr.splitlines()
    assert line.startswith("zimun: "), line
    return line.removeprefix("zimun: ")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
