"""The limit of the calls of one kind that wait: as many as are served in MAX_WAIT."""

from zimun.booking.quota import Quota

MAX_WAIT = 0.5
"""Seconds, about, that an accepted call may wait in its queue."""

MIN_QUEUE_LENGTH = 8
"""The least number of places in a queue, however long its calls take."""

_WEIGHT = 1 / 32
"""The weight of the latest call in the average cost of its kind (exponential moving average)."""


class CallQuota(Quota):
    """Counts the waiting calls of one kind, and limits them in all and for each organization.

    Of long calls it counts those that are under way. `cost` is the average seconds of a call.
    """

    def __init__(self) -> None:
        self.cost = 0.0005
        super().__init__(self._length())

    def record_cost(self, seconds: float) -> None:
        """Add the cost of a call to the moving average."""
        self.cost += (seconds - self.cost) * _WEIGHT
        self.limit = self._length()

    def _length(self) -> float:
        return max(MIN_QUEUE_LENGTH, MAX_WAIT / self.cost)
