"""The only reader of the wall clock for booking decisions."""

import time
from typing import Protocol

from zimun.domain.instant import SECOND


class Clock(Protocol):
    """Tells the time of bookings."""

    def now(self) -> int:
        """The current instant, in microseconds."""


class WallClock:
    """The machine's clock, shifted by `offset` microseconds (0 outside the sandbox)."""

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset

    @classmethod
    def starting_at(cls, instant: int) -> "WallClock":
        """A sandbox clock that reads `instant` now and runs on from there."""
        return cls(instant - time.time_ns() // 1000)

    def now(self) -> int:
        """The present instant in microseconds."""
        return time.time_ns() // 1000 + self.offset


class ManualClock:
    """A clock that stands still until it is moved, for tests."""

    def __init__(self, instant: int) -> None:
        self.instant = instant

    def now(self) -> int:
        """The present instant in microseconds."""
        return self.instant

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`."""
        self.instant += round(seconds * SECOND)
