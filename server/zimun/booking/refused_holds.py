"""Refusals of holds, kept with a ledger, so that later holds of the same slot need no search."""

from collections.abc import Mapping
from typing import NamedTuple

from zimun.domain.availability.slot_request import SlotRequest
from zimun.domain.booking_errors import SlotUnavailable
from zimun.domain.commands import Hold
from zimun.domain.ledger.ledger import Ledger

MAX_REFUSALS = 32
"""The refusals that are kept of one ledger."""

SlotKey = tuple[SlotRequest, int]
"""What a hold asks for: the request and the start."""


class RefusedHold(NamedTuple):
    """The refusal of a hold: it stays the same until an event, or until time changes it."""

    error: SlotUnavailable
    origin: object
    seq: int
    since: int

    def is_valid(self, ledger: Ledger, now: int) -> bool:
        """Whether a hold of the same slot would be refused with the same error."""
        if self.seq != ledger.seq or self.origin is not ledger.origin:
            return False
        return now == self.since or self.since < now < self.error.stands_until


class RefusedHolds:
    """The refusals of holds at one number of a ledger."""

    def __init__(self) -> None:
        self._refusals: Mapping[SlotKey, RefusedHold] = {}

    def get(self, command: Hold) -> RefusedHold | None:
        """The refusal of a hold of the same slot; it may not be valid any more."""
        return self._refusals.get(slot_key(command)) if self._refusals else None

    def __contains__(self, command: Hold) -> bool:
        return self.get(command) is not None

    def update(self, refusals: Mapping[SlotKey, RefusedHold], ledger: Ledger) -> None:
        """Add refusals, and drop those of other numbers than that of the ledger."""
        if not refusals and not self._refusals:
            return
        everything = {**self._refusals, **refusals}
        current = [item for item in everything.items() if item[1].seq == ledger.seq]
        self._refusals = dict(current[-MAX_REFUSALS:])


def slot_key(command: Hold) -> SlotKey:
    """What a hold asks for."""
    return command.request, command.start
