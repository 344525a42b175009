"""The judge and contacts: what was erased is gone, all else stays, and an export has all."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from zimun.v1.appointment_pb2 import Appointment

from .books import TIMES, Books, assert_finds
from .erasure import without_contact
from .history import Row
from .scenario import HOUR

EMAIL = "c1@example.com"


def raw_of(row: Row) -> str:
    """An appointment as it is answered, as far as these tests need it."""
    answer = Appointment(
        appointment_id=row["appointment_id"],
        hold_id=row["hold_id"],
        etag=str(row["revision"]),
        contact_name=row["contact_name"],
        contact_email=row["contact_email"],
    )
    return answer.SerializeToString(deterministic=True).hex()


def booked(books: Books, hour: int, **more: str) -> Row:
    """An appointment of a customer, whose response is stored."""
    row = books.book("s_cut", TIMES + hour * HOUR, "t_ada", email=more.get("email", EMAIL))
    books.history[-1] = replace(books.history[-1], raw=raw_of(row))
    books.tables["idempotency"][-1]["response"] = raw_of(row)
    return row


@pytest.fixture
def books() -> Books:
    """Of a customer two appointments, one of them cancelled; exported, and erased. Of another one
    an appointment that is there still."""
    books = Books()
    rows = [booked(books, hour) for hour in (0, 1)]
    books.cancel(rows[1])
    books.tables["idempotency"][-1]["response"] = raw_of(rows[1])
    books.history[-1] = replace(books.history[-1], raw=raw_of(rows[1]))
    booked(books, 2, email="c2@example.com")
    books.export(EMAIL)
    books.refuse("EraseContact", asked(include_upcoming=False), "CONTACT_HAS_APPOINTMENTS")
    books.erase(EMAIL)
    books.get(rows[0])
    books.export(EMAIL)
    books.refuse("HoldAppointment", {"service_id": "s_cut", "start": TIMES, "staff_id": "t_ada"},
                 "SLOT_UNAVAILABLE")  # fmt: skip
    return books


def asked(email: str = EMAIL, include_upcoming: bool = True) -> dict[str, object]:
    return {"contact_email": email, "include_upcoming": include_upcoming}


def test_accepts_a_sound_history(books: Books) -> None:
    assert books.judge() == []


def test_accepts_the_answer_under_an_old_key_without_the_contact(books: Books) -> None:
    first = next(one for one in books.history if one.method == "ConfirmAppointment")
    bare = {"contact_name": "", "contact_email": ""}
    again = replace(first, answer=first.answer | bare, raw=without_contact(first.raw))
    books.history.append(replace(again, sent=books.now, answered=books.now))
    assert books.judge() == []
    books.history[-1] = replace(first, sent=books.now, answered=books.now)
    assert_finds(books, "was answered with c1@example.com, erased before")


def test_accepts_a_confirmation_without_an_answer_before_the_erasure() -> None:
    books = Books()
    booked(books, 0)
    books.history[-1] = replace(books.history[-1], outcome="unknown", answer={}, raw="")
    books.erase(EMAIL)
    assert books.judge() == []


@pytest.mark.parametrize("at_once", [False, True])
def test_judge_attributes_an_appointment_to_one_of_two_confirmations_without_an_answer(
    at_once: bool,
) -> None:
    """The other one asked first, and found it confirmed; of two at one instant a read tells."""
    books = Books()
    row = booked(books, 0)
    answered, kept = books.history.pop(), books.tables["idempotency"][-1]
    mine = replace(answered, outcome="unknown", answer={}, raw="")
    contact = {"contact_name": "X", "contact_email": "c9@example.com"}
    books.history += [replace(mine, key="other", request=mine.request | contact), mine]
    later = {"key": "other", "expires_at": kept["expires_at"] + (0 if at_once else 1)}
    books.tables["idempotency"].insert(0, kept | later)
    if at_once:
        books.get(row)
    booked(books, 1)
    third = books.hold("s_cut", TIMES, "t_chloe")
    asked = {"hold_id": third["hold_id"], "contact_name": "Y", "contact_email": EMAIL}
    books.refuse("ConfirmAppointment", asked, "LIMIT_REACHED")
    books.erase(EMAIL)
    assert books.judge() == []


def events_of_the_contact_stay(books: Books) -> None:
    event = next(one for one in books.tables["events"] if one["type"] == "APPOINTMENT_CONFIRMED")
    data = json.loads(event["data"])
    data["reservation"] |= {"contact_name": "Sam 1", "contact_email": EMAIL}
    event["data"] = json.dumps(data)


def test_accepts_that_an_erasure_left_what_it_says_is_left(books: Books) -> None:
    events_of_the_contact_stay(books)
    first = next(one for one in books.history if one.method == "ConfirmAppointment")
    [kept] = [one for one in books.tables["idempotency"] if one["key"] == first.key]
    kept["response"] = first.raw
    [erasure] = [one for one in books.history if one.outcome == "ok" and "Erase" in one.method]
    erasure.answer["incomplete"] = True
    assert books.judge() == []


def response_stays(books: Books) -> None:
    row = books.tables["reservations"][0]
    there = {**row, "contact_name": "Sam 1", "contact_email": EMAIL}
    [kept] = [one for one in books.tables["idempotency"] if one["key"] == "k1"]
    kept["response"] = raw_of(there)


def export_has_it_still(books: Books) -> None:
    first = next(one for one in books.history if one.method == "ExportContact")
    books.history.append(replace(first, sent=books.now, answered=books.now))


def export_lacks_a_change(books: Books) -> None:
    first = next(one for one in books.history if one.method == "ExportContact")
    first.answer["items"].pop()


def export_of_another(books: Books) -> None:
    first = next(one for one in books.history if one.method == "ExportContact")
    first.request["contact_email"] = "c2@example.com"


def appointment_goes_with_its_contact(books: Books) -> None:
    row = books.tables["reservations"][0]
    row["state"] = "CANCELLED"
    event = next(one for one in books.tables["events"] if one["type"].endswith("_ERASED"))
    event["data"] = json.dumps({"reservation": row, "sessions": []})


def no_request_to_erase(books: Books) -> None:
    books.history = [one for one in books.history if one.method != "EraseContact"]


def refused_without_appointments(books: Books) -> None:
    books.refuse("EraseContact", asked("c3@example.com", False), "CONTACT_HAS_APPOINTMENTS")


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (events_of_the_contact_stay, "still has c1@example.com"),
        (response_stays, "c1@example.com was erased, and is stored for"),
        (export_has_it_still, "was answered with c1@example.com, erased before"),
        (export_lacks_a_change, "is not in the export"),
        (export_of_another, "exported, and never so"),
        (appointment_goes_with_its_contact, "the erasure of its contact left it"),
        (no_request_to_erase, "no request asked to erase it"),
        (refused_without_appointments, "unjustified refusal CONTACT_HAS_APPOINTMENTS"),
    ],
)
def test_judge_finds_the_planted_fault(
    books: Books, plant: Callable[[Books], None], says: str
) -> None:
    plant(books)
    assert_finds(books, says)
