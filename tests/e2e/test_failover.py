"""Servers killed, or renewed, one after the other under bookings through Envoy: none is lost.

The clients are those of `python -m bench.failover`, where longer runs are recorded.
"""

import pytest

from bench import failover, site

from ..support.postgres import shared

pytestmark = pytest.mark.quiet


@pytest.mark.parametrize("roll", [False, True], ids=["killed", "renewed"])
async def test_no_booking_is_lost_and_none_is_made_twice(roll: bool) -> None:
    server, _ = shared()
    where = await site.seeding(server)
    report = await failover.run(where, seconds=13, rate=15, period=4, down=1, roll=roll)
    assert report.surprises == []
    assert report.booked == report.found
    assert len(report.booked) == 13 * 15
    assert len(report.faults) == 2
