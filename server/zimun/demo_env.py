"""`demo.env`: how to reach the demo, in the data directory while the demo can be reached.

`zimun up` claims the directory and moves an earlier file away before it loads the server, which
takes most of a second. This module imports the standard library alone.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


class DirectoryInUse(Exception):
    """Another `zimun up` runs on the data directory."""


class DemoEnv:
    """The file; `earlier` are the variables of the one that was written last and not removed.

    They are kept in `demo.env.earlier` until others are written, as a start may fail before.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._kept = path, path.with_name(f"{path.name}.earlier")
        if path.exists():
            path.replace(self._kept)
        self.earlier = self._read()

    def _read(self) -> Mapping[str, str]:
        if not self._kept.exists():
            return {}
        lines = self._kept.read_text(errors="replace").splitlines()
        pairs = (line.partition("=") for line in lines if "=" in line)
        return {key: value for key, _, value in pairs}

    def write(self, variables: Mapping[str, str]) -> None:
        """Appears whole or not at all, readable by its owner alone."""
        draft = self._path.with_suffix(f".{secrets.token_hex(4)}")
        content = "".join(f"{key}={value}\n" for key, value in variables.items())
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(content)
        draft.replace(self._path)
        self._kept.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the file, if there is one."""
        self._path.unlink(missing_ok=True)


@contextmanager
def claim(directory: Path) -> Iterator[DemoEnv]:
    """Lock a data directory for this program, which alone writes demo.env and Envoy's files there.

    The lock ends with the program, however it ends. Raises DirectoryInUse.
    """
    with (directory / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DirectoryInUse(f"another `zimun up` runs on {directory}") from error
        yield DemoEnv(directory / "demo.env")
