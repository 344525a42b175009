"""The judge finds nothing in a sound history, and each fault that is put into one."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from .checker import violations
from .history import OK, REFUSED, UNKNOWN, Attempt
from .ledger import FOREVER, Row
from .scenario import DAY, HOLD_LENGTH, HOUR, MINUTE, SECOND, SERVICES

ORG = "o_north"
NOON = 20_000 * DAY + 12 * HOUR
TIMES = 20_010 * DAY + 9 * HOUR
ANSWERING = SECOND // 10


class Books:
    """A server with one honest clerk: what it answers, and what its tables say."""

    def __init__(self) -> None:
        self.now = NOON
        self.history: list[Attempt] = []
        self.tables: dict[str, list[Row]] = {
            name: []
            for name in ("reservations", "events", "allocations", "sessions", "idempotency")
        }

    def hold(self, service_id: str, start: int, *taken: str, seats: int = 1, **more: Any) -> Row:
        """Hold a start for a staff member and rooms: what is taken, in that order."""
        service, number = SERVICES[service_id], len(self.history)
        staff = [one for one in taken if one in service.staff]
        row = {
            "org_id": ORG,
            "hold_id": f"h_{number}",
            "appointment_id": "",
            "session_id": more.pop("session_id", f"x_{number}"),
            "service_id": service_id,
            "staff_id": "".join(staff),
            "resource_ids": json.dumps([one for one in taken if one not in staff]),
            "seats": seats,
            "start_time": start,
            "end_time": start + service.duration,
            "state": "HELD",
            "expires_at": self.now + HOLD_LENGTH,
            "create_time": self.now,
            "contact_name": "",
            "cancel_reason": "",
        }
        self.tables["reservations"].append(row)
        request = {"service_id": service_id, "start": start, "seats": seats}
        self._keep("HOLD_CREATED", "HoldAppointment", request, row)
        self.settle()
        return row

    def confirm(self, row: Row) -> None:
        name = f"Sam {len(self.history)}"
        row.update(state="CONFIRMED", appointment_id=f"a_{row['hold_id']}", contact_name=name)
        request = {"hold_id": row["hold_id"], "contact_name": name}
        self._keep("APPOINTMENT_CONFIRMED", "ConfirmAppointment", request, row)
        self.settle()

    def extend(self, row: Row) -> None:
        row.update(expires_at=max(row["expires_at"], self.now + HOLD_LENGTH))
        self._keep("HOLD_EXTENDED", "ExtendHold", {"hold_id": row["hold_id"]}, row)
        self.settle()

    def release(self, row: Row) -> None:
        row.update(state="RELEASED")
        self._keep("HOLD_RELEASED", "ReleaseHold", {"hold_id": row["hold_id"]}, row)
        self.settle()

    def refuse(self, method: str, request: dict[str, Any], reason: str) -> None:
        key = f"k{len(self.history)}"
        sent, self.now = self.now, self.now + ANSWERING
        self.history.append(
            Attempt(ORG, "c_1", method, key, request, sent, self.now, REFUSED, reason=reason)
        )

    def _keep(self, event: str, method: str, request: dict[str, Any], row: Row) -> None:
        key, at = f"k{len(self.history)}", self.now
        revision = sum(one["hold_id"] == row["hold_id"] for one in self.tables["events"]) + 1
        self.tables["events"].append(
            {
                "org_id": ORG,
                "hold_id": row["hold_id"],
                "revision": revision,
                "at": at,
                "type": event,
                "client_id": "c_1",
                "reservation": json.dumps(row),
            }
        )
        answer = {
            **row,
            "start": row["start_time"],
            "end": row["end_time"],
            "resource_ids": json.loads(row["resource_ids"]),
        }
        if method == "ConfirmAppointment":
            answer["etag"] = str(revision)
        self.now += ANSWERING
        self.history.append(
            Attempt(ORG, "c_1", method, key, request, at, self.now, OK, answer, raw=f"{key} answer")
        )
        kept = {"org_id": ORG, "client_id": "c_1", "key": key, "response": f"{key} answer"}
        self.tables["idempotency"].append(kept)

    def settle(self) -> None:
        """Derive allocations and sessions anew."""
        self.tables["allocations"], self.tables["sessions"] = [], []
        for row in self.tables["reservations"]:
            if row["state"] not in ("HELD", "CONFIRMED"):
                continue
            begin, end = SERVICES[row["service_id"]].taken(row["start_time"])
            staff = [row["staff_id"]] if row["staff_id"] else []
            for subject in (*staff, *json.loads(row["resource_ids"])) or (row["service_id"],):
                self.tables["allocations"].append(
                    {
                        "org_id": ORG,
                        "subject": subject,
                        "session_id": row["session_id"],
                        "busy_start": begin,
                        "busy_end": end,
                        "expires_at": FOREVER,
                    }
                )
            if SERVICES[row["service_id"]].capacity > 1:
                self._count(row)

    def _count(self, row: Row) -> None:
        for session in self.tables["sessions"]:
            if session["session_id"] == row["session_id"]:
                session["seats_taken"] += row["seats"]
                return
        counted = {"org_id": ORG, "session_id": row["session_id"], "seats_taken": row["seats"]}
        self.tables["sessions"].append(counted)

    def judge(self) -> list[str]:
        return violations(self.history, self.tables, self.now)


@pytest.fixture
def books() -> Books:
    """A cut, a spa treatment and a full class, all confirmed; something released; a refusal."""
    books = Books()
    for row in (
        books.hold("s_cut", TIMES, "t_ada"),
        books.hold("s_spa", TIMES, "t_ben", "r_one"),
    ):
        books.confirm(row)
    first = books.hold("s_class", TIMES, "t_chloe", "r_three", seats=3, session_id="x_class")
    books.confirm(first)
    books.confirm(books.hold("s_class", TIMES, "t_chloe", "r_three", seats=1, session_id="x_class"))
    books.release(books.hold("s_kiosk", TIMES))
    books.refuse("HoldAppointment", {"service_id": "s_class", "start": TIMES}, "SLOT_UNAVAILABLE")
    return books


def test_finds_nothing_in_a_sound_history(books: Books) -> None:
    assert books.judge() == []


def overlap(books: Books) -> None:
    books.confirm(books.hold("s_cut", TIMES + HOUR, "t_ben"))


def overlap_while_held(books: Books) -> None:
    """Nothing of it is left at the end."""
    held = [books.hold("s_kiosk", TIMES + shift) for shift in (0, 10 * MINUTE)]
    books.now += SECOND
    for row in held:
        books.release(row)


def oversold(books: Books) -> None:
    books.confirm(books.hold("s_class", TIMES, "t_chloe", "r_three", seats=1, session_id="x_class"))


def lost(books: Books) -> None:
    """The first cut is nowhere, as when its commit was answered and did not happen."""
    for table in ("reservations", "events"):
        books.tables[table] = [one for one in books.tables[table] if one["hold_id"] != "h_0"]
    books.settle()


def phantom(books: Books) -> None:
    """The request of the first hold was never sent."""
    books.history.pop(0)


def refused_and_done(books: Books) -> None:
    books.history[0] = replace(books.history[0], outcome=REFUSED, reason="SLOT_UNAVAILABLE")


def double_effect(books: Books) -> None:
    """Sent twice under one key, held twice: the answer to the first attempt was lost."""
    books.hold("s_kiosk", TIMES + 30 * MINUTE)
    first = books.history[-1]
    books.history[-1] = replace(first, outcome=UNKNOWN, answer={}, raw="")
    books.tables["idempotency"].pop()
    books.hold("s_kiosk", TIMES + 50 * MINUTE)
    again = books.history[-1]
    books.history[-1] = replace(again, key=first.key, raw="again")
    kept = books.tables["idempotency"][-1]
    kept.update(key=first.key, response="again")
    books.history[-2] = replace(books.history[-2], request=again.request)


def two_answers(books: Books) -> None:
    books.history.append(replace(books.history[0], raw="another answer"))


def unjustified(books: Books) -> None:
    books.refuse("HoldAppointment", {"service_id": "s_duo", "start": TIMES}, "NOT_A_SLOT")


def free_and_refused(books: Books) -> None:
    request = {"service_id": "s_cut", "start": TIMES + 90 * MINUTE}
    books.refuse("HoldAppointment", request, "SLOT_UNAVAILABLE")


def room_and_refused(books: Books) -> None:
    """A seat was left in the class of the next hour."""
    start = TIMES + HOUR
    books.hold("s_class", start, "t_chloe", "r_three", seats=2, session_id="x_next")
    request = {"service_id": "s_class", "start": start, "seats": 2}
    books.refuse("HoldAppointment", request, "SLOT_UNAVAILABLE")


def expired_early(books: Books) -> None:
    row = books.hold("s_kiosk", TIMES)
    books.refuse("ExtendHold", {"hold_id": row["hold_id"]}, "HOLD_EXPIRED")


def internal(books: Books) -> None:
    books.refuse("HoldAppointment", {"service_id": "s_class", "start": TIMES}, "INTERNAL")


def state_without_event(books: Books) -> None:
    books.tables["reservations"][0]["staff_id"] = "t_ben"


def event_missing(books: Books) -> None:
    books.tables["events"].pop(0)


def allocation_missing(books: Books) -> None:
    books.tables["allocations"].pop(0)


def allocation_left(books: Books) -> None:
    stray = {**books.tables["allocations"][0], "session_id": "x_gone"}
    books.tables["allocations"].append(stray)


def seats_miscounted(books: Books) -> None:
    books.tables["sessions"][0]["seats_taken"] -= 1


def answer_not_kept(books: Books) -> None:
    books.tables["idempotency"].pop(0)


def out_of_time(books: Books) -> None:
    books.tables["events"][0]["at"] -= HOUR


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (overlap, "at the end o_north t_ben: h_1 and h_11 overlap"),
        (overlap_while_held, "on the way o_north s_kiosk"),
        (oversold, "over capacity: 5 seats"),
        (lost, "and is not there"),
        (phantom, "nobody asked for"),
        (refused_and_done, "nobody asked for"),
        (double_effect, "nobody asked for"),
        (two_answers, "2 different answers"),
        (unjustified, "unjustified refusal NOT_A_SLOT"),
        (free_and_refused, "unjustified refusal SLOT_UNAVAILABLE"),
        (room_and_refused, "unjustified refusal SLOT_UNAVAILABLE"),
        (expired_early, "unjustified refusal HOLD_EXPIRED"),
        (internal, "unjustified refusal INTERNAL"),
        (state_without_event, "its state"),
        (event_missing, "has events of the revisions"),
        (allocation_missing, "without an allocation"),
        (allocation_left, "an allocation that nobody takes"),
        (seats_miscounted, "seats sold"),
        (answer_not_kept, "is not what is kept for its key"),
        (out_of_time, "its request"),
    ],
)
def test_finds_what_was_planted(books: Books, plant: Callable[[Books], None], says: str) -> None:
    plant(books)
    found = books.judge()
    assert any(says in one for one in found), found


def test_a_request_without_an_answer_may_have_happened_or_not(books: Books) -> None:
    done = books.history[0]
    lost_answer = replace(done, outcome=UNKNOWN, answer={}, raw="")
    books.history[0] = lost_answer
    books.history.append(replace(lost_answer, key="another"))
    assert books.judge() == []


def test_a_taken_time_may_be_refused_as_long_as_it_may_be_taken(books: Books) -> None:
    row = books.hold("s_kiosk", TIMES)
    request = {"service_id": "s_kiosk", "start": TIMES}
    books.refuse("HoldAppointment", request, "SLOT_UNAVAILABLE")
    books.release(row)
    released = books.history[-1]
    # Sent before the release was answered, and answered after it.
    books.refuse("HoldAppointment", request, "SLOT_UNAVAILABLE")
    books.history[-1] = replace(books.history[-1], sent=released.sent)
    assert books.judge() == []
    books.history[-1] = replace(books.history[-1], sent=released.answered + 1)
    assert len(books.judge()) == 1


def test_extensions_that_overtook_each_other_are_told_apart(books: Books) -> None:
    row = books.hold("s_kiosk", TIMES)
    books.now += SECOND
    books.extend(row)
    first = books.history[-1]
    # It read its clock before the other was sent, and came second; the end was the same.
    early = first.sent - SECOND // 2
    books.extend(row)
    second = books.history[-1]
    answer = {**second.answer, "expires_at": first.answer["expires_at"]}
    row["expires_at"] = first.answer["expires_at"]
    event = books.tables["events"][-1]
    event.update(at=early, reservation=json.dumps(row))
    books.history[-2:] = [replace(second, sent=early, answer=answer), first]
    assert books.judge() == []
