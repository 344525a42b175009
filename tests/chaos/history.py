"""What was asked and what was answered: one entry for each attempt, on one clock for all.

The clock is the run's (`clock`), in microseconds, by which the servers decide, too.
"""

import json
from collections.abc import Mapping
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

CONTACT_CALLS = ("ExportContact", "EraseContact")
"""What is asked about a contact: neither takes an Idempotency-Key, and each attempt is one."""

CATALOG_CHANGE = "UpdateResource"
"""The method that changes what nothing depends on: names of rooms."""

TIME_OFF_CHANGES = ("CreateTimeOff", "DeleteTimeOff")

OUTCOME_CHANGES = ("CompleteAppointment", "MarkNoShow", "ReopenAppointment")

CATALOG_CHANGES = (CATALOG_CHANGE, *TIME_OFF_CHANGES)
"""The methods that change the catalogue; all other changes are of reservations."""


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


Row = dict[str, Any]
Tables = Mapping[str, list[Row]]


@dataclass
class Record:
    """All that the judge is given: what was asked and answered, and the store as it was in the end,
    read at an instant.

    `skew` is by how many microseconds a server's clock may be ahead of the clock of the attempts.
    """

    attempts: list[Attempt]
    tables: Tables
    read_at: int
    skew: int = 0

    def save(self, directory: Path) -> None:
        """Write it into a directory."""
        with (directory / "history.jsonl").open("w") as file:
            file.writelines(json.dumps(asdict(attempt)) + "\n" for attempt in self.attempts)
        with (directory / "store.json").open("w") as file:
            json.dump({"read_at": self.read_at, "skew": self.skew, "tables": self.tables}, file)

    @classmethod
    def read(cls, directory: Path) -> "Record":
        """What `save` wrote."""
        with (directory / "history.jsonl").open() as file:
            attempts = [Attempt(**json.loads(line)) for line in file]
        with (directory / "store.json").open() as file:
            return cls(attempts, **json.load(file))
