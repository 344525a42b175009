"""Envoy's log files are bounded, and give way where the disk is nearly full.

A log that is long enough is renamed to `access.log.1`, and so on, and Envoy opens a new one. Where
less of the disk is free than its reserve, the logs are emptied: bookings need the space.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

KEPT = 3
"""Renamed logs of an access log; the oldest is deleted for the next one."""

INTERVAL = 0.5
"""Seconds between two looks at the files; at its rate of lines a log grows by a megabyte or two."""


@dataclass(frozen=True, slots=True)
class LogFiles:
    """The access log, and what Envoy writes to standard error; sizes are bytes."""

    access: Path
    errors: Path
    max_bytes: int
    disk_reserve: int

    def look(self) -> bool:
        """Keep the bounds; whether Envoy has to open its access log anew."""
        if _size(self.errors) > self.max_bytes or self._disk_is_full():
            _empty(self.errors)
        if self._disk_is_full():
            self._give_way()
        elif _size(self.access) > self.max_bytes:
            self._rotate()
            return True
        return False

    def _disk_is_full(self) -> bool:
        return shutil.disk_usage(self.errors.parent).free < self.disk_reserve

    def _give_way(self) -> None:
        for number in range(1, KEPT + 1):
            self._renamed(number).unlink(missing_ok=True)
        _empty(self.access)

    def _rotate(self) -> None:
        for number in range(KEPT - 1, 0, -1):
            if self._renamed(number).exists():
                self._renamed(number).replace(self._renamed(number + 1))
        self.access.replace(self._renamed(1))

    def _renamed(self, number: int) -> Path:
        return self.access.with_name(f"{self.access.name}.{number}")


def _size(file: Path) -> int:
    """0 for what is no file, such as a terminal or /dev/null."""
    return file.stat().st_size if file.is_file() else 0


def _empty(file: Path) -> None:
    """What writes it appends, so the next line is its first."""
    if file.is_file():
        with file.open("r+b") as opened:
            opened.truncate()
