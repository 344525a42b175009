"""Refusals of holds that are kept: callers who ask for one slot at once share one search."""

from collections.abc import Mapping
from typing import NamedTuple

from zimun.domain.availability.slot_request import SlotRequest
from zimun.domain.booking_errors import SlotUnavailable
from zimun.domain.commands import Hold

MAX_REFUSALS = 32
"""The refusals that are kept of one ledger."""

REFUSAL_ROWS = 4
"""About how many rows of memory a refusal takes, with its alternatives."""

SlotKey = tuple[SlotRequest, int]
"""What a hold asks for: the request and the start."""


class RefusedHold(NamedTuple):
    """The refusal of a hold: it stays the same until an event, or until time changes it."""

    error: SlotUnavailable
    since: int

    def is_valid(self, now: int) -> bool:
        """Whether a hold of the same slot would be refused with the same error."""
        return now == self.since or self.since < now < self.error.stands_until


class RefusedHolds:
    """The refusals of holds at the number of the ledger in memory."""

    def __init__(self) -> None:
        self._refusals: Mapping[SlotKey, RefusedHold] = {}

    @property
    def rows(self) -> int:
        """About how many rows of memory they take."""
        return REFUSAL_ROWS * len(self._refusals)

    def get(self, command: Hold) -> RefusedHold | None:
        """The refusal of a hold of the same slot; time may have changed it."""
        return self._refusals.get(slot_key(command)) if self._refusals else None

    def __contains__(self, command: Hold) -> bool:
        return self.get(command) is not None

    def update(self, refusals: Mapping[SlotKey, RefusedHold]) -> None:
        """Add refusals; of too many the latest are kept."""
        if refusals:
            everything = {**self._refusals, **refusals}
            self._refusals = dict([*everything.items()][-MAX_REFUSALS:])

    def clear(self) -> None:
        """Forget all of them: the ledger has another number, or is not in memory any more."""
        self._refusals = {}


def slot_key(command: Hold) -> SlotKey:
    """What a hold asks for."""
    return command.request, command.start
