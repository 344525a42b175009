"""A real Envoy in front of the stubs, and a client for it."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import grpc

from zimun.v1.services_service_pb2_grpc import ServicesServiceStub
from zimun_gateway import Settings, site
from zimun_gateway.envoy_process import Envoy, EnvoyError
from zimun_gateway.static_files import swagger_ui

from .gateway_stubs import Issuer, StubServer
from .processes import free_port

LOG_RATE = Path(__file__).parents[2] / "gateway/zimun_gateway/log_rate.yaml"
DESCRIPTORS = Path(__file__).parents[2] / "server/zimun/v1/descriptors.binpb"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    def json(self) -> Any:
        return json.loads(self.text)

    def reason(self) -> str:
        """The ErrorInfo's reason, after a look at the one shape that every error has."""
        body = self.json()
        assert self.headers["content-type"] == "application/json"
        assert set(body) == {"code", "message", "details"}
        assert isinstance(body["code"], int)
        assert body["message"]
        info = body["details"][0]
        assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
        assert info["domain"] == "zimun"
        assert isinstance(info["metadata"], dict)
        return str(info["reason"])

    def violation(self) -> tuple[str, str]:
        """The one malformed field and what it must be, as the server itself would say it."""
        assert (self.status, self.reason()) == (400, "INVALID_FIELD")
        body = self.json()
        info, bad = body["details"]
        assert bad["@type"] == "type.googleapis.com/google.rpc.BadRequest"
        (violation,) = bad["field_violations"]
        assert set(violation) == {"field", "description", "reason"}
        field, description = str(violation["field"]), str(violation["description"])
        assert info["metadata"] == {"field": field}
        assert (body["code"], body["message"]) == (3, f"{field}: {description}")
        assert self.headers["content-length"] == str(len(self.text.encode()))
        assert not [name for name in self.headers if name.startswith("x-zimun")]
        return field, description


@dataclass
class Gateway:
    settings: Settings
    envoy: Envoy
    server: StubServer
    issuer: Issuer
    http: aiohttp.ClientSession
    scheme: str = "http"

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.settings.listen_port}"

    def bearer(self, subject: str = "c_1", **changes: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.issuer.token(subject, **changes)}"}

    async def call(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: Any = None
    ) -> Answer:
        """As client c_1 unless `headers` are given; a body that is no text is sent as JSON."""
        content_type = {"Content-Type": "application/json"} if body is not None else {}
        if body is not None and not isinstance(body, str | bytes):
            body = json.dumps(body)
        async with self.http.request(
            method,
            f"{self.scheme}://{self.target}{path}",
            headers=content_type | (self.bearer() if headers is None else headers),
            data=body,
        ) as response:
            names = {name.lower(): value for name, value in response.headers.items()}
            text = (await response.read()).decode(errors="replace")
            return Answer(response.status, names, text)

    async def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return await self.call("GET", path, headers)

    async def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Answer:
        return await self.call("POST", path, headers, body)

    async def admin(self, path: str) -> str:
        """What Envoy's admin port answers."""
        async with self.http.get(f"http://{self.envoy.admin_address}{path}") as response:
            return await response.text()

    def stub(self, channel: grpc.aio.Channel) -> Any:
        """Generated stubs are untyped."""
        make: Any = ServicesServiceStub
        return make(channel)

    def channel(self) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(self.target)

    def metadata(self, **changes: Any) -> tuple[tuple[str, str], ...]:
        return (("authorization", self.bearer(**changes)["Authorization"]),)


@asynccontextmanager
async def run_gateway(
    workdir: Path, *, also_grpc: tuple[str, ...] = (), **changes: Any
) -> AsyncIterator[Gateway]:
    """Stubs and an Envoy with these settings changed; an outside provider if `jwks_uri` is True.

    `also_grpc` are addresses of further servers.
    """
    server, issuer = StubServer(), Issuer()
    await server.start()
    await issuer.start()
    if changes.get("jwks_uri"):
        changes["jwks_uri"] = f"http://{issuer.endpoint}/.well-known/jwks.json"
    settings = replace(
        Settings(
            listen_address="127.0.0.1",
            listen_port=free_port(),
            admin_port=0,
            grpc_endpoints=(server.target, *also_grpc),
            auth_endpoints=(issuer.endpoint,),
            descriptors=DESCRIPTORS,
            site=site.DIRECTORY,
            swagger_ui=swagger_ui(),
            log_rate=LOG_RATE,
            access_log=str(workdir / "access.log"),
        ),
        **changes,
    )
    envoy = Envoy(settings, workdir)
    try:
        await envoy.start()
        await envoy.wait_ready()
        async with aiohttp.ClientSession() as http:
            yield Gateway(settings, envoy, server, issuer, http)
    finally:
        await kill(envoy)
        await server.stop()
        await issuer.stop()


async def kill(envoy: Envoy) -> None:
    """End an Envoy at once: to end by itself takes it up to a second."""
    with suppress(EnvoyError, ProcessLookupError):
        os.kill(envoy.pid, signal.SIGKILL)
    await envoy.stop()


async def raw(target: str, sent: bytes) -> tuple[bytes, bytes]:
    """Head and body of what comes back for these bytes."""
    host, port = target.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(sent)
        async with asyncio.timeout(5):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
            return head, await reader.readexactly(int(length))
    finally:
        writer.close()
