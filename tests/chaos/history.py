"""What was asked and what was answered: one record for each attempt, on one clock for all.

The clock is the run's (`clock`), in microseconds, by which the servers decide, too.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

OK = "ok"
REFUSED = "refused"
NOTHING = "nothing"
"""The server says that nothing was done (OVERLOADED): a promise, and checked as one."""
UNKNOWN = "unknown"
"""No answer, or one that leaves it open: timed out, connection lost."""

READS = ("GetAppointment", "ListAppointments", "GetAvailability")
"""The methods that change nothing; all others take an Idempotency-Key."""


@dataclass
class Attempt:
    """One call: who asked what under which key, from when to when, and what came of it."""

    org: str
    client: str
    method: str
    key: str
    request: dict[str, Any]
    sent: int
    answered: int
    outcome: str
    answer: dict[str, Any] = field(default_factory=dict)
    raw: str = ""
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    message: str = ""

    @property
    def name(self) -> str:
        """How a violation names it."""
        return f"{self.method} {self.request} of {self.client} (key {self.key})"


def save(path: Path, attempts: Iterable[Attempt]) -> None:
    """Write a history as JSON lines."""
    with path.open("w") as file:
        file.writelines(json.dumps(asdict(attempt)) + "\n" for attempt in attempts)


def read(path: Path) -> list[Attempt]:
    """The history that `save` wrote."""
    with path.open() as file:
        return [Attempt(**json.loads(line)) for line in file]
