"""Who may come in."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from ..support.gateway import Gateway, run_gateway

pytestmark = pytest.mark.asyncio(loop_scope="package")

SERVICES = "/api/v1/services"


async def test_a_good_token_passes_and_goes_on_to_the_server(gateway: Gateway) -> None:
    token = gateway.bearer()
    assert (await gateway.get(SERVICES, token)).status == 200
    assert gateway.server.last().metadata["authorization"] == token["Authorization"]


async def test_a_call_without_a_token_is_refused(gateway: Gateway) -> None:
    answer = await gateway.get(SERVICES, {})
    assert (answer.status, answer.json()["code"]) == (401, 16)
    assert answer.reason() == "TOKEN_INVALID"
    assert answer.headers["www-authenticate"] == 'Bearer realm="zimun"'
    assert gateway.server.calls == []


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(time.time()) - 65},
        {"exp": None},
        {"nbf": int(time.time()) + 3600},
        {"aud": "somebody"},
        {"aud": None},
        {"iss": "http://evil.example"},
        {"key": ECKey.generate_key("P-256")},
    ],
    ids=["expired", "endless", "early", "audience", "no_audience", "issuer", "key"],
)
async def test_an_invalid_token_is_refused(gateway: Gateway, changes: dict[str, Any]) -> None:
    answer = await gateway.get(SERVICES, gateway.bearer(**changes))
    assert (answer.status, answer.json()["code"]) == (401, 16)
    assert answer.reason() == "TOKEN_INVALID"
    assert answer.headers["www-authenticate"] == 'Bearer realm="zimun", error="invalid_token"'
    assert gateway.server.calls == []


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", 'Bearer a."b.c', "Basic Y186eA==", ""])
async def test_an_authorization_header_without_a_token_is_refused(
    gateway: Gateway, header: str
) -> None:
    answer = await gateway.get(SERVICES, {"Authorization": header})
    assert (answer.status, answer.reason()) == (401, "TOKEN_INVALID")


async def test_clocks_may_differ_by_a_minute(gateway: Gateway) -> None:
    """As at the server, which alone ends a token at its very second."""
    early = gateway.bearer(nbf=int(time.time()) + 50)
    assert (await gateway.get(SERVICES, early)).status == 200


async def test_a_token_in_the_query_is_none(gateway: Gateway) -> None:
    answer = await gateway.get(f"{SERVICES}?access_token={gateway.issuer.token()}", {})
    assert (answer.status, answer.reason()) == (401, "TOKEN_INVALID")


@pytest.mark.parametrize(
    "path", ["/api/v1", "/api/v1/none", "//api/v1/services", "/x/../api/v1/services"]
)
async def test_paths_that_normalize_to_the_api_need_a_token(gateway: Gateway, path: str) -> None:
    assert (await gateway.get(path, {})).status == 401


@pytest.mark.parametrize("path", ["/x", "/api/v2/services", "/api/v1x", "/oauth/token/x", "/ready"])
async def test_other_paths_do_not_exist(gateway: Gateway, path: str) -> None:
    answer = await gateway.get(path, {})
    assert (answer.status, answer.reason()) == (404, "REQUEST_REFUSED")


async def test_the_token_endpoint_answers_as_the_server_says(gateway: Gateway) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await gateway.post("/oauth/token", "grant_type=client_credentials", form)
    assert answer.status == 401
    assert answer.json() == {"error": "invalid_client", "grant": "client_credentials"}
    assert answer.headers["cache-control"] == "no-store"


async def test_what_the_issuer_publishes_needs_no_token(gateway: Gateway) -> None:
    assert "keys" in (await gateway.get("/.well-known/jwks.json", {})).json()
    assert (await gateway.get("/.well-known/oauth-authorization-server", {})).status == 200


async def test_keys_are_fetched_before_the_first_request(tmp_path: Path) -> None:
    async with run_gateway(tmp_path) as gateway:
        assert gateway.issuer.fetches >= 1


async def test_a_new_key_is_known_within_seconds(tmp_path: Path) -> None:
    """And the old one counts no more."""
    async with run_gateway(tmp_path) as gateway:
        assert (await gateway.get(SERVICES)).status == 200
        old = gateway.issuer.key
        gateway.issuer.key = ECKey.generate_key("P-256", {"kid": "k1"}, auto_kid=False)
        before = gateway.issuer.fetches
        async with asyncio.timeout(10):
            while (await gateway.get(SERVICES)).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert gateway.issuer.fetches > before
        outdated = gateway.issuer.token(key=old)
        assert (await gateway.get(SERVICES, {"Authorization": f"Bearer {outdated}"})).status == 401


async def test_tokens_of_an_outside_provider_are_accepted_and_limited(tmp_path: Path) -> None:
    """Its tokens may lack client_id, and it has the token endpoint, not we."""
    async with run_gateway(tmp_path, jwks_uri=True, rate_limit=1) as gateway:
        one, two = (gateway.bearer(name, client_id=None) for name in ("u_1", "u_2"))
        statuses = [(await gateway.get(SERVICES, one)).status for _ in range(5)]
        assert statuses == [200, 200, 429, 429, 429]
        assert (await gateway.get(SERVICES, two)).status == 200
        assert (await gateway.post("/oauth/token", "", {})).status == 404


async def test_keys_out_of_reach_are_not_the_callers_fault(tmp_path: Path) -> None:
    async with run_gateway(tmp_path, auth_endpoints=("127.0.0.1:1",)) as gateway:
        answer = await gateway.get(SERVICES)
        assert (answer.status, answer.reason()) == (503, "OVERLOADED")
        assert answer.headers["retry-after"] == "1"
