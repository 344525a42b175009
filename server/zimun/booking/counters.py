"""Counters of reading and writing ledgers, as plain numbers."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from zimun.domain.ledger.events import Event, EventType
from zimun.histogram import Histogram

GROUP_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(slots=True)
class Counters:
    """The counters of one process, since it started.

    `moved` counts parts of groups that are decided again, as another server has moved the head
    of the ledger; `conflicts` groups that a constraint of the store refused; `catch_ups` reads
    with events of other servers; `events` the events committed here, by type.
    """

    group_sizes: Histogram = field(default_factory=lambda: Histogram(GROUP_SIZES))
    moved: int = 0
    conflicts: int = 0
    catch_ups: int = 0
    events: Counter[EventType] = field(default_factory=Counter)

    def count_events(self, events: Iterable[Event]) -> None:
        """Count events that have been committed."""
        for event in events:
            self.events[event.type] += 1
