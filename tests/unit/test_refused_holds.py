"""Refusals of holds that are kept: for how long they are valid, and how many there are."""

import pytest

from zimun.booking.refused_holds import MAX_REFUSALS, RefusedHold, RefusedHolds, slot_key
from zimun.domain.availability.slot_request import SlotRequest
from zimun.domain.booking_errors import SlotUnavailable
from zimun.domain.commands import Hold


@pytest.mark.parametrize(
    ("stands_until", "now", "is_valid"),
    [
        (20, 9, False),
        (20, 10, True),
        (20, 11, True),
        (20, 19, True),
        (20, 20, False),
        (0, 9, False),
        (0, 10, True),
        (0, 11, False),
    ],
)
def test_refusal_at_10_is_valid_at_10_and_until_time_changes_it(
    stands_until: int, now: int, is_valid: bool
) -> None:
    error = SlotUnavailable("s_cut", stands_until=stands_until)
    assert RefusedHold(error, since=10).is_valid(now) is is_valid


def test_of_too_many_refusals_the_latest_are_kept() -> None:
    refused = RefusedHolds()
    request = SlotRequest(service_id="s_cut")
    holds = [Hold(request, start, "h_1", "x_1") for start in range(MAX_REFUSALS + 1)]
    for number, hold in enumerate(holds):
        refused.update({slot_key(hold): RefusedHold(SlotUnavailable("s_cut"), number)})
    assert [hold in refused for hold in holds] == [False] + [True] * MAX_REFUSALS
