"""Which public holidays a place has: a region, and the categories of its holidays."""

from collections.abc import Callable
from datetime import date
from typing import NamedTuple

NO_HOLIDAYS = "NONE"
"""The region of a location that has no public holidays, whatever the organization has."""


class HolidayCalendar(NamedTuple):
    """The holidays of a region (ISO 3166; empty: none), of some categories (empty: its usual)."""

    region: str = ""
    categories: tuple[str, ...] = ()


HolidayName = Callable[[HolidayCalendar, date], str]
"""From a calendar and a date to the name of the date's holiday, empty where there is none."""
