"""Histograms against a count of the values themselves."""

from hypothesis import given
from hypothesis import strategies as st

from zimun.histogram import Histogram

BOUNDS = (0.1, 0.5, 1, 2.5)


@given(st.lists(st.floats(0, 5) | st.sampled_from(BOUNDS), max_size=30))
def test_buckets_count_the_values_up_to_their_bound(values: list[float]) -> None:
    histogram = Histogram(BOUNDS)
    for value in values:
        histogram.observe(value)
    assert list(histogram.cumulative()) == [
        (bound, sum(value <= bound for value in values)) for bound in (*BOUNDS, float("inf"))
    ]
    assert histogram.count == len(values)
    assert histogram.sum == sum(values, 0.0)
