"""The clients of zimun.client against a real server; mypy checks their types here, too."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from zimun.client import (
    AsyncClient,
    Client,
    Conflict,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    SlotUnavailable,
    Unauthenticated,
    Unavailable,
    groups,
)
from zimun.client.methods import Method, Pages
from zimun.rpc import validation
from zimun.v1.appointment_pb2 import Appointment
from zimun.v1.hold_pb2 import Hold
from zimun.v1.service_pb2 import Service

from ..support.rpc import Zimun

MONDAY = datetime(2025, 12, 1, 10, tzinfo=UTC)


def test_every_method_of_the_contract_is_one_of_a_group() -> None:
    declared = {
        method._path
        for group in vars(groups).values()
        if isinstance(group, type) and group.__name__.endswith("Methods")
        for method in vars(group).values()
        if isinstance(method, Method | Pages)
    }
    assert declared == set(validation.required_scopes())


async def test_async_client_books_and_cancels(zimun: Zimun) -> None:
    async with AsyncClient(zimun.target, zimun.token) as client:
        found = await client.availability.next(service_id="s_123", start_time_from=MONDAY)
        start = found.slots[0].start_time
        hold: Hold = await client.appointments.hold(service_id="s_123", appointment_time=start)
        booked: Appointment = await client.appointments.confirm(
            hold_id=hold.hold_id, contact_name="Dana Lee", contact_email="dana@example.com"
        )
        moved = await client.appointments.reschedule(
            appointment_id=booked.appointment_id, start_time=MONDAY + timedelta(hours=3)
        )
        assert moved.start_time.ToDatetime(UTC) == MONDAY + timedelta(hours=3)
        cancelled = await client.appointments.cancel(appointment_id=booked.appointment_id)
        assert cancelled.state == Appointment.CANCELLED


async def test_blocking_client_has_the_same_methods(zimun: Zimun) -> None:
    def book() -> Hold:
        with Client(zimun.target, zimun.token) as client:
            hold = client.appointments.hold(service_id="s_123", appointment_time=MONDAY)
            assert [service.id for service in client.services.list(page_size=1)] == SERVICES
            return client.appointments.release_hold(hold_id=hold.hold_id)

    assert (await asyncio.to_thread(book)).state == Hold.RELEASED


SERVICES = ["s_123", "s_treatment", "s_yoga"]


async def test_items_of_all_pages_are_iterated(zimun: Zimun) -> None:
    async with AsyncClient(zimun.target, zimun.token) as client:
        found: list[Service] = [service async for service in client.services.list(page_size=1)]
    assert [service.id for service in found] == SERVICES


async def test_same_key_takes_effect_once(zimun: Zimun) -> None:
    async with AsyncClient(zimun.target, zimun.token) as client:
        keyed = client.with_options(idempotency_key="k_1", timeout=5)
        first = await keyed.appointments.hold(service_id="s_123", appointment_time=MONDAY)
        again = await keyed.appointments.hold(service_id="s_123", appointment_time=MONDAY)
        other = await client.appointments.hold(service_id="s_123", appointment_time=MONDAY)
        assert first == again != other
        with pytest.raises(Conflict) as caught:
            await keyed.appointments.hold(service_id="s_yoga", appointment_time=MONDAY)
        assert caught.value.reason == "IDEMPOTENCY_KEY_REUSED"


async def test_refusals_are_classes_with_what_helps(zimun: Zimun) -> None:
    async with AsyncClient(zimun.target, zimun.token) as client:
        hold = client.appointments.hold
        for _ in range(3):
            await hold(service_id="s_123", appointment_time=MONDAY)
        with pytest.raises(SlotUnavailable) as taken:
            await hold(service_id="s_123", appointment_time=MONDAY)
        assert len(taken.value.alternatives) == 3
        with pytest.raises(NotFound) as missing:
            await client.services.get(service_id="s_none")
        assert missing.value.metadata == {"service_id": "s_none"}
        with pytest.raises(InvalidArgument) as malformed:
            await client.availability.get(service_id="s_123", date="tomorrow")
        assert list(malformed.value.violations) == ["date"]
        with pytest.raises(FailedPrecondition) as closed:
            await hold(service_id="s_123", appointment_time=MONDAY + timedelta(hours=12))
        assert closed.value.reason == "NOT_A_SLOT"


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        (lambda zimun: zimun.token(scopes=["org:read"]), PermissionDenied),
        (lambda _: "none", Unauthenticated),
    ],
)
async def test_refused_tokens_are_classes(
    zimun: Zimun, token: Callable[[Zimun], str], kind: type[Exception]
) -> None:
    async with AsyncClient(zimun.target, lambda: token(zimun)) as client:
        with pytest.raises(kind):
            await client.availability.get(service_id="s_123", date="2025-12-01")


async def test_server_that_is_not_there_is_unavailable() -> None:
    async with AsyncClient("127.0.0.1:9", lambda: "token") as client:
        with pytest.raises(Unavailable) as caught:
            await client.organization.get()
    assert caught.value.reason == ""
