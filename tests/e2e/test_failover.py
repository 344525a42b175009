"""Servers killed, or renewed, one after the other under bookings through Envoy: none is lost.

The clients are those of `python -m tests.e2e.failover`; docs/chaos.md has longer runs.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from ..support.server import Site
from . import failover

pytestmark = pytest.mark.quiet


@pytest.mark.parametrize("roll", [False, True], ids=["killed", "renewed"])
async def test_no_booking_is_lost_and_none_is_made_twice(
    seed_site: Callable[[str], Site], tmp_path: Path, roll: bool
) -> None:
    site = seed_site("postgres").copy(tmp_path / "site")
    report = await failover.run(site, seconds=13, rate=15, period=4, down=1, roll=roll)
    assert report.surprises == []
    assert report.booked == report.found
    assert len(report.booked) == 13 * 15
    assert len(report.faults) == 2
