"""What stands behind Envoy in these tests: a gRPC server that does as told, and a key server."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
from aiohttp import web
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from joserfc import jwt
from joserfc.jwk import ECKey

from zimun.v1 import (
    appointments_service_pb2,
    availability_service_pb2,
    locations_service_pb2,
    organizations_service_pb2,
    overrides_service_pb2,
    resources_service_pb2,
    services_service_pb2,
    staff_service_pb2,
    time_off_service_pb2,
)

from .processes import free_port

CONTRACT = (
    appointments_service_pb2,
    availability_service_pb2,
    locations_service_pb2,
    organizations_service_pb2,
    overrides_service_pb2,
    resources_service_pb2,
    services_service_pb2,
    staff_service_pb2,
    time_off_service_pb2,
)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Behaviour = Callable[[Any, Context], Awaitable[Message]]


@dataclass
class Call:
    """A call that reached the server."""

    method: str
    request: Any
    metadata: dict[str, str]
    time_remaining: float | None


@dataclass
class StubServer:
    """Every method of the contract: an empty answer unless `behaviours` knows better."""

    target: str = ""
    calls: list[Call] = field(default_factory=list)
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    _server: grpc.aio.Server | None = None

    async def start(self, port: int = 0, leave_out: str = "", **options: int) -> None:
        """Without the method called `leave_out`, as a server of an older contract.

        Its port is below those of outgoing connections: when it stops, no connection takes it.
        `options` are those of gRPC that begin with "grpc.".
        """
        more = [(f"grpc.{name}", value) for name, value in options.items()]
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0), *more])
        names = [service for module in CONTRACT for service in _services(module)]
        for service in names:
            handlers = {
                method.name: self._handler(method)
                for method in service.methods
                if method.name != leave_out
            }
            generic = grpc.method_handlers_generic_handler(service.full_name, handlers)
            server.add_generic_rpc_handlers((generic,))
        health_servicer = health.aio.HealthServicer()
        await health_servicer.set("", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
        reflection.enable_server_reflection([s.full_name for s in names], server)
        self.target = f"127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port or free_port()}')}"
        await server.start()
        self._server = server

    async def stop(self) -> None:
        if self._server:
            await self._server.stop(grace=None)

    def last(self) -> Call:
        return self.calls[-1]

    def _handler(self, method: MethodDescriptor) -> "grpc.RpcMethodHandler[Any, Any]":
        async def answer(request: Any, context: Context) -> Message:
            metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
            self.calls.append(Call(method.name, request, metadata, context.time_remaining()))
            behaviour = self.behaviours.get(method.name)
            return await behaviour(request, context) if behaviour else output()

        output = message_factory.GetMessageClass(method.output_type)
        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=message_factory.GetMessageClass(method.input_type).FromString,
            response_serializer=output.SerializeToString,
        )


def _services(module: Any) -> list[Any]:
    return list(module.DESCRIPTOR.services_by_name.values())


class Issuer:
    """Signs tokens, and serves its keys and a token endpoint over HTTP."""

    def __init__(self, issuer: str = "http://localhost:8080") -> None:
        self.issuer = issuer
        self.key = ECKey.generate_key("P-256", parameters={"kid": "k1"}, auto_kid=False)
        self.fetches = 0
        self.from_agents: list[dict[str, str]] = []
        self.endpoint = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/.well-known/jwks.json", self._jwks)
        app.router.add_get("/.well-known/oauth-authorization-server", self._metadata)
        app.router.add_post("/oauth/token", self._token)
        app.router.add_route("*", "/o/{org_id}/mcp", self._mcp)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.endpoint = f"{host}:{port}"

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _mcp(self, request: web.Request) -> web.Response:
        """Keep the headers of a request to the endpoint for agents."""
        self.from_agents.append({name.lower(): value for name, value in request.headers.items()})
        return web.json_response({"jsonrpc": "2.0", "id": 1, "result": {}})

    def token(self, subject: str = "c_1", *, key: ECKey | None = None, **changes: Any) -> str:
        """A good token but for `changes`; None leaves a claim out."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": "zimun",
            "sub": subject,
            "client_id": subject,
            "org_id": "o_1",
            "scope": "org:read",
            "iat": now,
            "exp": now + 300,
        } | changes
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode({"alg": "ES256", "kid": "k1"}, present, key or self.key)

    async def _jwks(self, _: web.Request) -> web.Response:
        self.fetches += 1
        return web.json_response({"keys": [self.key.as_dict(private=False)]})

    async def _metadata(self, _: web.Request) -> web.Response:
        return web.json_response({"issuer": self.issuer})

    async def _token(self, request: web.Request) -> web.Response:
        """RFC 6749, 5.2, for whatever is asked."""
        form = await request.post()
        body = {"error": "invalid_client", "grant": form.get("grant_type", "")}
        return web.json_response(body, status=401, headers={"Cache-Control": "no-store"})
