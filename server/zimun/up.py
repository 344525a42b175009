"""`zimun up`: the server and Envoy as one foreground program, with the demo where it is wanted."""

import asyncio
import shutil
import sysconfig
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from zimun import app, demo
from zimun.auth import clients
from zimun.booking.credentials import CredentialStore
from zimun.clock import Clock
from zimun.config import ConfigError, Settings
from zimun.demo_env import DemoEnv
from zimun.domain.identity import SCOPES
from zimun.gateway_settings import gateway_settings
from zimun.stores import Stores
from zimun_gateway.child_process import wait_for_any
from zimun_gateway.envoy_process import Envoy

ENVOY_READY = 20.0
"""Seconds that Envoy has to come up."""


class ChildDied(Exception):
    """Envoy ended while it was to serve."""


async def up(settings: Settings, clock: Clock | None, with_demo: bool, env: DemoEnv) -> None:
    """Run until SIGINT or SIGTERM, then stop everything in order.

    `env` is the file of the claimed data directory. Raises ChildDied when Envoy ends first,
    EnvoyError when it cannot start, and what `app.serve` raises.
    """
    if settings.grpc_tls_certificate and not settings.upstream_tls_ca:
        raise ConfigError("ZIMUN_UPSTREAM_TLS_CA must be set, too: Envoy calls the gRPC port")
    stop = app.stop_signal()
    async with AsyncExitStack() as stack:
        inner = replace(settings, auth_port=0)
        server = await stack.enter_async_context(app.serve(inner, clock))
        app.tune_garbage_collector()
        envoy = Envoy(gateway_settings(settings, server), settings.data_dir / "envoy")
        stack.push_async_callback(envoy.stop)
        await envoy.start()
        secret = await _demo(server.stores, env.earlier) if with_demo else ""
        await envoy.wait_ready(ENVOY_READY)
        address = _address(settings, server.grpc_port)
        if secret:
            env.write(address | {"ZIMUN_CLIENT_SECRET": secret})
            if secret == await _stored_secret(server.stores.credentials):
                stack.callback(env.remove)
        print(_start_message(settings, address, secret), flush=True)
        await _until_stopped(stop, envoy)
        stack.push_async_callback(envoy.drain)


async def _until_stopped(stop: asyncio.Event, envoy: Envoy) -> None:
    await wait_for_any(stop.wait(), envoy.wait_closed())
    if not stop.is_set():
        raise ChildDied(f"envoy ended with status {await envoy.wait_closed()}")


async def _demo(stores: Stores, earlier: Mapping[str, str]) -> str:
    """Fill an empty store and answer the demo client's secret.

    It is kept in the store, so that every demo on it shows the same one; a store whose client has
    another has it from before, or was given it by an operator.
    """
    await demo.seed(stores.writer, stores.clock.now())
    credentials = stores.credentials
    now = time.time_ns() // 1000
    stored = await _stored_secret(credentials)
    if not await credentials.client(demo.CLIENT_ID):
        _, secret = await clients.create_client(
            credentials, now, demo.ORG_ID, "Demo client", SCOPES, demo.CLIENT_ID, stored
        )
        return secret
    for secret in (stored, earlier.get("ZIMUN_CLIENT_SECRET", "")):
        if secret and await clients.authenticate(credentials, demo.CLIENT_ID, secret, now):
            return secret
    return await clients.rotate_secret(credentials, now, demo.CLIENT_ID)


async def _stored_secret(credentials: CredentialStore) -> str:
    return f"zs_{(await credentials.secret('demo_client')).hex()}"


def _address(settings: Settings, grpc_port: int) -> dict[str, str]:
    scheme = "https" if settings.tls_certificate else "http"
    return {
        "ZIMUN_BASE_URL": f"{scheme}://localhost:{settings.port}",
        "ZIMUN_GRPC_TARGET": f"localhost:{grpc_port}",
        "ZIMUN_CLIENT_ID": demo.CLIENT_ID,
    }


def _start_message(settings: Settings, address: Mapping[str, str], secret: str) -> str:
    """What the operator sees first: what runs where, and calls that work when pasted."""
    base, target = address["ZIMUN_BASE_URL"], address["ZIMUN_GRPC_TARGET"]
    lines = [
        f"Zimun is ready: JSON at {base}/api/v1, gRPC at {target}, data in {settings.data_dir}",
        "Ctrl-C stops it.",
    ]
    if secret:
        lines.append(
            _CALLS.format(
                base=base, target=target, client=demo.CLIENT_ID, secret=secret, grpcurl=_grpcurl()
            )
        )
    return "\n".join(lines)


def _grpcurl() -> str:
    """As it can be pasted: by its name, or by the path of the one installed beside us."""
    beside = Path(sysconfig.get_path("scripts")) / "grpcurl"
    return "grpcurl" if shutil.which("grpcurl") or not beside.exists() else str(beside)


_CALLS = """
client id      {client}
client secret  {secret}
page           {base}/docs#client_id={client}&client_secret={secret}

TOKEN=$(curl -s -u {client}:{secret} -d grant_type=client_credentials \\
  {base}/oauth/token | python3 -c 'import json,sys; print(json.load(sys.stdin)["access_token"])')
curl -s -H "Authorization: Bearer $TOKEN" '{base}/api/v1/services?page_size=50'
curl -s -H "Authorization: Bearer $TOKEN" '{base}/api/v1/availability?service_id=s_123&days_ahead=7'

{grpcurl} -plaintext {target} list
{grpcurl} -plaintext -H "Authorization: Bearer $TOKEN" \\
  -d '{{"service_id":"s_123","days_ahead":7}}' {target} zimun.v1.AvailabilityService/GetAvailability
"""
