"""Times as the API writes them, and working days of the demo."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta


def instant(text: str) -> datetime:
    """Reads RFC 3339; timestamps of the API end with Z."""
    assert text.endswith("Z"), text
    return datetime.fromisoformat(text)


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def later(text: str, **difference: float) -> str:
    return rfc3339(instant(text) + timedelta(**difference))


def workdays(first: date) -> Iterator[str]:
    """Monday to Friday from `first` on."""
    for number in range(366):
        day = first + timedelta(days=number)
        if day.weekday() < 5:
            yield day.isoformat()


def half_hours(day: str) -> list[str]:
    """The sixteen starts of s_123 on a day."""
    return [f"{day}T{hour:02}:{minute:02}:00Z" for hour in range(9, 17) for minute in (0, 30)]
