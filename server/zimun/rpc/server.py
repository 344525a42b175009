"""The gRPC server: every service of the contract, health, reflection."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import grpc
from google.protobuf.descriptor_pool import Default
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from zimun.booking.writer import MAX_GROUP
from zimun.rpc import validation
from zimun.rpc.admission import Admission
from zimun.rpc.dispatch import Dispatcher, Handler, Observer, Verify
from zimun.rpc.grpc_logs import leave_out_records
from zimun.rpc.health import Health
from zimun.rpc.local_calls import LocalCalls
from zimun.rpc.ports import PortTaken
from zimun.rpc.request_context import Dependencies
from zimun.rpc.services.appointments import AppointmentsServicer
from zimun.rpc.services.availability import AvailabilityServicer
from zimun.rpc.services.contacts import ContactsServicer
from zimun.rpc.services.locations import LocationsServicer
from zimun.rpc.services.organizations import OrganizationsServicer
from zimun.rpc.services.overrides import OverridesServicer
from zimun.rpc.services.resources import ResourcesServicer
from zimun.rpc.services.services import ServicesServicer
from zimun.rpc.services.staff import StaffServicer
from zimun.rpc.services.time_off import TimeOffServicer
from zimun.v1 import (
    appointments_service_pb2_grpc,
    availability_service_pb2_grpc,
    contacts_service_pb2_grpc,
    locations_service_pb2_grpc,
    organizations_service_pb2_grpc,
    overrides_service_pb2_grpc,
    resources_service_pb2_grpc,
    services_service_pb2_grpc,
    staff_service_pb2_grpc,
    time_off_service_pb2_grpc,
)
from zimun_gateway.child_process import endpoint

WRITING = frozenset({"", "zimun.v1.AppointmentsService"})
"""The services that cannot serve while the store cannot be written; "" is the whole server."""

_SERVICERS: Mapping[Callable[[Any, Any], None], Callable[[Dependencies], object]] = {
    appointments_service_pb2_grpc.add_AppointmentsServiceServicer_to_server: AppointmentsServicer,
    availability_service_pb2_grpc.add_AvailabilityServiceServicer_to_server: AvailabilityServicer,
    contacts_service_pb2_grpc.add_ContactsServiceServicer_to_server: ContactsServicer,
    locations_service_pb2_grpc.add_LocationsServiceServicer_to_server: LocationsServicer,
    organizations_service_pb2_grpc.add_OrganizationsServiceServicer_to_server: (
        OrganizationsServicer
    ),
    overrides_service_pb2_grpc.add_OverridesServiceServicer_to_server: OverridesServicer,
    resources_service_pb2_grpc.add_ResourcesServiceServicer_to_server: ResourcesServicer,
    services_service_pb2_grpc.add_ServicesServiceServicer_to_server: ServicesServicer,
    staff_service_pb2_grpc.add_StaffServiceServicer_to_server: StaffServicer,
    time_off_service_pb2_grpc.add_TimeOffServiceServicer_to_server: TimeOffServicer,
}

MAX_METADATA_BYTES = 64 * 1024
"""Bytes of a call's headers, twice Envoy's limit. Both of gRPC's limits are set to it: between
them gRPC refuses at random."""

MAX_CONNECTION_AGE = 300
"""Seconds, with a random difference of up to a tenth (gRPC)."""

CONNECTION_GRACE = 60
"""Seconds that calls under way then have: Envoy's have 15, and its streams 60."""

LISTEN_PAUSE = 0.1
"""Seconds after which a server that is started anew tries again to listen."""

log = logging.getLogger(__name__)

_OPTIONS = (
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.max_receive_message_length", 1 << 20),
    ("grpc.max_concurrent_streams", 256),
    # Until the client's first frame, and without a call. Envoy closes its connections sooner than
    # the idle time and the age: a response that Envoy is reading as the server closes may be cut.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_connection_idle_ms", 120_000),
    # A client of several servers then chooses one again; calls under way are finished.
    ("grpc.max_connection_age_ms", MAX_CONNECTION_AGE * 1000),
    # Calls whose request never comes, and streams, end with their connection.
    ("grpc.max_connection_age_grace_ms", CONNECTION_GRACE * 1000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 2),
    # Calls that the event loop has not accepted yet, some 20 kB each. gRPC answers CANCELLED to
    # those beyond, of all callers: so more than resets on a few connections make.
    ("grpc.server.max_pending_requests", 8192),
    ("grpc.server.max_pending_requests_hard_limit", 16384),
)


class _Handlers:
    """Collects the handlers that generated code adds to a server, by the path of the method.

    A server of grpc.aio compares every call with each registered method: 10 to 20 % of the
    time of a short call, with fifty methods. A generic handler finds the method by its path.
    """

    def __init__(self) -> None:
        self.by_path: dict[str, Handler] = {}

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """As `grpc.aio.Server` has it."""
        self.by_path |= {f"/{service}/{name}": handler for name, handler in handlers.items()}

    def add_generic_rpc_handlers(self, _: object) -> None:
        """As `grpc.aio.Server` has it; ignored, as the handlers come as registered ones, too."""


class RpcServer:
    """A server on one port; `port` is its number, `serving` the health of each service.

    Connections beyond `max_connections` are closed at once. With `sharing` several servers may
    listen on one port. `interceptors` run before the dispatcher. `local_calls` calls the methods
    from within the process.
    """

    def __init__(
        self,
        dependencies: Dependencies,
        verify: Verify,
        max_connections: int,
        observer: Observer,
        sharing: bool = False,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    ) -> None:
        self._health = Health()
        self.port = 0
        self.serving: dict[str, bool] = {}
        handlers = _Handlers()
        for add, servicer in _SERVICERS.items():
            add(servicer(dependencies), handlers)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, handlers)
        names = [service.full_name for service in validation.services()]
        reflected = (*names, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(
            reflection.aio.ReflectionServicer(reflected, Default()), handlers
        )
        options = (
            *_OPTIONS,
            ("grpc.max_allowed_incoming_connections", max_connections),
            ("grpc.so_reuseport", int(sharing)),
        )
        self.admission = Admission(2 * MAX_GROUP * dependencies.store.lanes)
        dispatcher = Dispatcher(verify, self.admission, handlers.by_path, observer)
        self.local_calls = LocalCalls(dispatcher, interceptors)
        self._new_server = partial(
            grpc.aio.server, handlers=(dispatcher,), interceptors=interceptors, options=options
        )
        self._server = self._new_server()
        leave_out_records()
        self._replacing: asyncio.Task[None] | None = None

    async def start(
        self, host: str, port: int, credentials: grpc.ServerCredentials | None = None
    ) -> None:
        """Listen at a port of a host (0: any free one), without TLS where there are no credentials.

        Raises PortTaken.
        """
        try:
            await self._listen(host, port, credentials)
        except RuntimeError as error:
            raise PortTaken("gRPC", host, port) from error
        self._replacing = asyncio.create_task(self._replace_ended(host, credentials))

    async def _listen(
        self, host: str, port: int, credentials: grpc.ServerCredentials | None
    ) -> None:
        address = endpoint(host, port)
        if credentials:
            self.port = self._server.add_secure_port(address, credentials)
        else:
            self.port = self._server.add_insecure_port(address)
        await self._server.start()

    async def _replace_ended(self, host: str, credentials: grpc.ServerCredentials | None) -> None:
        """Listen again where a server ends by itself, which cancels all calls.

        The main loop of grpc.aio's server fails on a path that is not UTF-8, before a handler is
        asked.
        """
        while True:
            try:
                # To cancel it would break the server's `stop`.
                await asyncio.shield(self._server.wait_for_termination())
            except UnicodeDecodeError:
                log.error(
                    "a request whose path is not UTF-8 has ended the gRPC server; starting it anew"
                )
                await self._listen_again(host, credentials)
            else:
                return

    async def _listen_again(self, host: str, credentials: grpc.ServerCredentials | None) -> None:
        """Listen at the same port with a new server, once no other program has the port."""
        while True:
            self._server = self._new_server()
            try:
                return await self._listen(host, self.port, credentials)
            except RuntimeError as error:
                log.error("the gRPC server cannot listen: %s", error)
                await asyncio.sleep(LISTEN_PAUSE)

    async def set_health(self, readable: bool, writable: bool) -> None:
        """Set the health of each service: SERVING where it can do its work."""
        for name in ("", *(service.full_name for service in validation.services())):
            serving = self.serving[name] = readable and (writable or name not in WRITING)
            status = HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
            await self._health.set(name, status)

    async def stop(self, grace: float) -> None:
        """Accept no more calls, and finish running calls within `grace` seconds."""
        await self._health.enter_graceful_shutdown()
        if self._replacing:
            self._replacing.cancel()
        await self._server.stop(grace)
