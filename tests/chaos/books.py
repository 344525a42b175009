"""Histories for the tests of the judge, as a server without faults makes them."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .checker import violations
from .erasure import without_contact
from .history import CATALOG_CHANGE, OK, REFUSED, Attempt, Record, Row
from .ledger import LIVE, runs_out, subjects_of
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
        opened = {"type": "ORGANIZATION_SET", "client_id": "", "hold_id": "", "revision": 0}
        self.tables["events"].append(
            {"org_id": ORG, "seq": 1, "time": self.now, **opened, "data": "{}"}
        )
        self.tables["resources"], self.tables["time_off"] = [], []
        self.tables["ledgers"] = [{"org_id": ORG, "seq": 1, "time": self.now, "catalog_version": 1}]
        self._sessions: dict[str, Row] = {}

    def hold(self, service_id: str, start: int, *taken: str, seats: int = 1, **more: Any) -> Row:
        """Hold a start for a staff member and rooms: what is taken, in that order."""
        service, number = SERVICES[service_id], len(self.history)
        location_id = more.pop("location_id", service.locations[0])
        staff = [one for one in taken if one in service.staff]
        row = {
            "org_id": ORG,
            "hold_id": f"h_{number}",
            "appointment_id": "",
            "session_id": more.pop("session_id", f"x_{number}"),
            "service_id": service_id,
            "location_id": location_id,
            "staff_id": "".join(staff),
            "resource_ids": json.dumps([one for one in taken if one not in staff]),
            "seats": seats,
            "start_time": start,
            "end_time": start + service.duration,
            "state": "HELD",
            "expires_at": self.now + HOLD_LENGTH,
            "create_time": self.now,
            "update_time": self.now,
            "revision": 0,
            "contact_name": "",
            "contact_email": "",
            "cancel_reason": "",
        }
        self.tables["reservations"].append(row)
        request = {"service_id": service_id, "start": start, "seats": seats}
        request |= {"location_id": location_id} if location_id else {}
        self._keep("HOLD_CREATED", "HoldAppointment", request, row)
        self.derive_tables()
        return row

    def confirm(self, row: Row, name: str = "", email: str = "") -> None:
        """Confirm a hold, for a customer without other appointments unless an address says so."""
        name = name or f"Sam {len(self.history)}"
        contact = {"contact_name": name, "contact_email": email or f"{len(self.history)}@e.com"}
        row.update(state="CONFIRMED", appointment_id=f"a_{row['hold_id']}", **contact)
        request = {"hold_id": row["hold_id"], **contact}
        self._keep("APPOINTMENT_CONFIRMED", "ConfirmAppointment", request, row)
        self.derive_tables()

    def book(self, service_id: str, start: int, *taken: str, **more: Any) -> Row:
        """Hold and confirm."""
        email = more.pop("email", "")
        row = self.hold(service_id, start, *taken, **more)
        self.confirm(row, email=email)
        return row

    def extend(self, row: Row) -> None:
        row.update(expires_at=max(row["expires_at"], self.now + HOLD_LENGTH))
        self._keep("HOLD_EXTENDED", "ExtendHold", {"hold_id": row["hold_id"]}, row)
        self.derive_tables()

    def update(self, row: Row, seats: int, email: str = "") -> None:
        """Give an appointment another contact, and so many seats."""
        contact = {"contact_name": f"New {len(self.history)}"}
        contact |= {"contact_email": email} if email else {}
        row.update(contact, seats=seats)
        named = {"appointment_id": row["appointment_id"], **contact}
        self._keep("APPOINTMENT_UPDATED", "UpdateAppointment", {**named, "seats": seats}, row)
        self.derive_tables()

    def move(self, row: Row, start: int) -> None:
        service, session_id = SERVICES[row["service_id"]], f"x_{len(self.history)}"
        row.update(start_time=start, end_time=start + service.duration, session_id=session_id)
        request = {"appointment_id": row["appointment_id"], "start": start}
        self._keep("APPOINTMENT_RESCHEDULED", "RescheduleAppointment", request, row)
        self.derive_tables()

    def cancel(self, row: Row) -> None:
        row.update(state="CANCELLED", cancel_reason=f"ill {len(self.history)}")
        request = {"appointment_id": row["appointment_id"], "cancel_reason": row["cancel_reason"]}
        self._keep("APPOINTMENT_CANCELLED", "CancelAppointment", request, row)
        self.derive_tables()

    def release(self, row: Row) -> None:
        row.update(state="RELEASED")
        self._keep("HOLD_RELEASED", "ReleaseHold", {"hold_id": row["hold_id"]}, row)
        self.derive_tables()

    def rename(self, room_id: str) -> None:
        """Give a room a new name."""
        name = f"Room {len(self.history)}"
        found = [one for one in self.tables["resources"] if one["id"] == room_id]
        if not found:
            found = [{"org_id": ORG, "id": room_id, "revision": 0}]
            self.tables["resources"] += found
        found[0].update(name=name, revision=found[0]["revision"] + 1)
        named = {"id": room_id, "name": name}
        self._change_catalog("RESOURCE_SET", found[0], CATALOG_CHANGE, named, named)

    def create_time_off(
        self, owner_id: str, start: int, length: int, conflicts: int = 0, **asked: Any
    ) -> Row:
        """Give an owner time off, which meets so many bookings."""
        row: Row = {"org_id": ORG, "id": f"f_{len(self.history)}", "owner_id": owner_id}
        row |= {"start_time": start, "end_time": start + length}
        row["recurrence"] = asked.pop("recurrence", "")
        self.tables["time_off"].append(row)
        request = {key: row[key] for key in row if key != "org_id"} | {"allow_conflicts": False}
        answer = {"conflicts": conflicts}
        self._change_catalog("TIME_OFF_SET", row, "CreateTimeOff", request | asked, answer)
        return row

    def delete_time_off(self, row: Row) -> None:
        """Delete time off."""
        self.tables["time_off"].remove(row)
        deleted, named = {"time_off_id": row["id"]}, {"id": row["id"]}
        self._change_catalog("TIME_OFF_DELETED", deleted, "DeleteTimeOff", named, {"conflicts": 0})

    def erase(self, email: str) -> None:
        """Erase a contact from reservations, events and stored responses."""
        for row in [one for one in self.tables["reservations"] if one["contact_email"] == email]:
            self._erase(row, email)
        for kept in self.tables["idempotency"]:
            if email.encode().hex() in kept["response"]:
                kept["response"] = without_contact(kept["response"])
        asked = {"contact_email": email, "include_upcoming": True}
        self._answer("EraseContact", asked, {})

    def _erase(self, row: Row, email: str) -> None:
        bare = {"contact_name": "", "contact_email": "", "cancel_reason": ""}
        for event in self.tables["events"]:
            data = json.loads(event["data"])
            if event["hold_id"] == row["hold_id"] and data["reservation"]["contact_email"] == email:
                event["data"] = json.dumps({**data, "reservation": data["reservation"] | bare})
        row.update(bare, update_time=self.now, revision=row["revision"] + 1)
        self._append("APPOINTMENT_CONTACT_ERASED", row, [])

    def export(self, email: str) -> None:
        """Read what is kept of a contact."""
        told = [json.loads(one["data"]) for one in self.tables["events"] if one["hold_id"]]
        rows = [one["reservation"] for one in told if one["reservation"]["contact_email"] == email]
        items = [self._item(row) for row in rows]
        request = {"contact_email": email, "page_size": 1000}
        self._answer("ExportContact", request, {"items": items, "more": False})

    def _change_catalog(
        self, event: str, data: Row, method: str, request: dict[str, Any], answer: dict[str, Any]
    ) -> None:
        key = f"k{len(self.history)}"
        [head] = self.tables["ledgers"]
        head.update(seq=head["seq"] + 1, time=self.now, catalog_version=head["seq"] + 1)
        facts = {"type": event, "client_id": "c_1", "hold_id": "", "revision": 0}
        self.tables["events"].append(
            {
                "org_id": ORG,
                "seq": head["seq"],
                "time": self.now,
                **facts,
                "data": json.dumps(data),
            }
        )
        self._answer(method, request, answer, f"{key} answer")
        self._store_response(key)

    def record_outcome(self, row: Row, method: str = "CompleteAppointment") -> None:
        """Record how an appointment went, or take that back."""
        event, state = {
            "CompleteAppointment": ("APPOINTMENT_COMPLETED", "COMPLETED"),
            "MarkNoShow": ("APPOINTMENT_NO_SHOW", "NO_SHOW"),
            "ReopenAppointment": ("APPOINTMENT_REOPENED", "CONFIRMED"),
        }[method]
        row.update(state=state)
        self._keep(event, method, {"appointment_id": row["appointment_id"]}, row)
        self.derive_tables()

    def refuse(self, method: str, request: dict[str, Any], reason: str) -> None:
        key = f"k{len(self.history)}"
        sent, self.now = self.now, self.now + ANSWERING
        self.history.append(
            Attempt(ORG, "c_1", method, key, request, sent, self.now, REFUSED, reason=reason)
        )

    def _keep(self, event: str, method: str, request: dict[str, Any], row: Row) -> None:
        key = f"k{len(self.history)}"
        row.update(update_time=self.now, revision=row["revision"] + 1)
        self._append(event, row, self._touched(row))
        self._answer(method, request, self._item(row), f"{key} answer")
        self._store_response(key)

    def _store_response(self, key: str) -> None:
        named = {"org_id": ORG, "client_id": "c_1", "key": key}
        kept = {"response": f"{key} answer", "expires_at": self.now + DAY}
        self.tables["idempotency"].append(named | kept)

    def _append(self, event: str, row: Row, sessions: list[Row]) -> None:
        """Add an event, as the row is now."""
        [head] = self.tables["ledgers"]
        head.update(seq=head["seq"] + 1, time=self.now)
        self.tables["events"].append(
            {
                "org_id": ORG,
                "seq": head["seq"],
                "time": self.now,
                "type": event,
                "client_id": "c_1",
                "hold_id": row["hold_id"],
                "revision": row["revision"],
                "data": json.dumps({"reservation": row, "sessions": sessions}),
            }
        )

    def _touched(self, row: Row) -> list[Row]:
        """The sessions that a change of a reservation touches, as it leaves them."""
        left = [one for one in self._sessions.values() if row["hold_id"] in one["members"]]
        for session in left:
            del session["members"][row["hold_id"]]
        if row["session_id"] not in self._sessions:
            service = SERVICES[row["service_id"]]
            self._sessions[row["session_id"]] = {
                "session_id": row["session_id"],
                "service_id": service.id,
                "location_id": row["location_id"],
                "staff_id": row["staff_id"],
                "resource_ids": json.loads(row["resource_ids"]),
                "start": row["start_time"],
                "end": row["end_time"],
                "busy": [*service.taken(row["start_time"])],
                "booked_at": self.now,
                "capacity": service.capacity,
                "members": {},
            }
        own = self._sessions[row["session_id"]]
        if row["state"] in LIVE:
            own["members"][row["hold_id"]] = (runs_out(row), row["seats"])
        touched = [one for one in left if one is not own] + [own]
        for session in touched:
            members = session["members"].values()
            session["until"] = max((until for until, _ in members), default=0)
            session["seats_taken"] = sum(seats for _, seats in members)
        return [{key: one[key] for key in one if key != "members"} for one in touched]

    def _item(self, row: Row) -> dict[str, Any]:
        """A reservation as it is answered."""
        found = {
            **row,
            "start": row["start_time"],
            "end": row["end_time"],
            "resource_ids": json.loads(row["resource_ids"]),
        }
        if row["appointment_id"]:
            found["etag"] = str(row["revision"])
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
        """Read what is open on the day, at the first location."""
        service, location_id = SERVICES[service_id], SERVICES[service_id].locations[0]
        slots = []
        for start in service.grid(TODAY):
            left = {
                one: max(
                    self._left(service, start, some)
                    for some in service.combinations(location_id, one)
                )
                for one in service.staff or ("",)
            }
            if seats := max(left.values()):
                staff = [one for one in service.staff if left[one]]
                slots.append([start, start + service.duration, seats, staff])
        request = {"service_id": service_id, "day": TODAY}
        request |= {"location_id": location_id} if location_id else {}
        self._answer("GetAvailability", request, {"slots": slots})

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
            met = busy[0] < end and begin < busy[1] and {*subjects} & {*subjects_of(row)}
            if met and row["state"] in LIVE:
                joins = (row["service_id"], row["start_time"]) == (service.id, start)
                left = left - row["seats"] if joins else 0
        return max(left, 0)

    def derive_tables(self) -> None:
        """Derive allocations and sessions anew."""
        self.tables["allocations"], self.tables["sessions"] = [], []
        live = [session for session in self._sessions.values() if session["members"]]
        for session in live:
            taken = [*filter(None, (session["staff_id"],)), *session["resource_ids"]]
            self.tables["allocations"] += [
                {
                    "org_id": ORG,
                    "subject": subject,
                    "busy_start": session["busy"][0],
                    "busy_end": session["busy"][1],
                    "start_time": session["start"],
                    "session_id": session["session_id"],
                    "expires_at": session["until"],
                    "booked_at": session["booked_at"],
                }
                for subject in taken or (f"{session['service_id']}@{session['location_id']}",)
            ]
            if session["capacity"] > 1:
                counts = {name: session[name] for name in ("seats_taken", "capacity")}
                known = {"org_id": ORG, "session_id": session["session_id"]}
                self.tables["sessions"].append(known | counts)

    def judge(self, skew: int = 0) -> list[str]:
        return violations(Record(self.history, self.tables, self.now, skew))


def assert_finds(books: Books, says: str) -> None:
    """The judge names a fault in these words, whatever else it finds."""
    found = books.judge()
    assert any(says in one for one in found), found
