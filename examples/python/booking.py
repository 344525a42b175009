"""Books an appointment at Zimun, moves it and calls it off again.

Reads ZIMUN_BASE_URL, ZIMUN_CLIENT_ID and ZIMUN_CLIENT_SECRET from the environment; what is
not set there comes from the file that ZIMUN_DEMO_ENV names, or that `make run` has written.
"""

import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import requests

ATTEMPTS = 5


class Refused(Exception):
    """Zimun's error answer; the token endpoint has its own shape (RFC 6749, section 5.2)."""

    def __init__(self, answer: requests.Response) -> None:
        body = answer.json() if "json" in answer.headers.get("Content-Type", "") else {}
        details = {one["@type"].rsplit(".", 1)[-1]: one for one in body.get("details", [])}
        self.reason = details.get("ErrorInfo", {}).get("reason") or body.get("error", "?")
        self.alternatives = details.get("SlotAlternatives", {}).get("slots", [])
        message = body.get("message") or body.get("error_description", answer.reason)
        super().__init__(f"{self.reason}: {message} (HTTP {answer.status_code})")


class Zimun:
    """The JSON API, with a token of one client."""

    def __init__(self, base_url: str, client_id: str, client_secret: str) -> None:
        self.base_url = base_url
        self.session = requests.Session()
        grant = {"grant_type": "client_credentials"}
        token = self.call("POST", "/oauth/token", data=grant, auth=(client_id, client_secret))
        self.session.headers["Authorization"] = f"Bearer {token['access_token']}"
        print(f"token: good for {token['expires_in']} s")

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Sends a request, and again while the server asks to come back later."""
        for attempt in range(1, ATTEMPTS + 1):
            answer = self.session.request(method, self.base_url + path, timeout=10, **options)
            if answer.status_code not in (429, 503) or attempt == ATTEMPTS:
                break
            time.sleep(int(answer.headers.get("Retry-After", "1")))
        if not answer.ok:
            raise Refused(answer)
        body: dict[str, Any] = answer.json()
        return body

    def post(self, path: str, **body: str) -> dict[str, Any]:
        """One key for all attempts: however often it is sent, it happens once."""
        return self.call("POST", path, json=body, headers={"Idempotency-Key": str(uuid.uuid4())})

    def open_slots(self, service_id: str) -> list[dict[str, Any]]:
        query = {"service_id": service_id, "days_ahead": 7}
        slots: list[dict[str, Any]]
        slots = self.call("GET", "/api/v1/availability", params=query)["slots"]
        return slots

    def hold(self, service_id: str, start: str) -> dict[str, Any]:
        """Holds the slot or, where somebody was faster, the nearest one still open."""
        wanted = {"service_id": service_id, "appointment_time": start}
        for _ in range(ATTEMPTS):
            try:
                return self.post("/api/v1/appointments/hold", **wanted)
            except Refused as refused:
                if refused.reason != "SLOT_UNAVAILABLE" or not refused.alternatives:
                    raise
                wanted["appointment_time"] = refused.alternatives[0]["start_time"]
                print(f"hold: somebody was faster, trying {wanted['appointment_time']}")
        raise LookupError("somebody was faster each time")


def settings() -> list[str]:
    """Base URL, client id and secret."""
    above = [folder / ".zimun" / "demo.env" for folder in (Path.cwd(), *Path.cwd().parents)]
    named = os.environ.get("ZIMUN_DEMO_ENV")
    file = next(filter(Path.is_file, [Path(named)] if named else above), None)
    lines = file.read_text().splitlines() if file else []
    found = dict(line.split("=", 1) for line in lines if "=" in line) | dict(os.environ)
    names = ["ZIMUN_BASE_URL", "ZIMUN_CLIENT_ID", "ZIMUN_CLIENT_SECRET"]
    if missing := [name for name in names if not found.get(name)]:
        raise LookupError(f"{missing[0]} is not set, and there is no demo.env; see `make run`")
    return [found[name] for name in names]


def book(zimun: Zimun) -> None:
    services = zimun.call("GET", "/api/v1/services", params={"page_size": 50})["items"]
    service = next((one for one in services if one["id"] == "s_123"), None)
    if not service:
        raise LookupError("there is no service s_123")
    print(f"services: {len(services)}, of which s_123 is {service['name']}")

    slots = zimun.open_slots("s_123")
    if not slots:
        raise LookupError("no slot is open in the next 7 days")
    print(f"availability: {len(slots)} open slots, the first at {slots[0]['start_time']}")

    hold = zimun.hold("s_123", slots[0]["start_time"])
    print(f"hold: {hold['hold_id']} keeps {hold['start_time']} until {hold['expires_at']}")

    contact = {"contact_name": "Dana Lee", "contact_email": "dana@example.com"}
    held = hold["hold_id"]
    appointment = zimun.post("/api/v1/appointments/confirm", hold_id=held, **contact)
    booked, start = appointment["appointment_id"], appointment["start_time"]
    print(f"confirm: {booked} at {start} for {appointment['contact_name']}")

    others = [slot for slot in zimun.open_slots("s_123") if slot["start_time"] != start]
    if not others:
        raise LookupError("no other slot is open in the next 7 days")
    to = others[0]["start_time"]
    moved = zimun.post("/api/v1/appointments/reschedule", appointment_id=booked, start_time=to)
    print(f"reschedule: {booked} moved to {moved['start_time']}")

    cancelled = zimun.post("/api/v1/appointments/cancel", appointment_id=booked)
    print(f"cancel: {booked} is {cancelled['state']}")


if __name__ == "__main__":
    try:
        book(Zimun(*settings()))
    except (Refused, LookupError, requests.RequestException) as error:
        sys.exit(f"booking failed: {error}")
