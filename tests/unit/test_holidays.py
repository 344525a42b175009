"""Public holidays of the regions that the `holidays` package knows, and the memory they take."""

from datetime import date

import holidays
import pytest

from zimun.booking import holidays as regions
from zimun.domain.catalog.holiday_calendar import HolidayCalendar
from zimun.domain.memory_size import weight

MAX_BYTES = 64 << 20
"""Of all calendars that are cached, were each one the largest."""

COUNTRIES = holidays.list_supported_countries(include_aliases=False)


@pytest.mark.parametrize("country", regions.USUAL_CATEGORIES)
def test_the_usual_categories_are_more_than_the_packages_default(country: str) -> None:
    known = getattr(holidays, country)
    assert {known.default_category} < {*regions.USUAL_CATEGORIES[country]}
    assert {*regions.USUAL_CATEGORIES[country]} <= {*known.supported_categories}


def test_cache_of_all_countries_is_bounded() -> None:
    largest = 0
    for country in COUNTRIES:
        categories = tuple(getattr(holidays, country).supported_categories)
        dates = regions._year(HolidayCalendar(country, categories), 2026)
        largest = max(largest, weight({day.isoformat(): name for day, name in dates.items()}))
    cached = regions._year.cache_info()
    assert cached.maxsize
    assert cached.maxsize * largest < MAX_BYTES


def test_a_date_that_is_no_holiday_and_a_place_without_a_region_have_no_name() -> None:
    assert regions.public_holiday(HolidayCalendar("DE"), date(2026, 12, 24)) == ""
    assert regions.public_holiday(HolidayCalendar(), date(2026, 12, 25)) == ""
