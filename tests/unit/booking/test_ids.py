"""New ids: a prefix, the time and random bits."""

import time

from zimun.booking.change_request import new_id


def test_new_id_has_the_time_in_milliseconds_and_80_random_bits() -> None:
    before = time.time_ns() // 1_000_000
    ids = [new_id("h") for _ in range(100)]
    after = time.time_ns() // 1_000_000
    for chosen in ids:
        prefix, _, digits = chosen.partition("_")
        assert (prefix, len(digits)) == ("h", 12 + 20)
        assert before <= int(digits[:12], 16) <= after
    assert len({chosen[-20:] for chosen in ids}) == 100
