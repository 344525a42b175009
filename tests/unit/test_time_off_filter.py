"""Which time off a list has, against a look at each of its times."""

from hypothesis import example, given
from hypothesis import strategies as st

from zimun.booking.time_off import TimeOffFilter
from zimun.domain.catalog.time_off import TimeOff

from ..support.profiles import examples

instants = st.none() | st.integers(0, 60)


@given(
    starts=st.lists(st.integers(0, 50), min_size=1, unique=True).map(sorted),
    length=st.integers(1, 12),
    after=instants,
    before=instants,
)
@example(starts=[0, 50], length=1, after=None, before=10)
@examples(200)
def test_time_off_is_listed_where_one_of_its_times_overlaps_the_interval(
    starts: list[int], length: int, after: int | None, before: int | None
) -> None:
    times = tuple((start, start + length) for start in starts)
    time_off = TimeOff(owner_id="o_1", start=starts[0], end=starts[0] + length, occurrences=times)
    overlaps = any(
        (after is None or end > after) and (before is None or start < before)
        for start, end in times
    )
    assert TimeOffFilter(after=after, before=before).matches(time_off) == overlaps
