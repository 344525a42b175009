"""`zimun up` as a program: how fast it starts, how it ends, what it refuses."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from ..support.processes import BIN, alive, descendants, free_port, listens, run, until
from ..support.program import Zimun

ZIMUN = str(BIN / "zimun")


def first_answers(zimun: Zimun) -> float:
    """Starts it; returns the seconds until a token and a list of services were answered."""
    zimun.start()

    def served() -> bool:
        try:
            answer = zimun.session.post(
                f"{zimun.url}/oauth/token",
                data={"grant_type": "client_credentials"},
                auth=zimun.credentials,
                timeout=5,
            )
            token = answer.json()["access_token"]
            return zimun.get("/api/v1/services", token=token).status_code == 200
        except requests.ConnectionError:
            return False

    until("the first answer", served)
    return time.monotonic() - zimun.started


@pytest.mark.quiet
def test_the_first_request_is_answered_within_three_seconds(
    new_program: Callable[..., Zimun],
) -> None:
    # The best of three, as the machine may have other things to do.
    seconds: list[float] = []
    while len(seconds) < 3 and min(seconds, default=3) >= 3:
        zimun = new_program()
        seconds.append(first_answers(zimun))
        zimun.stop()
    assert min(seconds) < 3, seconds


@pytest.mark.parametrize(
    ("how", "group"),
    [
        pytest.param(signal.SIGINT, True, id="Ctrl-C"),
        pytest.param(signal.SIGINT, False, id="SIGINT to the program alone"),
        pytest.param(signal.SIGTERM, False, id="SIGTERM to the program alone"),
    ],
)
def test_program_ends_with_status_0_and_leaves_no_process(
    new_program: Callable[..., Zimun], how: int, group: bool
) -> None:
    # Ctrl-C in a terminal reaches every process of the group, Envoy too.
    zimun = new_program().start()
    assert "envoy" in descendants(zimun.process.pid).values()
    zimun.stop(how, group)
    assert not listens(zimun.port)
    assert not listens(zimun.grpc_port)


def test_ctrl_c_while_it_starts_leaves_nothing(new_program: Callable[..., Zimun]) -> None:
    for moment in ("Envoy has just started", "the port has just opened"):
        zimun = new_program()
        zimun.spawn()

        def begun(zimun: Zimun = zimun, moment: str = moment) -> bool:
            if moment.startswith("Envoy"):
                return "envoy" in descendants(zimun.process.pid).values()
            return listens(zimun.port)

        until(moment, begun, 20)
        family = descendants(zimun.process.pid)
        os.killpg(zimun.process.pid, signal.SIGINT)
        zimun.process.wait(15)
        assert not [pid for pid in family if alive(pid)], moment
        assert "Traceback" not in zimun.output(), moment


def refuses_to_start(
    data_dir: Path, *options: str, **env: str
) -> "subprocess.CompletedProcess[str]":
    """Runs `zimun up`, which must end at once with one line on stderr and none on stdout."""
    done = run(ZIMUN, "up", "--data-dir", str(data_dir), *options, **env)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "Zimun is ready" not in done.stdout
    return done


@pytest.mark.parametrize("taken", ["--port", "--grpc-port"])
def test_a_taken_port_is_refused_in_one_clear_line(taken: str, tmp_path: Path) -> None:
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        port = str(somebody.getsockname()[1])
        ports = {"--port": str(free_port()), "--grpc-port": str(free_port()), taken: port}
        options = [word for option in ports.items() for word in option]
        done = refuses_to_start(tmp_path / "data", "--demo", *options)
    lines = done.stderr.splitlines()
    assert port in lines[-1]
    assert "in use" in lines[-1]
    assert len(lines) == 1, done.stderr


@pytest.mark.about_the_program
@pytest.mark.parametrize("taken", ["--port", "--grpc-port"])
def test_second_program_on_a_taken_port_is_refused(
    zimun: Zimun, taken: str, tmp_path: Path
) -> None:
    # Envoy and gRPC both could: SO_REUSEPORT would split the callers between the two.
    ports = {"--port": free_port(), "--grpc-port": free_port()}
    port = ports[taken] = {"--port": zimun.port, "--grpc-port": zimun.grpc_port}[taken]
    options = [word for option, port in ports.items() for word in (option, str(port))]
    done = refuses_to_start(tmp_path / "data", "--demo", *options)
    assert str(port) in done.stderr.splitlines()[-1]
    assert zimun.get_json("/api/v1/services")["items"][0]["id"] == "s_123"


@pytest.mark.about_the_program
def test_second_program_on_the_same_data_directory_is_refused(zimun: Zimun) -> None:
    known = (zimun.data_dir / "demo.env").read_text()
    ports = ("--port", str(free_port()), "--grpc-port", str(free_port()))
    done = refuses_to_start(zimun.data_dir, "--demo", *ports)
    assert done.stderr.splitlines() == [f"zimun: another `zimun up` runs on {zimun.data_dir}"]
    assert (zimun.data_dir / "demo.env").read_text() == known
    assert zimun.get_json("/api/v1/services")["items"][0]["id"] == "s_123"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--database-url", "postgresql://db/zimun"), "ZIMUN_DATABASE_URL"),
        (("--database-url", "nonsense"), "ZIMUN_DATABASE_URL"),
    ],
)
def test_a_database_that_cannot_be_opened_is_one_line(
    options: tuple[str, ...], named: str, tmp_path: Path
) -> None:
    done = refuses_to_start(tmp_path / "data", "--demo", "--port", str(free_port()), *options)
    [line] = done.stderr.splitlines()
    assert named in line


def test_the_sandbox_clock_is_refused_without_the_demo(tmp_path: Path) -> None:
    done = refuses_to_start(tmp_path / "data", "--now", "2025-11-28T09:00:00Z")
    assert "--now" in done.stderr.splitlines()[-1]
    assert "--demo" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("now", ["yesterday", "2025-11-28T09:00:00"])
def test_a_sandbox_clock_without_a_moment_is_refused(now: str, tmp_path: Path) -> None:
    done = refuses_to_start(tmp_path / "data", "--demo", "--now", now)
    assert now in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [("ZIMUN_RATE_LIMIT", "fast"), ("ZIMUN_TOKEN_LIFETIME", "-1")],
)
def test_a_wrong_setting_fails_at_start_and_is_named(name: str, value: str, tmp_path: Path) -> None:
    done = refuses_to_start(tmp_path / "data", "--demo", **{name: value})
    assert name in done.stderr


@pytest.mark.about_the_program
def test_when_envoy_dies_the_program_says_so_and_ends(new_program: Callable[..., Zimun]) -> None:
    zimun = new_program().start()
    os.kill(zimun.envoy(), signal.SIGKILL)
    assert zimun.process.wait(10) != 0
    last = zimun.log("err").read_text().splitlines()[-1]
    assert "envoy" in last.lower()
    assert not (zimun.data_dir / "demo.env").exists()
    assert "Traceback" not in zimun.output()
    assert not listens(zimun.grpc_port)


def test_program_without_errors_logs_nothing(new_program: Callable[..., Zimun]) -> None:
    # The first screen is for the client's secret and the calls to paste.
    zimun = new_program().start()
    assert zimun.get_json("/api/v1/services")["items"]
    assert zimun.log("err").read_text() == ""
    zimun.stop()


def test_a_second_start_on_the_same_data_keeps_clients_and_bookings(
    new_program: Callable[..., Zimun],
) -> None:
    zimun = new_program().start()
    client = zimun.new_client()
    booked = zimun.book("2025-12-01T10:00:00Z")
    token = zimun.token()
    zimun.stop()
    assert not (zimun.data_dir / "demo.env").exists()
    zimun.start(now="2025-11-28T10:00:00Z")
    assert zimun.appointment(booked["appointment_id"]) == booked
    assert zimun.ask_token({"grant_type": "client_credentials"}, client).status_code == 200
    # The signing key is the same: whoever had a token need not ask again.
    assert zimun.get("/api/v1/services", token=token).status_code == 200
    # The demo fills an empty store only: there still is one a_123.
    items = zimun.get_json("/api/v1/appointments")["items"]
    assert [one["appointment_id"] for one in items] == [booked["appointment_id"], "a_123"]
    zimun.stop()
