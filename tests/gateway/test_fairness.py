"""Fair shares of busy servers: `lua/fairness.lua` before a simulated server, and in Envoy."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from lupa.luajit21 import LuaRuntime  # type: ignore[import-untyped]

from zimun.v1.services_service_pb2 import ListServicesResponse
from zimun_gateway import Settings
from zimun_gateway.fairness import fairness_filters
from zimun_gateway.rate_limits import MIN_CONCURRENCY

from ..support.gateway import run_gateway
from ..support.gateway_stubs import Context

SERVICES = "/api/v1/services"

HANDLE = """
EnvoyTimestampResolution = {MILLISECOND = 1}
local Metadata, Headers, Handle = {}, {}, {}
Metadata.__index, Headers.__index, Handle.__index = Metadata, Headers, Handle
function Metadata:get(name) return self[name] end
function Metadata:set(name, key, value) self[name] = {[key] = value} end
function Headers:get(name) return self[name] end
function Handle:streamInfo() return self end
function Handle:dynamicMetadata() return self.metadata end
function Handle:headers() return setmetatable({[":status"] = self.status}, Headers) end
function Handle:timestamp() return self.now end
function Handle:respond(headers) self.refusal = headers[":status"] end

function request(organization, now)
  local claims = {claims = {org_id = organization}}
  local metadata = setmetatable({["envoy.filters.http.jwt_authn"] = claims}, Metadata)
  local handle = setmetatable({now = now, metadata = metadata}, Handle)
  envoy_on_request(handle)
  return handle
end

function response(handle, now, status)
  handle.now, handle.status = now, status
  envoy_on_response(handle)
end
"""


class Servers:
    """Servers that serve `capacity` requests a second, one after the other, behind the filter."""

    def __init__(self, capacity: float, base_latency: float = 0.005) -> None:
        [lua_filter] = fairness_filters(Settings())
        source = lua_filter["typed_config"]["default_source_code"]["inline_string"]
        self._lua: Any = LuaRuntime()
        self._lua.execute(f"{HANDLE}\n{source}")
        self._step, self._base = 1 / capacity, base_latency
        self._busy_until, self._running = 0.0, list[tuple[float, Any]]()

    def send(self, organization: str, now: float) -> float | None:
        """The latency of a request in seconds; None where it is refused."""
        while self._running and self._running[0][0] <= now:
            end, handle = self._running.pop(0)
            self._lua.globals().response(handle, 1000 * end, "200")
        handle = self._lua.globals().request(organization, 1000 * now)
        if handle.refusal:
            assert handle.refusal == "429"
            return None
        self._busy_until = max(self._busy_until, now) + self._step
        end = self._busy_until + self._base
        self._running.append((end, handle))
        return end - now


def simulate(
    servers: Servers, rates: Mapping[str, float], begin: float, seconds: float
) -> dict[str, list[float | None]]:
    """The latencies of each organization's requests, that come at random at its rate."""
    random, now = Random(11), begin
    latencies: dict[str, list[float | None]] = {organization: [] for organization in rates}
    names, weights = list(rates), list(rates.values())
    while (now := now + random.expovariate(sum(weights))) < begin + seconds:
        [name] = random.choices(names, weights)
        latencies[name].append(servers.send(name, now))
    return latencies


def served(latencies: list[float | None]) -> list[float]:
    return sorted(latency for latency in latencies if latency is not None)


QUIET = {f"o_{n}": 6.0 for n in range(50)}


def test_no_caller_is_refused_while_servers_are_not_busy() -> None:
    """A large and fifty small organizations at three quarters of the capacity."""
    latencies = simulate(Servers(500), QUIET | {"o_large": 75.0}, 0, 30)
    assert all(None not in of_one for of_one in latencies.values())


def test_a_noisy_organization_is_refused_and_the_others_keep_their_latency() -> None:
    servers = Servers(500)
    simulate(servers, QUIET, 0, 10)
    latencies = simulate(servers, QUIET | {"o_noisy": 1000.0}, 10, 30)
    others = [latency for name in QUIET for latency in latencies[name]]
    assert None not in others
    assert served(others)[int(0.95 * len(others))] < 0.08
    rate = len(served(latencies["o_noisy"])) / 30
    assert 100 < rate < 200


def test_a_sudden_flood_of_one_organization_is_held_to_the_limit_at_once() -> None:
    """Six times the capacity from one instant to the next: the others wait for its first tenths of
    a second, and not for what it sends until its rate is known."""
    servers = Servers(500)
    simulate(servers, QUIET, 0, 10)
    latencies = simulate(servers, QUIET | {"o_noisy": 3000.0}, 10, 2)
    others = [latency for name in QUIET for latency in latencies[name]]
    assert None not in others
    assert served(others)[len(others) // 2] < 0.5


def test_the_limit_leaves_a_share_to_each_of_two_noisy_organizations() -> None:
    """They get the same, although one of them sends three times as much."""
    servers = Servers(500)
    simulate(servers, QUIET, 0, 10)
    latencies = simulate(servers, QUIET | {"o_loud": 900.0, "o_noisy": 300.0}, 10, 30)
    assert all(None not in latencies[name] for name in QUIET)
    loud, noisy = (len(served(latencies[name])) / 30 for name in ("o_loud", "o_noisy"))
    assert 60 < noisy < loud < 1.3 * noisy


def test_after_an_overload_the_limit_is_lifted() -> None:
    servers = Servers(500)
    simulate(servers, QUIET | {"o_noisy": 1000.0}, 0, 10)
    simulate(servers, QUIET, 10, 10)
    assert None not in simulate(servers, {"o_noisy": 150.0}, 20, 10)["o_noisy"]


def test_organizations_below_the_fair_rate_are_never_refused() -> None:
    """Forty organizations that send twice what the servers can do, but little each."""
    rates = {f"o_{n}": 10.0 for n in range(40)}
    latencies = simulate(Servers(200), rates, 0, 5)
    assert all(None not in of_one for of_one in latencies.values())


def test_slow_servers_are_not_busy_ones() -> None:
    """Servers that need 100 ms for a request even when they are idle."""
    latencies = simulate(Servers(500, base_latency=0.1), {"o_small": 5.0, "o_large": 300.0}, 0, 20)
    assert all(None not in of_one for of_one in latencies.values())


def test_an_organization_alone_is_never_refused() -> None:
    assert None not in simulate(Servers(200), {"o_only": 400.0}, 0, 5)["o_only"]


async def test_requests_beyond_the_concurrency_limit_are_refused_at_once(tmp_path: Path) -> None:
    """Health and tokens are served meanwhile, and the waiting requests afterwards."""
    entered, leave = asyncio.Semaphore(0), asyncio.Event()

    async def wait(_: Any, __: Context) -> ListServicesResponse:
        entered.release()
        await leave.wait()
        return ListServicesResponse()

    async with run_gateway(tmp_path) as gateway:
        gateway.server.behaviours["ListServices"] = wait
        waiting = [asyncio.create_task(gateway.get(SERVICES)) for _ in range(MIN_CONCURRENCY)]
        for _ in waiting:
            await asyncio.wait_for(entered.acquire(), 5)
        refused = await gateway.get(SERVICES)
        token = await gateway.post("/oauth/token", "", {})
        leave.set()
        statuses = Counter([(await answer).status for answer in waiting])
    assert (refused.status, refused.reason()) == (503, "OVERLOADED")
    assert refused.headers["retry-after"] == "1"
    assert token.status == 401
    assert statuses == {200: MIN_CONCURRENCY}
