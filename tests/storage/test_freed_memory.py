"""What a command leaves in memory once its caller has the outcome."""

import gc
from collections.abc import Iterator

import pytest

from zimun.booking.group_decision import Draft, PendingCommand
from zimun.domain.booking_errors import SlotUnavailable

from .booking_client import BookingClient
from .sample_catalog import KIOSK, at


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    """Objects are freed only where nothing refers to them any more."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_garbage_collection")
async def test_refused_command_is_freed_without_the_garbage_collector(
    client: BookingClient,
) -> None:
    await client.hold(at(10), KIOSK.id)
    with pytest.raises(SlotUnavailable):
        await client.hold(at(10), KIOSK.id)
    await client.hold(at(11), KIOSK.id)
    left = [item for item in gc.get_objects() if isinstance(item, PendingCommand | Draft)]
    assert left == []
