"""The count of iterations of the event loop without a new call."""

MAX_QUIET_ITERATIONS = 4
"""Iterations of the event loop without a new call after which no request is left on the sockets."""


class QuietIterations:
    """Counts iterations of the event loop in a row with the same number of `arrivals`."""

    def __init__(self, arrivals: int) -> None:
        self._arrivals, self._count = arrivals, 0

    def count(self, arrivals: int, is_busy: bool = False) -> None:
        """Count an iteration; where a call has arrived, or `is_busy`, begin at 0 again."""
        is_quiet = arrivals == self._arrivals and not is_busy
        self._count = self._count + 1 if is_quiet else 0
        self._arrivals = arrivals

    @property
    def are_enough(self) -> bool:
        """Whether no request is left on the sockets."""
        return self._count >= MAX_QUIET_ITERATIONS
