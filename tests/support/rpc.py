"""A server in this process on the demo catalogue, stubs to it, and what refused calls are told."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from sqlalchemy import Table

from zimun import app, demo
from zimun.auth.signing_keys import KeyStore
from zimun.auth.tokens import Issuer
from zimun.booking.catalog import CreateOrganization
from zimun.booking.writer import Writer
from zimun.clock import ManualClock
from zimun.config import Settings
from zimun.domain.catalog.entries import Organization
from zimun.domain.identity import SCOPES, Client
from zimun.domain.instant import from_datetime
from zimun.stores import Stores
from zimun.v1 import (
    appointments_service_pb2_grpc,
    availability_service_pb2_grpc,
    contacts_service_pb2_grpc,
    locations_service_pb2_grpc,
    organizations_service_pb2_grpc,
    overrides_service_pb2_grpc,
    resources_service_pb2_grpc,
    services_service_pb2_grpc,
    slot_pb2,
    staff_service_pb2_grpc,
    time_off_pb2,
    time_off_service_pb2_grpc,
)

FRIDAY_MORNING = from_datetime(datetime(2025, 11, 28, 9, tzinfo=UTC))

Rows = dict[Table, list[dict[str, Any]]]


@dataclass(frozen=True)
class Refusal:
    """What a refused call was told: its code, its ErrorInfo, all details, and their types."""

    code: grpc.StatusCode
    message: str
    info: error_details_pb2.ErrorInfo
    fields: dict[str, str]
    alternatives: list[slot_pb2.Slot]
    conflicts: time_off_pb2.TimeOffConflicts
    details: list[str]
    headers: dict[str, str]

    @property
    def reason(self) -> str:
        return str(self.info.reason)


def refusal(error: grpc.aio.AioRpcError) -> Refusal:
    trailers = dict(error.trailing_metadata())
    status = Status.FromString(trailers["grpc-status-details-bin"])
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    others, conflicts = slot_pb2.SlotAlternatives(), time_off_pb2.TimeOffConflicts()
    for detail in status.details:
        for known in (info, bad, others, conflicts):
            detail.Unpack(known)
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    return Refusal(
        error.code(),
        status.message,
        info,
        {violation.field: violation.description for violation in bad.field_violations},
        list(others.slots),
        conflicts,
        [detail.TypeName() for detail in status.details],
        {key: value for key, value in trailers.items() if isinstance(value, str)},
    )


@dataclass(frozen=True)
class Zimun:
    """The running server, and stubs on a channel to it."""

    clock: ManualClock
    stores: Stores
    target: str
    channel: grpc.aio.Channel
    issuer: Issuer
    rows: Rows = field(default_factory=dict, repr=False)
    """What its database held when it had been seeded."""

    def token(
        self,
        scopes: Iterable[str] = SCOPES,
        org_id: str = demo.ORG_ID,
        client_id: str = demo.CLIENT_ID,
    ) -> str:
        client = Client(client_id, org_id, "Tests", tuple(scopes), secret_hash="", create_time=0)
        return self.issuer.issue(client, scopes)

    def bearer(self, key: str = "", **token: Any) -> tuple[tuple[str, str], ...]:
        keyed = (("idempotency-key", key),) if key else ()
        return (("authorization", f"Bearer {self.token(**token)}"), *keyed)

    async def call(self, method: Any, request: Message, key: str = "", **token: Any) -> Any:
        return await method(request, metadata=self.bearer(key, **token), timeout=10)

    async def refused(self, method: Any, request: Message, key: str = "", **token: Any) -> Refusal:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.call(method, request, key, **token)
        return refusal(caught.value)

    @property
    def services(self) -> Any:
        return services_service_pb2_grpc.ServicesServiceStub(self.channel)

    @property
    def locations(self) -> Any:
        return locations_service_pb2_grpc.LocationsServiceStub(self.channel)

    @property
    def staff(self) -> Any:
        return staff_service_pb2_grpc.StaffServiceStub(self.channel)

    @property
    def resources(self) -> Any:
        return resources_service_pb2_grpc.ResourcesServiceStub(self.channel)

    @property
    def organizations(self) -> Any:
        return organizations_service_pb2_grpc.OrganizationsServiceStub(self.channel)

    @property
    def overrides(self) -> Any:
        return overrides_service_pb2_grpc.OverridesServiceStub(self.channel)

    @property
    def time_off(self) -> Any:
        return time_off_service_pb2_grpc.TimeOffServiceStub(self.channel)

    @property
    def availability(self) -> Any:
        return availability_service_pb2_grpc.AvailabilityServiceStub(self.channel)

    @property
    def contacts(self) -> Any:
        return contacts_service_pb2_grpc.ContactsServiceStub(self.channel)

    @property
    def appointments(self) -> Any:
        return appointments_service_pb2_grpc.AppointmentsServiceStub(self.channel)


@asynccontextmanager
async def run_server(
    data_dir: Path, clock: ManualClock, database_url: str = ""
) -> AsyncIterator[Zimun]:
    """A server on what the database, or else the directory, holds, and stubs to it."""
    settings = Settings(data_dir=data_dir, database_url=database_url, grpc_port=0, auth_port=0)
    async with app.serve(settings, clock) as server, connected(server, settings, clock) as zimun:
        yield zimun


@asynccontextmanager
async def connected(
    server: app.StartedServer, settings: Settings, clock: ManualClock
) -> AsyncIterator[Zimun]:
    """Stubs to a server."""
    target = f"127.0.0.1:{server.grpc_port}"
    keys = await KeyStore.open(server.stores.credentials)
    issuer = Issuer(keys, settings.public_issuer, settings.audience)
    async with grpc.aio.insecure_channel(target) as channel:
        yield Zimun(clock, server.stores, target, channel, issuer)


async def seed(writer: Writer) -> None:
    """Put the demo, and an organization that has nothing to do with it."""
    await demo.seed(writer, FRIDAY_MORNING)
    other = Organization(id="o_other", name="Other", time_zone="UTC")
    await writer.run(other.id, CreateOrganization(other), creates=True)
