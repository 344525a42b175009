"""Public holidays by region, from the `holidays` package.

It is imported when a region is first asked about: it takes a tenth of the time
in which the whole server starts.
"""

from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache


def public_holidays(region: str) -> Callable[[date], str]:
    """A function from a date to the name of its public holiday, empty where there is none.

    `region` is an ISO 3166 code (`DE`, `US-CA`), or empty for no holidays at
    all. Raises ValueError for a region that has no calendar.
    """
    if not region:
        return lambda day: ""
    import holidays

    country, dash, subdivision = region.partition("-")
    countries = holidays.list_supported_countries(include_aliases=False)
    if country not in countries or (dash and subdivision not in countries[country]):
        raise ValueError(f"no public holidays are known for {region!r}")
    calendar = holidays.country_holidays(country, subdiv=subdivision or None)
    # In the country's own words: unless told, the package asks the machine for its language.
    language = calendar.default_language
    return lambda day: _year(country, subdivision or None, language, day.year).get(day, "")


@lru_cache(maxsize=4096)
def _year(
    country: str, subdivision: str | None, language: str | None, year: int
) -> Mapping[date, str]:
    import holidays

    calendar = holidays.country_holidays(
        country, subdiv=subdivision, years=year, expand=False, language=language
    )
    return dict(calendar)
