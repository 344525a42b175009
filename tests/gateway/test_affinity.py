"""Calls of one organization go to one server while it is healthy."""

import asyncio
import http.client
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from joserfc.jwk import ECKey

from zimun.v1.services_service_pb2 import ListServicesRequest
from zimun_gateway.clusters import OPEN

from ..support.gateway import Gateway, run_gateway
from ..support.gateway_stubs import StubServer
from ..support.processes import free_port

pytestmark = pytest.mark.asyncio(loop_scope="package")

SERVICES = "/api/v1/services"
ORGANIZATIONS = [f"o_{number}" for number in range(40)]


@asynccontextmanager
async def running_servers(number: int) -> AsyncIterator[list[StubServer]]:
    servers = [StubServer() for _ in range(number)]
    for server in servers:
        await server.start()
    try:
        yield servers
    finally:
        for server in servers:
            await server.stop()


@asynccontextmanager
async def gateway_of(workdir: Path, servers: list[StubServer]) -> AsyncIterator[Gateway]:
    endpoints = tuple(server.target for server in servers)
    async with run_gateway(workdir, grpc_endpoints=endpoints, rate_limit=0) as gateway:
        yield gateway


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def gateway_and_servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Gateway, list[StubServer]]]:
    """A gateway and the three servers behind it."""
    workdir = tmp_path_factory.mktemp("affinity")
    async with running_servers(3) as servers, gateway_of(workdir, servers) as gateway:
        yield gateway, servers


async def json_server(
    gateway: Gateway,
    servers: list[StubServer],
    organization: str | None,
    headers: dict[str, str] | None = None,
    client: str = "c_1",
) -> str:
    """The address of the server that answers a JSON request of the organization."""
    before = [len(server.calls) for server in servers]
    bearer = gateway.bearer(client, org_id=organization)
    answer = await gateway.get(SERVICES, bearer | (headers or {}))
    assert answer.status == 200
    return _called(servers, before)


async def grpc_server(
    gateway: Gateway,
    servers: list[StubServer],
    organization: str,
    headers: dict[str, str] | None = None,
) -> str:
    """The same of a gRPC call of the organization, on a connection of its own."""
    before = [len(server.calls) for server in servers]
    metadata = (*gateway.metadata(org_id=organization), *(headers or {}).items())
    async with gateway.channel() as channel:
        await gateway.stub(channel).ListServices(ListServicesRequest(), metadata=metadata)
    return _called(servers, before)


def _called(servers: list[StubServer], before: list[int]) -> str:
    [called] = [
        server.target
        for server, count in zip(servers, before, strict=True)
        if len(server.calls) == count + 1
    ]
    return called


def stat(gateway: Gateway, name: str) -> int:
    """One of Envoy's counters."""
    [line] = _admin(gateway, f"/stats?filter=^{name}$").splitlines()
    return int(line.rpartition(":")[2])


def requests_by_server(gateway: Gateway, cluster: str) -> dict[str, int]:
    """How many requests of a cluster Envoy has sent to each gRPC server."""
    lines = (line.split("::") for line in _admin(gateway, "/clusters").splitlines())
    return {
        parts[1]: int(parts[3])
        for parts in lines
        if parts[0] == cluster and parts[2:3] == ["rq_total"]
    }


def _admin(gateway: Gateway, path: str) -> str:
    with closing(http.client.HTTPConnection(gateway.envoy.admin_address, timeout=5)) as connection:
        connection.request("GET", path)
        return connection.getresponse().read().decode()


async def test_calls_of_one_organization_reach_one_server(
    gateway_and_servers: tuple[Gateway, list[StubServer]],
) -> None:
    gateway, servers = gateway_and_servers
    for organization in ORGANIZATIONS[:10]:
        called = [
            *[await json_server(gateway, servers, organization) for _ in range(4)],
            *[await json_server(gateway, servers, organization, client=f"c_{n}") for n in range(3)],
            *[await grpc_server(gateway, servers, organization) for _ in range(3)],
        ]
        assert len(set(called)) == 1


async def test_calls_of_many_organizations_reach_every_server(
    gateway_and_servers: tuple[Gateway, list[StubServer]],
) -> None:
    gateway, servers = gateway_and_servers
    called = [await json_server(gateway, servers, name) for name in ORGANIZATIONS]
    assert set(called) == {server.target for server in servers}


async def test_a_client_cannot_choose_the_server_by_headers(
    gateway_and_servers: tuple[Gateway, list[StubServer]],
) -> None:
    gateway, servers = gateway_and_servers
    usual = {name: await json_server(gateway, servers, name) for name in ORGANIZATIONS}
    own = ORGANIZATIONS[0]
    others = [name for name in ORGANIZATIONS if usual[name] != usual[own]]
    headers = ("zimun.organization", "x-zimun-organization", "x-org-id", "org-id")
    for forged in ({header: other} for header in headers for other in others[:10]):
        assert await json_server(gateway, servers, own, forged) == usual[own]
        assert await grpc_server(gateway, servers, own, forged) == usual[own]


async def test_an_organization_of_a_token_that_is_not_verified_reaches_no_server(
    gateway_and_servers: tuple[Gateway, list[StubServer]],
) -> None:
    gateway, servers = gateway_and_servers
    before = sum(len(server.calls) for server in servers)
    forged = gateway.bearer(org_id=ORGANIZATIONS[1], key=ECKey.generate_key("P-256"))
    assert (await gateway.get(SERVICES, forged)).status == 401
    assert sum(len(server.calls) for server in servers) == before


async def test_the_organization_is_sent_to_the_server_in_the_token_alone(
    gateway_and_servers: tuple[Gateway, list[StubServer]],
) -> None:
    gateway, servers = gateway_and_servers
    target = await json_server(gateway, servers, "o_only_in_the_token")
    [called] = [server for server in servers if server.target == target]
    assert "o_only_in_the_token" not in str(called.last().metadata)


async def test_calls_without_an_organization_are_spread(
    gateway_and_servers: tuple[Gateway, list[StubServer]],
) -> None:
    gateway, servers = gateway_and_servers
    called = [await json_server(gateway, servers, None) for _ in range(40)]
    assert set(called) == {server.target for server in servers}


async def test_health_checks_through_the_gateway_are_spread(
    gateway_and_servers: tuple[Gateway, list[StubServer]],
) -> None:
    gateway, _ = gateway_and_servers
    before = requests_by_server(gateway, OPEN)
    async with gateway.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for _ in range(40):
            # A token says nothing where none is asked for.
            await health.Check(health_pb2.HealthCheckRequest(), metadata=gateway.metadata())
    after = requests_by_server(gateway, OPEN)
    assert len(after) == 3
    assert all(after[server] > before[server] for server in after)


async def test_an_organization_has_the_same_server_in_every_gateway(
    gateway_and_servers: tuple[Gateway, list[StubServer]], tmp_path: Path
) -> None:
    gateway, servers = gateway_and_servers
    first = [await json_server(gateway, servers, name) for name in ORGANIZATIONS[:10]]
    async with gateway_of(tmp_path, servers[::-1]) as other:
        second = [await json_server(other, servers, name) for name in ORGANIZATIONS[:10]]
    assert first == second


async def test_organizations_of_a_stopped_server_move_alone_and_come_back_when_it_serves_again(
    tmp_path: Path,
) -> None:
    async with running_servers(3) as servers, gateway_of(tmp_path, servers) as gateway:
        at_first = {name: await json_server(gateway, servers, name) for name in ORGANIZATIONS}
        stopped = servers[0]
        await stopped.stop()
        for _ in range(2):
            now = {name: await json_server(gateway, servers, name) for name in ORGANIZATIONS}
            assert stopped.target not in now.values()
            others = {name for name, server in at_first.items() if server != stopped.target}
            # Maglev moves few of them, not none.
            assert sum(now[name] != at_first[name] for name in others) <= 1
        await stopped.start(int(stopped.target.rpartition(":")[2]))
        moved = [name for name, server in at_first.items() if server == stopped.target]
        async with asyncio.timeout(15):
            # Envoy does not say when it uses the server again.
            while {  # noqa: ASYNC110
                await json_server(gateway, servers, name) for name in moved
            } != {stopped.target}:
                await asyncio.sleep(0.1)
        assert {name: await json_server(gateway, servers, name) for name in at_first} == at_first


async def test_calls_succeed_when_all_servers_but_one_have_stopped(tmp_path: Path) -> None:
    """As when the machine of most workers fails."""
    async with running_servers(5) as servers, gateway_of(tmp_path, servers) as gateway:
        # A server whose first check was too slow would have no calls until the next check.
        async with asyncio.timeout(20):
            healthy = "cluster.zimun.membership_healthy"
            while stat(gateway, healthy) < len(servers):  # noqa: ASYNC110  # Envoy does not say
                await asyncio.sleep(0.05)
        for server in servers[1:]:
            await server.stop()
        answers = await asyncio.gather(
            *(gateway.get(SERVICES, gateway.bearer(org_id=name)) for name in ORGANIZATIONS)
        )
        assert [answer for answer in answers if answer.status != 200] == []
        assert len(servers[0].calls) == len(ORGANIZATIONS)


async def test_unhealthy_servers_are_not_tried_while_another_is_healthy(
    tmp_path: Path,
) -> None:
    async with running_servers(1) as servers:
        dead = [StubServer(f"127.0.0.1:{free_port()}") for _ in range(4)]
        async with gateway_of(tmp_path, [*servers, *dead]) as gateway:
            for name in ORGANIZATIONS:
                assert await json_server(gateway, servers, name) == servers[0].target
            assert stat(gateway, "cluster.zimun.lb_healthy_panic") == 0
            assert stat(gateway, "cluster.zimun.upstream_rq_retry") == 0
