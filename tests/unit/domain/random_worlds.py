"""Random worlds, and random hours, dates and zones."""

import random
from datetime import date, timedelta

from hypothesis import strategies as st

from zimun.domain.catalog.weekly_hours import Hours

from .build import CHANGES, World
from .drawing import Drawing


def hours(tick: int = 1, most: int = 3) -> st.SearchStrategy[Hours]:
    """Openings in whole ticks (minutes), in any order, overlapping and touching ones among them."""
    last = 1440 // tick
    midnights = st.sampled_from([0, last])
    edge = st.integers(0, last) | midnights | st.integers(0, 24).map(lambda n: n * 60 // tick)
    opening = st.tuples(edge, edge).map(lambda pair: (min(pair), max(pair)))
    some = st.lists(opening.filter(lambda pair: pair[0] < pair[1]), max_size=most)
    return some.map(lambda all_: tuple((start * tick, end * tick) for start, end in all_))


def dates_of(zone: str) -> st.SearchStrategy[date]:
    """Any date since 1990, and every other time one near a change of the zone's clock."""
    near = st.builds(
        lambda day, days: day + timedelta(days=days),
        st.sampled_from(CHANGES[zone]),
        st.integers(-2, 2),
    )
    return near | st.dates(date(1990, 1, 1), date(2037, 12, 31))


zones = st.sampled_from(sorted(CHANGES))


@st.composite
def worlds(draw: st.DrawFn, zone: str = "", day: date | None = None) -> World:
    """Small random catalogues with bookings; at random places and dates, unless told.

    Most are drawn evenly, from a seed: Hypothesis alone likes the closed and the
    empty too well. Those that it draws itself shrink.
    """
    evenly = draw(st.integers(0, 3)) > 0
    seeded = random.Random(draw(st.integers(0, 2**64)))

    def pick(low: int, high: int) -> int:
        return seeded.randint(low, high) if evenly else draw(st.integers(low, high))

    return Drawing(pick, zone, day).world()


def world_of(seed: int) -> World:
    """One of the worlds that are drawn evenly."""
    return Drawing(random.Random(seed).randint, "", None).world()
