"""Changes that wait for parts of their ledger do not keep others from running."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import grpc
import pytest

from zimun import demo
from zimun.booking.store import LedgerRead, LedgerUpdate
from zimun.booking.writer import MAX_GROUP
from zimun.v1 import appointments_service_pb2, organizations_service_pb2

from ..support.rpc import Zimun


async def test_others_change_while_very_many_changes_of_one_organization_wait_for_a_load(
    zimun: Zimun, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, allowed = zimun.stores.ledgers, asyncio.Event()
    places = 2 * MAX_GROUP * store.lanes
    read = store.read

    async def waiting(requests: Sequence[LedgerRead]) -> Sequence[LedgerUpdate]:
        if any(request.org_id == demo.ORG_ID and request.needs for request in requests):
            await allowed.wait()
        return await read(requests)

    monkeypatch.setattr(store, "read", waiting)
    # A connection has only so many calls at a time.
    own = [("grpc.use_local_subchannel_pool", 1)]
    channel = grpc.aio.insecure_channel(zimun.target, own)
    release = replace(zimun, channel=channel).appointments.ReleaseHold
    flood = [
        asyncio.ensure_future(
            zimun.call(release, appointments_service_pb2.ReleaseHoldRequest(hold_id=f"h_none_{n}"))
        )
        for n in range(places)
    ]
    async with asyncio.timeout(10):
        while zimun.stores.writer.waiting < places:  # noqa: ASYNC110 - only looking tells
            await asyncio.sleep(0.01)
    request = organizations_service_pb2.UpdateOrganizationRequest()
    request.organization.name = "Another"
    request.update_mask.paths.append("name")
    try:
        await zimun.call(zimun.organizations.UpdateOrganization, request, org_id="o_other")
    finally:
        allowed.set()
    outcomes = await asyncio.gather(*flood, return_exceptions=True)
    await channel.close()
    codes = {error.code() for error in outcomes if isinstance(error, grpc.aio.AioRpcError)}
    assert codes == {grpc.StatusCode.NOT_FOUND}
