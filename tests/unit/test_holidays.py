"""Public holidays of the regions that the `holidays` package knows, and the memory they take."""

from dataclasses import replace
from datetime import date

import holidays
import pytest

from zimun.booking import holidays as regions
from zimun.domain.catalog.entries import Location, Organization
from zimun.domain.catalog.holiday_calendar import HolidayCalendar
from zimun.domain.errors import InvalidRequest
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


@pytest.mark.parametrize("region", ["ZZ", "AA", "USA", "US-", "US-ZZ", "us", "NONE-1"])
@pytest.mark.parametrize("entry_type", [Organization, Location])
def test_region_without_known_holidays_is_refused(
    entry_type: type[Organization | Location], region: str
) -> None:
    entry = entry_type(id="e_1", name="Place", time_zone="UTC", holiday_region=region)
    with pytest.raises(InvalidRequest, match="no public holidays are known"):
        regions.check_holidays(entry)


@pytest.mark.parametrize("region", ["US", "US-CA", "DE-BY", "ZA"])
@pytest.mark.parametrize("entry_type", [Organization, Location])
def test_region_may_have_categories_that_it_knows(
    entry_type: type[Organization | Location], region: str
) -> None:
    entry = entry_type(id="e_1", name="Place", time_zone="UTC", holiday_region=region)
    regions.check_holidays(replace(entry, holiday_categories=("public",)))
    with pytest.raises(InvalidRequest, match="names public twice"):
        regions.check_holidays(replace(entry, holiday_categories=("public", "public")))
    with pytest.raises(InvalidRequest, match="none of the categories"):
        regions.check_holidays(replace(entry, holiday_categories=("no such",)))
