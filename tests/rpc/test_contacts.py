"""Personal data: what is kept of a contact, and its removal from all that is kept."""

from typing import Any

import grpc
import pytest
from sqlalchemy import select

from zimun.booking import contacts
from zimun.booking.reader import Reader
from zimun.domain.instant import DAY, SECOND
from zimun.domain.ledger.reservation import contact_key
from zimun.rpc import page_tokens
from zimun.rpc.convert.contacts import shown_contact
from zimun.storage.ledger_queries import LedgerQueries
from zimun.storage.schema import idempotency
from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1 import contacts_service_pb2 as contacts_pb2
from zimun.v1.appointment_pb2 import Appointment, AppointmentChange

from ..support.postgres import SET_UP
from ..support.rpc import Zimun
from . import at, confirm_of, stamp
from .calls import (
    ELEVEN,
    TEN,
    book,
    book_request,
    changes_of,
    create_hold,
    get,
    reschedule_request,
    update,
    update_request,
)
from .catalogue import days, update_organization

SECRET = "kestrel"
"""A word in everything that is personal."""

EMAIL = f"{SECRET}@Example.com"
PERSONAL: dict[str, Any] = {
    "contact_name": f"Dana {SECRET}",
    "contact_email": EMAIL,
    "contact_phone": f"555 {SECRET}",
    "notes": f"By the {SECRET}",
    "metadata": {"crm": SECRET},
}
LATER = at("2025-12-03T00:00:00Z")


async def exported(
    zimun: Zimun, email: str = EMAIL, size: int = 0
) -> list[contacts_pb2.ContactAppointment]:
    items: list[contacts_pb2.ContactAppointment] = []
    request = contacts_pb2.ExportContactRequest(contact_email=email, page_size=size)
    while True:
        page = await zimun.call(zimun.contacts.ExportContact, request)
        items += page.items
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return items


def erase_of(email: str = EMAIL, **fields: Any) -> contacts_pb2.EraseContactRequest:
    return contacts_pb2.EraseContactRequest(contact_email=email, **fields)


async def erase(zimun: Zimun, email: str = EMAIL, **fields: Any) -> None:
    await zimun.call(zimun.contacts.EraseContact, erase_of(email, **fields))


async def kept_rows(zimun: Zimun) -> str:
    """Every row of every table of bookings, as text."""
    tables = ("reservations", "events", "idempotency")

    def read(connection: Any) -> str:
        rows = [
            bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)
            for table in tables
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}").all()
            for value in row
        ]
        return "\n".join(rows)

    return await zimun.stores.database.read(read)


@pytest.fixture
def other_server(zimun: Zimun) -> Reader:
    """A reader of the same store with a memory of its own."""
    return Reader(zimun.stores.ledgers, zimun.clock)


async def test_export_has_every_appointment_of_a_contact_with_its_changes(zimun: Zimun) -> None:
    first = await book(zimun, TEN, **PERSONAL)
    second = await book(zimun, ELEVEN, **PERSONAL | {"contact_email": EMAIL.lower()})
    await book(zimun, TEN, contact_email="else@example.com")
    noted = await update(zimun, first.appointment_id, notes="Changed")
    moved = await zimun.call(
        zimun.appointments.RescheduleAppointment,
        reschedule_request(second.appointment_id, "2025-12-02T10:00:00Z"),
    )
    found = await exported(zimun, EMAIL.upper())
    assert [one.appointment for one in found] == [noted, moved]
    for one in found:
        changes = await changes_of(zimun, one.appointment.appointment_id)
        assert list(one.changes) == changes
    assert await exported(zimun, size=1) == found
    assert await exported(zimun, "nobody@example.com") == []


async def test_export_of_many_large_changes_comes_in_pages_that_go_on_with_an_appointment(
    zimun: Zimun, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await book(zimun, TEN, **PERSONAL)
    second = await book(zimun, ELEVEN, **PERSONAL)
    for number in range(25):
        await update(zimun, first.appointment_id, notes=f"{number} of {SECRET}")
    whole = await exported(zimun)
    ids = [one.appointment.appointment_id for one in whole]
    assert sorted(ids) == sorted([first.appointment_id, second.appointment_id])
    many = ids.index(first.appointment_id)
    assert list(whole[many].changes) == await changes_of(zimun, first.appointment_id)
    monkeypatch.setattr(contacts, "MAX_EXPORT_BYTES", 1)
    parts = await exported(zimun, size=1000)
    assert [len(one.changes) for one in parts if one.appointment.appointment_id == ids[many]] == [
        10,
        10,
        6,
    ]
    for one in whole:
        same = [part for part in parts if part.appointment.hold_id == one.appointment.hold_id]
        assert [change for part in same for change in part.changes] == list(one.changes)
        assert all(part.appointment == part.changes[-1].appointment for part in same)


async def test_contact_that_an_appointment_had_before_is_exported_without_the_present_one(
    zimun: Zimun,
) -> None:
    kept = await book(zimun, TEN, **PERSONAL)
    other = {"contact_name": "Else", "contact_email": "else@example.com", "contact_phone": "1"}
    await update(zimun, kept.appointment_id, **other, notes="Theirs", metadata={"crm": "other"})
    [found] = await exported(zimun)
    assert found.appointment == kept
    [theirs] = await exported(zimun, "else@example.com")
    assert SECRET not in str(theirs)
    zimun.clock.instant = LATER
    await erase(zimun)
    assert await exported(zimun) == []
    [after] = await exported(zimun, "else@example.com")
    assert after.appointment.notes == "Theirs"
    assert SECRET not in await kept_rows(zimun)


async def test_erasure_leaves_no_trace_but_that_it_happened(
    zimun: Zimun, other_server: Reader
) -> None:
    kept = await book(zimun, TEN, key="k-1", **PERSONAL)
    request = update_request(kept.appointment_id, notes=f"More of the {SECRET}")
    await zimun.call(zimun.appointments.UpdateAppointment, request, key="k-2")
    cancel = appointments_pb2.CancelAppointmentRequest(
        appointment_id=kept.appointment_id, cancel_reason=f"Ill, says {SECRET}"
    )
    await zimun.call(zimun.appointments.CancelAppointment, cancel, key="k-3")
    org_id = "o_demo"
    read = lambda ledger, timetable, now: ledger.appointment(kept.appointment_id)  # noqa: E731
    assert SECRET in str(await other_server.query(org_id, read))
    assert SECRET in await kept_rows(zimun)
    zimun.clock.advance(60)
    await zimun.call(zimun.contacts.EraseContact, erase_of(EMAIL.upper()), client_id="c_desk")
    assert SECRET not in await kept_rows(zimun)
    assert SECRET not in str(await other_server.query(org_id, read))
    after = await get(zimun, kept.appointment_id)
    assert (after.state, after.start_time) == (Appointment.CANCELLED, kept.start_time)
    assert (after.contact_name, after.contact_email, after.cancel_reason) == ("", "", "")
    assert after.update_time == stamp("2025-11-28T09:01:00Z")
    changes = await changes_of(zimun, kept.appointment_id)
    kinds = [AppointmentChange.Type.Name(change.type) for change in changes]
    assert kinds == ["CONFIRMED", "UPDATED", "CANCELLED", "CONTACT_ERASED"]
    assert changes[-1].client_id == "c_desk"
    assert changes[-1].appointment == after
    repeated = await zimun.call(
        zimun.appointments.BookAppointment, book_request(TEN, **PERSONAL), key="k-1"
    )
    for name in (*PERSONAL, "etag"):
        kept.ClearField(name)
    repeated.ClearField("etag")
    assert repeated == kept


async def test_response_of_an_appointment_booked_while_its_contact_is_erased_keeps_the_contact(
    zimun: Zimun,
) -> None:
    """The last step of an erasure comes to a response whose appointment it has not met."""
    booked = await book(zimun, TEN, key="k-1", **PERSONAL)
    store, key = zimun.stores.ledgers, contact_key(EMAIL)
    assert await store.empty_responses("o_demo", key, shown_contact, 0.0)
    request = book_request(TEN, **PERSONAL)
    repeated = await zimun.call(zimun.appointments.BookAppointment, request, key="k-1")
    assert repeated == booked


async def test_every_response_with_an_appointment_is_stored_under_the_contact_that_it_shows(
    zimun: Zimun,
) -> None:
    hold = await create_hold(zimun, TEN)
    booked = (await book(zimun, ELEVEN, key="k", **PERSONAL)).appointment_id
    named = {"appointment_id": booked}
    requests = {
        "ConfirmAppointment": confirm_of(hold.hold_id, contact_email=EMAIL),
        "RescheduleAppointment": reschedule_request(booked, "2025-12-02T10:00:00Z"),
        "UpdateAppointment": update_request(booked, notes="Changed"),
        "MarkNoShow": appointments_pb2.MarkNoShowRequest(**named),
        "ReopenAppointment": appointments_pb2.ReopenAppointmentRequest(**named),
        "CompleteAppointment": appointments_pb2.CompleteAppointmentRequest(**named),
    }
    for method, request in requests.items():
        if method == "MarkNoShow":
            zimun.clock.instant = at("2025-12-02T10:00:00Z")
        await zimun.call(getattr(zimun.appointments, method), request, key="k")
    other = await book(zimun, "2025-12-02T15:00:00Z", contact_email="else@example.com")
    cancel = appointments_pb2.CancelAppointmentRequest(appointment_id=other.appointment_id)
    await zimun.call(zimun.appointments.CancelAppointment, cancel, key="k")
    c = idempotency.c
    query = select(c.method, c.response, c.contact_key).prefix_with(SET_UP)
    rows = await zimun.stores.database.read(lambda tx: tx.execute(query).all())
    service = appointments_pb2.DESCRIPTOR.services_by_name["AppointmentsService"]
    methods = {one.name for one in service.methods if one.output_type is Appointment.DESCRIPTOR}
    assert {method for method, _, _ in rows} == methods - {"GetAppointment"}
    for method, response, stored_key in rows:
        shown = shown_contact(method, response)
        assert shown
        assert shown.contact_key == stored_key, method


async def test_erasing_again_changes_nothing(zimun: Zimun) -> None:
    await book(zimun, TEN, **PERSONAL)
    await erase(zimun, include_upcoming=True)
    rows = await kept_rows(zimun)
    await erase(zimun)
    assert await kept_rows(zimun) == rows


async def test_erasure_of_many_appointments_says_that_it_is_to_be_called_again(
    zimun: Zimun, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hour in range(9, 14):
        await book(zimun, f"2025-12-01T{hour:02}:00:00Z", key=f"k-{hour}", **PERSONAL)
    monkeypatch.setattr(contacts, "BATCH", 2)
    monkeypatch.setattr(contacts, "MAX_SECONDS", -1.0)
    request = erase_of(include_upcoming=True)
    incomplete: list[bool] = []
    while not incomplete or incomplete[-1]:
        assert len(await exported(zimun)) == 5 - 2 * len(incomplete)
        response = await zimun.call(zimun.contacts.EraseContact, request, key="k-erase")
        incomplete.append(response.incomplete)
    assert incomplete == [True, True, False]
    assert SECRET not in await kept_rows(zimun)


async def test_export_goes_on_after_the_last_appointment_that_a_page_has_room_for(
    zimun: Zimun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_tokens, "MAX_PAGE", 1)
    booked = [await book(zimun, f"2025-12-01T{hour:02}:00:00Z", **PERSONAL) for hour in (9, 10, 11)]
    ids = [item.appointment.appointment_id for item in await exported(zimun)]
    assert sorted(ids) == sorted(one.appointment_id for one in booked)


async def test_page_of_an_export_seeks_no_more_than_it_has(
    zimun: Zimun, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hour in range(9, 14):
        await book(zimun, f"2025-12-01T{hour:02}:00:00Z", **PERSONAL)
    limits: list[int] = []
    seek = LedgerQueries.contact_holds

    async def noted(self: Any, org_id: str, key: str, first: str, limit: int) -> Any:
        limits.append(limit)
        return await seek(self, org_id, key, first, limit)

    monkeypatch.setattr(LedgerQueries, "contact_holds", noted)
    assert len(await exported(zimun, size=2)) == 5
    assert limits == [4, 4, 4]


async def test_appointment_without_a_contact_takes_no_name_without_an_address(zimun: Zimun) -> None:
    kept = (await book(zimun, TEN, **PERSONAL)).appointment_id
    await erase(zimun, include_upcoming=True)
    for field in ("contact_name", "contact_phone"):
        request = update_request(kept, **{field: "1234"})
        refused = await zimun.refused(zimun.appointments.UpdateAppointment, request)
        assert list(refused.fields) == ["contact_email"]
    assert (await update(zimun, kept, notes="Door 2")).notes == "Door 2"
    whole = {"contact_name": "Eve", "contact_email": "eve@example.com"}
    assert (await update(zimun, kept, **whole)).contact_name == "Eve"


async def test_contact_with_an_appointment_to_come_is_erased_only_where_that_is_said(
    zimun: Zimun,
) -> None:
    past = await book(zimun, TEN, **PERSONAL)
    zimun.clock.instant = at(ELEVEN)
    coming = await book(zimun, "2025-12-03T10:00:00Z", **PERSONAL)
    rows = await kept_rows(zimun)
    refused = await zimun.refused(zimun.contacts.EraseContact, erase_of())
    assert refused.code == grpc.StatusCode.FAILED_PRECONDITION
    assert refused.reason == "CONTACT_HAS_APPOINTMENTS"
    assert refused.info.metadata["appointment_ids"] == coming.appointment_id
    assert await kept_rows(zimun) == rows
    await erase(zimun, include_upcoming=True)
    for appointment_id in (past.appointment_id, coming.appointment_id):
        assert (await get(zimun, appointment_id)).contact_name == ""
    after = await get(zimun, coming.appointment_id)
    assert (after.state, after.start_time) == (Appointment.CONFIRMED, coming.start_time)
    same_time = book_request("2025-12-03T10:00:00Z", staff_id=coming.staff_id)
    taken = await zimun.refused(zimun.appointments.BookAppointment, same_time)
    assert taken.reason == "SLOT_UNAVAILABLE"
    moved = await zimun.call(
        zimun.appointments.RescheduleAppointment,
        reschedule_request(coming.appointment_id, "2025-12-03T11:00:00Z"),
    )
    assert (moved.contact_name, moved.start_time) == ("", stamp("2025-12-03T11:00:00Z"))


async def test_retention_erases_contacts_of_what_ended_so_many_days_ago(zimun: Zimun) -> None:
    ended = await book(zimun, TEN, **PERSONAL)
    later = await book(zimun, "2025-12-02T10:00:00Z", **PERSONAL)

    async def names() -> list[str]:
        ids = (ended.appointment_id, later.appointment_id)
        return [(await get(zimun, appointment_id)).contact_name for appointment_id in ids]

    async def sweep() -> int:
        return await contacts.Retention(zimun.stores.ledgers, zimun.clock).sweep()

    name = PERSONAL["contact_name"]
    zimun.clock.instant = at("2026-01-30T00:00:00Z")
    assert await sweep() == 0
    zimun.clock.instant = ended.end_time.ToMicroseconds() + 3 * DAY - SECOND
    await update_organization(zimun, contact_retention=days(3))
    assert (await sweep(), await names()) == (0, [name, name])
    zimun.clock.advance(1)
    assert (await sweep(), await names()) == (1, ["", name])
    assert await sweep() == 0
    change = (await changes_of(zimun, ended.appointment_id))[-1]
    assert (change.type, change.client_id) == (AppointmentChange.CONTACT_ERASED, "")
    late = update_request(ended.appointment_id, notes="Again")
    refused = await zimun.refused(zimun.appointments.UpdateAppointment, late)
    assert refused.reason == "CONTACT_RETENTION_OVER"
    zimun.clock.advance(30 * 24 * 3600)
    assert (await sweep(), await names()) == (2, ["", ""]), "a_123 of the demo ended, too"


async def test_retention_is_a_number_of_days(zimun: Zimun) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="contact_retention"):
        await update_organization(zimun, contact_retention={"seconds": 3600})
