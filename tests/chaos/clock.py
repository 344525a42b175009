"""One clock for the servers, the load and the judge, which a fault can move on."""

import mmap
import time
from pathlib import Path


class SharedClock:
    """The machine's clock, moved on as far as 8 bytes of a file say, which all processes map.

    They are read and written as one aligned word, so that no process sees half of a move.
    """

    def __init__(self, path: Path, skew: int = 0) -> None:
        """With `skew` this process reads it so many microseconds later than others do."""
        self.path = path
        self._skew = skew
        with path.open("r+b") as file:
            self._ahead = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")

    @classmethod
    def create(cls, path: Path) -> "SharedClock":
        """A clock in a new file that has not been moved yet."""
        path.write_bytes(bytes(8))
        return cls(path)

    @property
    def ahead(self) -> int:
        """How far it is ahead of the machine's clock, in microseconds."""
        return self._ahead[0]

    def now(self) -> int:
        return time.time_ns() // 1000 + self.ahead + self._skew

    def move_on(self, by: int) -> None:
        """Move it on for all processes at once; never back, so no effect precedes its cause."""
        self._ahead[0] += max(0, by)
