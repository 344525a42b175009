"""The size of Envoy's log files is limited, and they are emptied where the disk is nearly full.

A log that is long enough is renamed to `access.log.1`, and so on, and Envoy opens a new one. Where
less of the disk is free than its reserve, the logs are emptied: bookings need the space.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

MAX_RENAMED = 3
"""Renamed logs beside an access log; the oldest is deleted for the next one."""

INTERVAL = 0.5
"""Seconds between two checks of the files; a log grows by one or two megabytes meanwhile."""


@dataclass(frozen=True, slots=True)
class LogFiles:
    """The access log, and what Envoy writes to standard error; sizes are bytes."""

    access: Path
    errors: Path
    max_bytes: int
    disk_reserve: int

    def enforce_limits(self) -> bool:
        """Rotate or empty files that are too long; whether Envoy must reopen its access log."""
        if _size(self.errors) > self.max_bytes or self._disk_is_full():
            _empty(self.errors)
        if self._disk_is_full():
            self._empty_all()
        elif _size(self.access) > self.max_bytes:
            self._rotate()
            return True
        return False

    def _disk_is_full(self) -> bool:
        return shutil.disk_usage(self.errors.parent).free < self.disk_reserve

    def _empty_all(self) -> None:
        # What cannot be removed stays; the log that grows is not kept for its sake.
        _empty(self.access)
        for number in range(1, MAX_RENAMED + 1):
            self._renamed(number).unlink(missing_ok=True)

    def _rotate(self) -> None:
        for number in range(MAX_RENAMED - 1, 0, -1):
            if self._renamed(number).exists():
                self._renamed(number).replace(self._renamed(number + 1))
        self.access.replace(self._renamed(1))

    def _renamed(self, number: int) -> Path:
        return self.access.with_name(f"{self.access.name}.{number}")


def _size(file: Path) -> int:
    """The size of a file; 0 for a terminal, /dev/null and the like."""
    return file.stat().st_size if file.is_file() else 0


def _empty(file: Path) -> None:
    """Truncate a file; its writer appends, so the next line is the first."""
    if file.is_file():
        with file.open("r+b") as opened:
            opened.truncate()
