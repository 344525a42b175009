"""How much one caller may take."""

from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc_status import rpc_status

from zimun.v1.services_service_pb2 import ListServicesRequest

from ..support.gateway import run_gateway

pytestmark = pytest.mark.asyncio(loop_scope="package")

SERVICES = "/api/v1/services"


async def test_each_client_has_a_rate_limit_of_its_own(tmp_path: Path) -> None:
    """One a second, two at once; JSON and gRPC, on whatever connection, take from the same."""
    async with run_gateway(tmp_path, rate_limit=1) as gateway:
        first = await gateway.get(SERVICES)
        assert first.headers["x-ratelimit-limit"] == "2"
        assert first.headers["x-ratelimit-remaining"] == "1"
        assert (await gateway.get(SERVICES)).status == 200

        refused = await gateway.get(SERVICES)
        assert (refused.status, refused.json()["code"]) == (429, 8)
        assert refused.reason() == "RATE_LIMITED"
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["x-ratelimit-remaining"] == "0"
        assert refused.headers["x-ratelimit-reset"] == "1"
        assert refused.json()["details"][1]["retry_delay"] == "1s"

        async with gateway.channel() as channel:
            call = gateway.stub(channel).ListServices
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await call(ListServicesRequest(), metadata=gateway.metadata())
            assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            status = rpc_status.from_call(error.value)
            info, retry = ErrorInfo(), RetryInfo()
            assert status.details[0].Unpack(info)
            assert status.details[1].Unpack(retry)
            assert (info.reason, retry.retry_delay.seconds) == ("RATE_LIMITED", 1)

        assert (await gateway.get(SERVICES, gateway.bearer("c_2"))).status == 200


async def test_rate_limits_of_200_clients_are_kept_apart(tmp_path: Path) -> None:
    async with run_gateway(tmp_path, rate_limit=1) as gateway:
        for number in range(200):
            answer = await gateway.get(SERVICES, gateway.bearer(f"c_{number}"))
            assert answer.headers["x-ratelimit-remaining"] == "1"


async def test_token_endpoint_has_a_rate_limit_of_its_own(tmp_path: Path) -> None:
    async with run_gateway(tmp_path, token_rate_limit=2) as gateway:
        answers = [await gateway.post("/oauth/token", "", {}) for _ in range(4)]
        assert [answer.status for answer in answers] == [401, 401, 429, 429]
        assert (await gateway.get(SERVICES)).status == 200


async def test_a_rate_limit_of_zero_turns_all_limits_off(tmp_path: Path) -> None:
    async with run_gateway(tmp_path, rate_limit=0, token_rate_limit=1) as gateway:
        answers = [await gateway.post("/oauth/token", "", {}) for _ in range(4)]
        assert {answer.status for answer in answers} == {401}
        assert "x-ratelimit-limit" not in (await gateway.get(SERVICES)).headers
