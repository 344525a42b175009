"""Instants: whole microseconds since 1970-01-01T00:00:00Z, as int.

One representation from the wire to the disk: exact, ordered, cheap to compare
and the same on every store. Durations are microseconds too.
"""

from datetime import UTC, datetime, timedelta

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WALL = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)


def from_datetime(moment: datetime) -> int:
    """The instant of an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND


def to_datetime(instant: int) -> datetime:
    """The aware UTC datetime of an instant."""
    return _EPOCH + timedelta(microseconds=instant)


def wall_microseconds(wall: datetime) -> int:
    """A naive wall time as microseconds since 1970-01-01T00:00 on the same wall."""
    return (wall - _EPOCH_WALL) // _MICROSECOND


def rfc3339(instant: int) -> str:
    """UTC with Z, as short as it is exact (RFC 3339 section 5.6)."""
    return to_datetime(instant).replace(tzinfo=None).isoformat() + "Z"
