"""The documentation's examples, unchanged but for the host name, in the three tools people use."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from ..support.answers import Json
from ..support.processes import environment, listens, run
from ..support.program import Zimun
from ..support.times import half_hours

HOLD = {"service_id": "s_123", "appointment_time": "2025-12-01T10:00:00Z"}
CONTACT = {"contact_name": "Dana Lee", "contact_email": "dana@example.com"}
MOVE = {"appointment_id": "a_123", "start_time": "2026-02-20T13:00:00Z"}
CANCEL = {"appointment_id": "a_123"}


class Requests:
    def __init__(self, zimun: Zimun) -> None:
        self.zimun = zimun

    def services(self) -> Json:
        return self.zimun.get_json("/api/v1/services?page_size=50")

    def availability(self) -> Json:
        return self.zimun.get_json("/api/v1/availability?service_id=s_123&date=2026-02-20")

    def locations(self) -> Json:
        return self.zimun.get_json("/api/v1/locations")

    def write(self, what: str, body: Json) -> Json:
        return self.zimun.post_json(f"/api/v1/appointments/{what}", key=f"example-{what}", **body)


class Curl:
    def __init__(self, zimun: Zimun) -> None:
        self.zimun = zimun

    def services(self) -> Json:
        return self.zimun.curl("/api/v1/services?page_size=50")

    def availability(self) -> Json:
        return self.zimun.curl("/api/v1/availability?service_id=s_123&date=2026-02-20")

    def locations(self) -> Json:
        return self.zimun.curl("/api/v1/locations")

    def write(self, what: str, body: Json) -> Json:
        return self.zimun.curl(
            f"/api/v1/appointments/{what}",
            "-H", "Content-Type: application/json",
            "-H", f"Idempotency-Key: example-{what}",
            "-d", json.dumps(body),
        )  # fmt: skip


class Grpcurl:
    METHODS = {  # noqa: RUF012
        "hold": "HoldAppointment",
        "confirm": "ConfirmAppointment",
        "reschedule": "RescheduleAppointment",
        "cancel": "CancelAppointment",
    }

    def __init__(self, zimun: Zimun, through_envoy: bool = False) -> None:
        self.zimun = zimun
        self.target = f"localhost:{zimun.port}" if through_envoy else zimun.grpc_target

    def call(self, method: str, body: Json, *flags: str) -> Json:
        return self.zimun.grpcurl(f"zimun.v1.{method}", body, *flags, target=self.target)

    def services(self) -> Json:
        return self.call("ServicesService/ListServices", {"page_size": 50})

    def availability(self) -> Json:
        wanted = {"service_id": "s_123", "date": "2026-02-20"}
        return self.call("AvailabilityService/GetAvailability", wanted)

    def locations(self) -> Json:
        return self.call("LocationsService/ListLocations", {})

    def write(self, what: str, body: Json) -> Json:
        method = f"AppointmentsService/{self.METHODS[what]}"
        return self.call(method, body, "-H", f"idempotency-key: example-{what}")


@pytest.mark.parametrize("tool", [Requests, Curl, Grpcurl])
def test_the_published_examples_run_unchanged(
    tool: Callable[[Zimun], Requests | Curl | Grpcurl], new_program: Callable[..., Zimun]
) -> None:
    zimun = new_program().start()
    api = tool(zimun)

    services = api.services()
    assert services["items"][0]["id"] == "s_123"
    assert services["next_page_token"] == ""
    assert set(api.locations()) == {"items", "next_page_token"}

    availability = api.availability()
    assert availability["service_id"] == "s_123"
    assert [slot["start_time"] for slot in availability["slots"]] == half_hours("2026-02-20")
    assert availability["slots"][-1]["end_time"] == "2026-02-20T17:00:00Z"
    assert availability["days"] == [{"date": "2026-02-20", "status": "OPEN", "note": ""}]

    hold = api.write("hold", HOLD)
    assert hold["hold_id"].startswith("h_")
    assert (hold["state"], hold["start_time"]) == ("HELD", "2025-12-01T10:00:00Z")

    appointment = api.write("confirm", {"hold_id": hold["hold_id"], **CONTACT})
    assert appointment["appointment_id"].startswith("a_")
    assert appointment["state"] == "CONFIRMED"
    assert appointment["start_time"] == "2025-12-01T10:00:00Z"
    assert appointment["staff_id"] == hold["staff_id"]
    assert {name: appointment[name] for name in CONTACT} == CONTACT

    moved = api.write("reschedule", MOVE)
    assert (moved["appointment_id"], moved["start_time"]) == ("a_123", "2026-02-20T13:00:00Z")
    assert moved["end_time"] == "2026-02-20T13:30:00Z"

    cancelled = api.write("cancel", CANCEL)
    assert (cancelled["appointment_id"], cancelled["state"]) == ("a_123", "CANCELLED")
    # grpcurl prints messages that are not set as null, Envoy not at all.
    assert zimun.appointment("a_123") == {
        name: value for name, value in cancelled.items() if value is not None
    }
    zimun.stop()


def test_the_demo_appointment_is_on_the_next_business_day_at_three(zimun: Zimun) -> None:
    # 2025-11-28 is a Friday.
    appointment = zimun.appointment("a_123")
    assert appointment["start_time"] == "2025-12-01T15:00:00Z"
    assert (appointment["service_id"], appointment["state"]) == ("s_123", "CONFIRMED")


def test_the_demo_has_three_staff_members_and_a_horizon_of_120_days(zimun: Zimun) -> None:
    service = zimun.get_json("/api/v1/services/s_123")
    assert len(service["staff_ids"]) >= 3
    assert int(service["duration"].rstrip("s")) == 30 * 60
    assert int(service["horizon"].rstrip("s")) >= 120 * 86400


def test_grpcurl_works_through_envoys_port_too(zimun: Zimun, time: str) -> None:
    api = Grpcurl(zimun, through_envoy=True)
    assert api.services()["items"][0]["id"] == "s_123"
    hold = api.call(
        "AppointmentsService/HoldAppointment", {"service_id": "s_123", "appointment_time": time}
    )
    assert hold["start_time"] == time
    assert zimun.confirm(hold)["hold_id"] == hold["hold_id"]


@pytest.mark.parametrize("port", ["port", "grpc_port"])
def test_grpcurl_lists_and_describes_without_a_token(zimun: Zimun, port: str) -> None:
    target = f"localhost:{getattr(zimun, port)}"
    listed = run("grpcurl", "-plaintext", target, "list")
    assert listed.returncode == 0, listed.stderr
    names = ("Appointments", "Availability", "Locations", "Services")
    assert {f"zimun.v1.{name}Service" for name in names} <= set(listed.stdout.split())

    described = run("grpcurl", "-plaintext", target, "describe", "zimun.v1.Hold")
    assert described.returncode == 0, described.stderr
    assert ".google.protobuf.Timestamp expires_at = 9;" in described.stdout


def answers(text: str) -> list[Any]:
    """The JSON values that follow each other in a text with other lines between them."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while (at := text.find("{", at)) >= 0:
        value, at = decoder.raw_decode(text, at)
        found.append(value)
    return found


def test_commands_printed_at_start_work_when_pasted(zimun: Zimun) -> None:
    screen = zimun.log("out").read_text()
    client, secret = zimun.credentials
    assert client in screen
    assert secret in screen
    pasted = screen[screen.index("TOKEN=") :]

    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=pasted,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "zimun.v1.AppointmentsService" in done.stdout
    services, *availabilities = answers(done.stdout)
    assert services["items"][0]["id"] == "s_123"
    assert len(availabilities) == 2
    for availability in availabilities:
        assert availability["service_id"] == "s_123"
        assert len(availability["slots"]) > 16


def test_demo_env_names_both_addresses_and_the_client(zimun: Zimun) -> None:
    assert set(zimun.demo) == {
        "ZIMUN_BASE_URL",
        "ZIMUN_GRPC_TARGET",
        "ZIMUN_CLIENT_ID",
        "ZIMUN_CLIENT_SECRET",
    }
    assert zimun.url.endswith(f":{zimun.port}")
    assert zimun.grpc_target.endswith(f":{zimun.grpc_port}")
    assert listens(zimun.port)
    assert listens(zimun.grpc_port)
    # The secret is for its owner alone.
    assert (zimun.data_dir / "demo.env").stat().st_mode & 0o077 == 0
