"""Telemetry of a running server: metrics, request ids in log lines, slow calls."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import grpc
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from zimun import app, demo
from zimun.clock import ManualClock
from zimun.config import Settings
from zimun.domain.errors import Overloaded
from zimun.domain.instant import HOUR
from zimun.telemetry import calls, logs
from zimun.v1.appointments_service_pb2 import GetAppointmentRequest, HoldAppointmentRequest
from zimun.v1.organization_pb2 import Organization
from zimun.v1.organizations_service_pb2 import UpdateOrganizationRequest
from zimun.v1.services_service_pb2 import ListServicesRequest

from ..support.rpc import FRIDAY_MORNING, Zimun, connected, seed
from . import stamp

Metrics = Mapping[tuple[str, frozenset[tuple[str, str]]], float]

APPOINTMENTS = "zimun.v1.AppointmentsService"
NOON = "2025-12-01T12:00:00Z"


class Scraped:
    """A server with an endpoint for metrics."""

    def __init__(self, zimun: Zimun, server: app.StartedServer) -> None:
        self.zimun = zimun
        self._server = server
        self.logged = logging.getLogger("zimun")

    async def scrape(self) -> str:
        """The metrics when no call is under way: one is counted after its caller has the answer."""
        async with asyncio.timeout(10):
            while "\nzimun_requests_active 0.0\n" not in (text := await self._scrape_now()):
                pass
        return text

    async def _scrape_now(self) -> str:
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{self._server.metrics_port}/metrics"
            async with session.get(url) as answer:
                assert answer.status == 200
                assert answer.headers["content-type"].startswith("text/plain; version=")
                return await answer.text()

    @property
    def auth_port(self) -> int:
        """Where tokens are given, and agents are heard."""
        return self._server.auth_port

    async def value(self, name: str, **labels: str) -> float:
        return _values(await self.scrape()).get((name, frozenset(labels.items())), 0)


def _values(text: str) -> Metrics:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def scraped(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scraped]:
    """Every call is slow to this server, so that it warns of each."""
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("telemetry"),
        grpc_port=0,
        auth_port=0,
        metrics_port=0,
        slow_request=1e-9,
    )
    clock = ManualClock(FRIDAY_MORNING)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(calls, "MAX_SLOW_LINES", 1000)
    async with app.serve(settings, clock) as server:
        await seed(server.stores.writer)
        async with connected(server, settings, clock) as zimun:
            yield Scraped(zimun, server)
    monkeypatch.undo()


def hold(time: str) -> HoldAppointmentRequest:
    return HoldAppointmentRequest(service_id="s_123", appointment_time=stamp(time))


async def test_calls_are_counted_and_timed_by_method_and_code(scraped: Scraped) -> None:
    zimun = scraped.zimun
    method = f"{APPOINTMENTS}/GetAppointment"
    before = await scraped.value("zimun_requests_total", method=method, code="NOT_FOUND")
    for _ in range(3):
        await zimun.refused(
            zimun.appointments.GetAppointment, GetAppointmentRequest(appointment_id="a_nothing")
        )
    after = _values(await scraped.scrape())
    key = ("zimun_requests_total", frozenset({("method", method), ("code", "NOT_FOUND")}))
    assert after[key] == before + 3
    counted = after["zimun_request_duration_seconds_count", frozenset({("method", method)})]
    buckets = [
        value
        for (name, labels), value in after.items()
        if name.endswith("duration_seconds_bucket") and ("method", method) in labels
    ]
    assert counted == max(buckets) >= 3


async def test_calls_of_agents_are_counted_as_those_of_other_clients(scraped: Scraped) -> None:
    zimun = scraped.zimun
    access = Organization(mcp_access=Organization.READ_ONLY)
    await zimun.call(
        zimun.organizations.UpdateOrganization, UpdateOrganizationRequest(organization=access)
    )
    url = f"http://127.0.0.1:{scraped.auth_port}/o/o_demo/mcp"
    headers = {**dict(zimun.bearer()), "accept": "application/json"}
    params = {"name": "explain_slot", "arguments": {"service_id": "s_none", "start_time": NOON}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    labels = {"method": "zimun.v1.AvailabilityService/ExplainSlot", "code": "NOT_FOUND"}
    before = await scraped.value("zimun_requests_total", **labels)
    async with aiohttp.ClientSession() as session:
        answer = await session.post(url, json=message, headers=headers)
        assert "SERVICE_NOT_FOUND" in await answer.text()
    assert await scraped.value("zimun_requests_total", **labels) == before + 1


async def test_calls_without_a_token_and_of_unknown_methods_are_counted(scraped: Scraped) -> None:
    channel = scraped.zimun.channel
    services = "zimun.v1.ServicesService"
    for path, code, method in (
        (f"/{services}/ListServices", "UNAUTHENTICATED", f"{services}/ListServices"),
        (f"/{services}/Invented", "UNIMPLEMENTED", "unknown"),
        ("/invented/x", "UNIMPLEMENTED", "unknown"),
    ):
        before = await scraped.value("zimun_requests_total", method=method, code=code)
        call: Any = channel.unary_unary(path)
        with pytest.raises(grpc.aio.AioRpcError):
            await call(b"", timeout=5)
        assert await scraped.value("zimun_requests_total", method=method, code=code) == before + 1
    assert "nvented" not in await scraped.scrape()


async def test_a_call_whose_time_is_over_is_counted_as_such(scraped: Scraped) -> None:
    method = f"{APPOINTMENTS}/HoldAppointment"
    zimun = scraped.zimun
    held = scraped.zimun.stores.reader.memory(demo.ORG_ID).lock
    async with held:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await zimun.appointments.HoldAppointment(
                hold("2025-12-01T15:00:00Z"), metadata=zimun.bearer(), timeout=0.2
            )
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(5):
        while not await scraped.value(
            "zimun_requests_total", method=method, code="DEADLINE_EXCEEDED"
        ):
            pass
    # The command of the cancelled call is done before the next one of the organization.
    await zimun.call(zimun.appointments.HoldAppointment, hold("2025-12-01T16:00:00Z"))


async def test_writes_tell_their_groups_events_and_holds(scraped: Scraped) -> None:
    zimun = scraped.zimun
    before = await scraped.value("zimun_events_total", type="HOLD_CREATED")
    groups = await scraped.value("zimun_group_size_count")
    await zimun.call(zimun.appointments.HoldAppointment, hold("2025-12-01T10:00:00Z"))
    after = _values(await scraped.scrape())
    assert after["zimun_events_total", frozenset({("type", "HOLD_CREATED")})] == before + 1
    assert after["zimun_group_size_count", frozenset()] == groups + 1
    for name in ("zimun_commands_waiting", "zimun_catch_up_reads_total", "zimun_memory_rows"):
        assert (name, frozenset()) in after
    assert after["zimun_serving", frozenset({("service", APPOINTMENTS)})] == 1
    assert "zimun_build_info{" in await scraped.scrape()
    assert after["process_open_fds", frozenset()] > 0


async def test_holds_are_counted_live_until_their_time_is_over(
    scraped: Scraped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zimun.telemetry.endpoint.HOLDS_INTERVAL", 0)
    monkeypatch.setattr(app, "EXPIRY_INTERVAL", 3600)
    zimun = scraped.zimun
    live = await scraped.value("zimun_holds_live")
    await zimun.call(zimun.appointments.HoldAppointment, hold("2025-12-01T11:00:00Z"))
    assert await scraped.value("zimun_holds_live") == live + 1
    zimun.clock.instant += HOUR

    async def over() -> bool:
        # The server may record the expiry meanwhile.
        recorded = await scraped.value("zimun_events_total", type="HOLD_EXPIRED")
        return await scraped.value("zimun_holds_overdue") + recorded > 0

    assert await over()
    assert await scraped.value("zimun_holds_live") == 0


async def test_slow_call_is_logged_in_one_line_with_its_request_id(
    scraped: Scraped, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    zimun = scraped.zimun
    monkeypatch.setattr(caplog.handler, "formatter", logs.Formatter())
    metadata = (*zimun.bearer(), ("x-request-id", "from-envoy-1"))
    await zimun.services.ListServices(ListServicesRequest(), metadata=metadata, timeout=5)
    [line] = [line for line in caplog.text.splitlines() if "slow call" in line]
    assert " WARNING zimun.telemetry.calls request_id=from-envoy-1: slow call: " in line
    assert "method=zimun.v1.ServicesService/ListServices organization=o_demo code=OK s" in line


async def test_lines_of_an_unexpected_error_have_the_request_id(
    scraped: Scraped, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("a fault of the program")

    monkeypatch.setattr(caplog.handler, "formatter", logs.Formatter())
    monkeypatch.setattr(scraped.zimun.stores.reader, "current", broken)
    zimun = scraped.zimun
    metadata = (*zimun.bearer(), ("x-request-id", "from-envoy-2"))
    with pytest.raises(grpc.aio.AioRpcError):
        await zimun.services.ListServices(ListServicesRequest(), metadata=metadata, timeout=5)
    [line] = [line for line in caplog.text.splitlines() if "internal error" in line]
    assert " ERROR zimun.rpc.error_status request_id=from-envoy-2: internal error " in line


async def test_metrics_are_served_while_the_store_cannot_be_asked(
    scraped: Scraped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zimun.telemetry.endpoint.HOLDS_INTERVAL", 0)

    async def overloaded(_: object) -> None:
        raise Overloaded("the store cannot be used")

    monkeypatch.setattr(scraped.zimun.stores.database, "read", overloaded)
    text = await scraped.scrape()
    assert "zimun_requests_total" in text
    assert "zimun_holds_live" not in text
