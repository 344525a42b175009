"""Public holidays by region and category, from the `holidays` package.

It is imported when a region is first asked about: it takes a tenth of the time
in which the whole server starts.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from functools import lru_cache

from zimun.domain.catalog.entries import Location, Organization
from zimun.domain.catalog.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from zimun.domain.catalog_validation import repeated
from zimun.domain.errors import InvalidRequest

USUAL_CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "HK": ("public", "optional"),
    "MO": ("public", "optional"),
}
"""The categories that are closed unless others are chosen, by country; elsewhere the package's
default, `public`. In Hong Kong and Macao that category has the holidays of the laws on
employment alone, and `optional` the general holidays, on which offices and banks are closed."""


def public_holiday(calendar: HolidayCalendar, day: date) -> str:
    """The name of the date's holiday in the country's own words, empty where there is none."""
    return _year(calendar, day.year).get(day, "") if calendar.region else ""


@lru_cache(maxsize=2048)
def _year(calendar: HolidayCalendar, year: int) -> Mapping[date, str]:
    import holidays

    country, _, subdivision = calendar.region.partition("-")
    dates = holidays.country_holidays(
        country,
        subdiv=subdivision or None,
        years=year,
        expand=False,
        # Without a language, the package uses the language of the machine.
        language=getattr(holidays, country).default_language,
        categories=calendar.categories or USUAL_CATEGORIES.get(country),
    )
    return dict(dates)


def check_holidays(entry: Organization | Location) -> None:
    """Raise InvalidRequest for a region without known holidays, or categories it does not have."""
    violations: dict[str, str] = {}
    for field, violation in _violations(entry):
        violations.setdefault(field, violation)
    if violations:
        raise InvalidRequest(violations)


def _violations(entry: Organization | Location) -> Iterator[tuple[str, str]]:
    region, categories = entry.holiday_region, entry.holiday_categories
    none = region == "" or (isinstance(entry, Location) and region == NO_HOLIDAYS)
    if none and categories:
        yield "holiday_categories", "are only allowed with a holiday_region"
    elif not none and not _is_known(region):
        yield "holiday_region", f"no public holidays are known for {region!r}"
    elif not none:
        yield from _category_violations(region, categories)


def _is_known(region: str) -> bool:
    import holidays

    country, dash, subdivision = region.partition("-")
    countries = holidays.list_supported_countries(include_aliases=False)
    return country in countries and (not dash or subdivision in countries[country])


def _category_violations(region: str, categories: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    import holidays

    known = sorted(getattr(holidays, region.partition("-")[0]).supported_categories)
    for category in categories:
        if category not in known:
            message = f"{category} is none of the categories of {region}: {', '.join(known)}"
            yield "holiday_categories", message
    for category in repeated(categories)[:1]:
        yield "holiday_categories", f"names {category} twice"
