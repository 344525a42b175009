"""Histories for the judge's own tests: a server with one honest clerk."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .checker import violations
from .history import OK, REFUSED, Attempt, Record, Row
from .ledger import FOREVER
from .scenario import DAY, HOLD_LENGTH, HOUR, SECOND, SERVICES, Service

ORG = "o_north"
NOON = 20_000 * DAY + 12 * HOUR
TODAY = 20_010 * DAY
TIMES = TODAY + 9 * HOUR
ANSWERING = SECOND // 10


class Books:
    """What the clerk answers, and what the tables say; all of it happens on one day."""

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

    def book(self, service_id: str, start: int, *taken: str) -> Row:
        """Hold and confirm."""
        row = self.hold(service_id, start, *taken)
        self.confirm(row)
        return row

    def extend(self, row: Row) -> None:
        row.update(expires_at=max(row["expires_at"], self.now + HOLD_LENGTH))
        self._keep("HOLD_EXTENDED", "ExtendHold", {"hold_id": row["hold_id"]}, row)
        self.settle()

    def move(self, row: Row, start: int) -> None:
        row.update(start_time=start, end_time=start + SERVICES[row["service_id"]].duration)
        request = {"appointment_id": row["appointment_id"], "start": start}
        self._keep("APPOINTMENT_RESCHEDULED", "RescheduleAppointment", request, row)
        self.settle()

    def cancel(self, row: Row) -> None:
        row.update(state="CANCELLED", cancel_reason=f"ill {len(self.history)}")
        request = {"appointment_id": row["appointment_id"], "cancel_reason": row["cancel_reason"]}
        self._keep("APPOINTMENT_CANCELLED", "CancelAppointment", request, row)
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
        self._answer(method, request, self._item(row), f"{key} answer")
        kept = {"org_id": ORG, "client_id": "c_1", "key": key, "response": f"{key} answer"}
        self.tables["idempotency"].append(kept)

    def _item(self, row: Row) -> dict[str, Any]:
        """A reservation as it is answered."""
        found = {
            **row,
            "start": row["start_time"],
            "end": row["end_time"],
            "resource_ids": json.loads(row["resource_ids"]),
        }
        if row["appointment_id"]:
            events = self.tables["events"]
            found["etag"] = str(sum(one["hold_id"] == row["hold_id"] for one in events))
        return found

    def _answer(
        self, method: str, request: dict[str, Any], answer: dict[str, Any], raw: str = ""
    ) -> None:
        key, sent = f"k{len(self.history)}", self.now
        self.now += ANSWERING
        self.history.append(
            Attempt(ORG, "c_1", method, key, request, sent, self.now, OK, answer, raw)
        )

    def get(self, row: Row) -> None:
        """Read an appointment."""
        request = {"appointment_id": row["appointment_id"]}
        self._answer("GetAppointment", request, {"items": [self._item(row)]})

    def agenda(self, **service: str) -> None:
        """Read the confirmed appointments of the day."""
        confirmed = [row for row in self.tables["reservations"] if row["state"] == "CONFIRMED"]
        found = [
            self._item(row)
            for row in sorted(confirmed, key=lambda row: (row["start_time"], row["appointment_id"]))
            if row["start_time"] // DAY == TODAY // DAY
            and service.get("service_id", row["service_id"]) == row["service_id"]
        ]
        self._answer("ListAppointments", {**service, "day": TODAY}, {"items": found})

    def offer(self, service_id: str) -> None:
        """Read what is open on the day."""
        service = SERVICES[service_id]
        slots = []
        for start in service.grid(TODAY):
            left = {
                one: max(self._left(service, start, some) for some in service.combinations(one))
                for one in service.staff or ("",)
            }
            if seats := max(left.values()):
                staff = [one for one in service.staff if left[one]]
                slots.append([start, start + service.duration, seats, staff])
        self._answer("GetAvailability", {"service_id": service_id, "day": TODAY}, {"slots": slots})

    def seen(self) -> list[Any]:
        """The items or slots that were read last."""
        [found] = self.history[-1].answer.values()
        return list(found)

    def read_again(self, items: Sequence[Any], since: int = 0) -> None:
        """Answer the last read once more, with these items or slots; asked at `since`, or now."""
        last = self.history[-1]
        sent, self.now = since or self.now, self.now + ANSWERING
        answer = {name: list(items) for name in last.answer}
        self.history.append(
            replace(last, key=f"k{len(self.history)}", sent=sent, answered=self.now, answer=answer)
        )

    def _left(self, service: Service, start: int, subjects: Sequence[str]) -> int:
        """How many seats one can have with exactly these people and rooms."""
        begin, end = service.taken(start)
        left = service.capacity
        for row in self.tables["reservations"]:
            busy = SERVICES[row["service_id"]].taken(row["start_time"])
            met = busy[0] < end and begin < busy[1] and {*subjects} & {*_subjects(row)}
            if met and row["state"] in ("HELD", "CONFIRMED"):
                joins = (row["service_id"], row["start_time"]) == (service.id, start)
                left = left - row["seats"] if joins else 0
        return max(left, 0)

    def settle(self) -> None:
        """Derive allocations and sessions anew."""
        self.tables["allocations"], self.tables["sessions"] = [], []
        for row in self.tables["reservations"]:
            if row["state"] not in ("HELD", "CONFIRMED"):
                continue
            begin, end = SERVICES[row["service_id"]].taken(row["start_time"])
            for subject in _subjects(row):
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
        return violations(Record(self.history, self.tables, self.now))


def _subjects(row: Row) -> tuple[str, ...]:
    staff = (row["staff_id"],) if row["staff_id"] else ()
    return (*staff, *json.loads(row["resource_ids"])) or (row["service_id"],)
