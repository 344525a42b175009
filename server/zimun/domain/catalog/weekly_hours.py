"""Weekly hours, and those that are valid from a date on. Plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

Hours = tuple[tuple[int, int], ...]
"""The openings of one day, as (start, end) minutes."""

WeeklyHours = Mapping[int, Hours]
"""The openings of each weekday, Monday being 0 (date.weekday); a weekday not named is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyHoursPeriod:
    """Weekly hours from a date on, until the next period begins."""

    valid_from: date
    weekly_hours: WeeklyHours


class HasWeeklyHours(Protocol):
    """An organization, location, staff member or service."""

    @property
    def weekly_hours(self) -> WeeklyHours:
        """Its hours on dates before the first period."""
        ...

    @property
    def weekly_hours_periods(self) -> Sequence[WeeklyHoursPeriod]:
        """Its hours from some dates on."""
        ...


def week_on(owner: HasWeeklyHours, day: date) -> WeeklyHours:
    """The weekly hours of a date: of the period that began last, else those of the owner itself."""
    begun = [period for period in owner.weekly_hours_periods if period.valid_from <= day]
    if not begun:
        return owner.weekly_hours
    return max(begun, key=lambda period: period.valid_from).weekly_hours
