"""The limit of what waits: no organization can take the places of all."""

import pytest

from zimun.booking.quota import Quota
from zimun.domain.errors import Overloaded


def filled(quota: Quota, org_id: str) -> int:
    """How many more places of an organization are had before one is refused."""
    count = 0
    try:
        while True:
            quota.acquire(org_id)
            count += 1
    except Overloaded:
        return count


@pytest.fixture
def quota() -> Quota:
    """A quota with ten places."""
    return Quota(limit=10)


def test_an_organization_that_waits_alone_has_most_of_the_places(quota: Quota) -> None:
    assert filled(quota, "o_noisy") == 8


def test_an_organization_has_a_place_though_others_have_filled_the_queue(quota: Quota) -> None:
    filled(quota, "o_noisy")
    filled(quota, "o_loud")
    assert [filled(quota, f"o_{n}") for n in range(10)] == [1] * 8 + [0] * 2


def test_places_that_are_left_can_be_had_again(quota: Quota) -> None:
    filled(quota, "o_noisy")
    filled(quota, "o_quiet")
    quota.release("o_quiet")
    assert filled(quota, "o_quiet") == 1
    assert quota.refused == 3
