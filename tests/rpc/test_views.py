"""Views of an availability answer (AIP-157)."""

import pytest

from zimun.booking import availability
from zimun.v1 import availability_service_pb2 as availability_pb2
from zimun.v1.slot_pb2 import Slot

from ..support.rpc import Zimun
from .calls import search

BASIC = availability_pb2.GetAvailabilityRequest.BASIC
FULL = availability_pb2.GetAvailabilityRequest.FULL


@pytest.mark.parametrize("days_ahead", [4, 60])
@pytest.mark.parametrize("service_id", ["s_123", "s_yoga"])
async def test_the_basic_view_has_starts_and_seats_alone(
    zimun: Zimun, service_id: str, days_ahead: int
) -> None:
    full = await search(zimun, service_id, days_ahead=days_ahead, view=FULL)
    basic = await search(zimun, service_id, days_ahead=days_ahead, view=BASIC)
    assert list(basic.slots) == [
        Slot(
            start_time=slot.start_time,
            local_start_time=slot.local_start_time,
            seats_left=slot.seats_left,
        )
        for slot in full.slots
    ]
    assert full.slots[0].HasField("end_time")
    assert basic.days == full.days
    assert (basic.service_id, basic.time_zone) == (full.service_id, full.time_zone)
    assert await search(zimun, service_id, days_ahead=days_ahead) == full


async def test_the_basic_view_has_room_for_more_than_the_full_one(
    zimun: Zimun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(availability, "MAX_RESPONSE_BYTES", 4100)
    basic = await search(zimun, "s_123", "2025-12-01", view=BASIC)
    assert len(basic.slots) == 16
    request = availability_pb2.GetAvailabilityRequest(service_id="s_123", date="2025-12-01")
    refused = await zimun.refused(zimun.availability.GetAvailability, request)
    assert refused.reason == "REQUEST_REFUSED"
    assert "BASIC" in refused.fields["date"]
