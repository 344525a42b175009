"""`zimun up` as a child process, and the few ways in which a client talks to it.

Nothing here imports the server: what is tested is the program, its two ports
and its files. Only the generated stubs are used, as any client would.
"""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import requests

from .answers import Json, ok_json
from .processes import (
    BIN,
    READY_SECONDS,
    STOP_SECONDS,
    alive,
    descendants,
    environment,
    free_port,
    run,
    until,
)

NOW = "2025-11-28T09:00:00Z"

HOLD_PATH = "/api/v1/appointments/hold"
CONFIRM_PATH = "/api/v1/appointments/confirm"

DEMO_STAFF = frozenset({"t_ada", "t_ben", "t_chloe"})
"""Who gives s_123."""


MAX_IDLE = 30.0
"""Seconds after which a connection is not used again: Envoy closes it after 60."""


class _BusyConnections(requests.adapters.HTTPAdapter):
    """Drops connections that have been idle for MAX_IDLE: a request may meet their end."""

    _used = 0.0

    def send(self, *request: Any, **options: Any) -> requests.Response:
        if time.monotonic() - self._used > MAX_IDLE:
            self.poolmanager.clear()
        try:
            return super().send(*request, **options)
        finally:
            self._used = time.monotonic()


class Zimun:
    """One `zimun up --demo` on a data directory; can be stopped, killed and started again."""

    def __init__(self, data_dir: Path, now: str = NOW, **env: str) -> None:
        self.data_dir = data_dir
        self.now = now
        self.env = env
        self.program = str(BIN / "zimun")
        self.port = free_port()
        self.grpc_port = free_port()
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.mount("http://", _BusyConnections())
        self.demo: dict[str, str] = {}
        self.started = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._tokens: dict[tuple[str, str], str] = {}
        self._runs = 0

    # The process.

    def spawn(self, now: str | None = None) -> None:
        """Starts the program without waiting for it."""
        self._runs += 1
        self.now = now or self.now
        self._tokens.clear()
        (self.data_dir / "demo.env").unlink(missing_ok=True)
        command = [
            self.program, "up", "--demo", "--now", self.now,
            "--port", str(self.port), "--grpc-port", str(self.grpc_port),
            "--data-dir", str(self.data_dir),
        ]  # fmt: skip
        with self.log("out").open("wb") as out, self.log("err").open("wb") as err:
            self.started = time.monotonic()
            self._process = subprocess.Popen(
                command,
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                env=environment(**self.env),
                start_new_session=True,
            )

    def start(self, now: str | None = None) -> "Zimun":
        """Starts the program and waits until it says it is ready."""
        self.spawn(now)
        self.demo = until("demo.env", self._ready, READY_SECONDS)
        return self

    def _ready(self) -> dict[str, str] | None:
        assert self.process.poll() is None, f"zimun up ended: {self.output()}"
        written = self.data_dir / "demo.env"
        lines = written.read_text().splitlines() if written.exists() else []
        found = dict(line.split("=", 1) for line in lines)
        return found if len(found) == 4 else None

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "not started"
        return self._process

    def log(self, stream: str) -> Path:
        return self.data_dir.with_name(f"{self.data_dir.name}.{self._runs}.{stream}")

    def output(self) -> str:
        return "".join(self.log(stream).read_text() for stream in ("out", "err"))

    def envoy(self) -> int:
        """The pid of the child Envoy."""
        found = [pid for pid, name in descendants(self.process.pid).items() if name == "envoy"]
        assert len(found) == 1, f"one Envoy expected, found {found}"
        return found[0]

    def stop(self, how: int = signal.SIGINT, group: bool = False) -> None:
        """Ends it as Ctrl-C does; it must end well and take everything with it."""
        family = descendants(self.process.pid)
        (os.killpg if group else os.kill)(self.process.pid, how)
        status = self.process.wait(STOP_SECONDS)
        left = {pid: name for pid, name in family.items() if alive(pid)}
        output = self.output()
        assert status == 0, f"exit code {status}: {output}"
        assert not left, f"still running: {left}"
        assert "Traceback" not in output, output

    def kill(self) -> None:
        """Ends it as a power cut would."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def close(self) -> None:
        """Leaves nothing behind, whatever the test did."""
        self.session.close()
        if self._process is not None and self._process.poll() is None:
            family = descendants(self._process.pid)
            self.kill()
            for pid in filter(alive, family):
                os.kill(pid, signal.SIGKILL)

    # Its addresses.

    @property
    def url(self) -> str:
        return self.demo["ZIMUN_BASE_URL"]

    @property
    def grpc_target(self) -> str:
        return self.demo["ZIMUN_GRPC_TARGET"]

    @property
    def credentials(self) -> tuple[str, str]:
        return self.demo["ZIMUN_CLIENT_ID"], self.demo["ZIMUN_CLIENT_SECRET"]

    def cli(self, *arguments: str) -> str:
        """Runs `zimun <arguments> --data-dir <this one's>`; returns what it printed."""
        done = run(self.program, *arguments, "--data-dir", str(self.data_dir), **self.env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def new_client(self, *options: str, org: str = "o_demo") -> tuple[str, str]:
        """Creates an API client; returns its id and secret."""
        printed = self.cli("client", "create", "--org", org, "--name", "A test", *options)
        found = dict(re.findall(r"^client (id|secret)\s+(\S+)$", printed, re.MULTILINE))
        return found["id"], found["secret"]

    def as_client(self, client: tuple[str, str]) -> "Zimun":
        """The same running program, called by another client."""
        other = copy(self)
        client_id, secret = client
        other.demo = self.demo | {"ZIMUN_CLIENT_ID": client_id, "ZIMUN_CLIENT_SECRET": secret}
        return other

    # The token endpoint.

    def ask_token(
        self,
        form: Any = None,
        auth: tuple[str, str] | None = None,
        verb: str = "POST",
        **options: Any,
    ) -> requests.Response:
        """One request to the token endpoint, repeated while it says there were too many."""

        def attempt() -> list[requests.Response]:
            answer = self.session.request(
                verb, f"{self.url}/oauth/token", data=form, auth=auth, timeout=20, **options
            )
            return [] if answer.status_code == 429 else [answer]

        return until("an answer but 429", attempt)[0]

    def token(self, scope: str = "", credentials: tuple[str, str] | None = None) -> str:
        """A token, asked for once per scope and client."""
        client = credentials or self.credentials
        if (client[0], scope) not in self._tokens:
            form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
            answer = self.ask_token(form, client)
            assert answer.status_code == 200, answer.text
            self._tokens[client[0], scope] = answer.json()["access_token"]
        return self._tokens[client[0], scope]

    # JSON through Envoy.

    def headers(self, token: str | None = None, key: str | None = None) -> dict[str, str]:
        bearer = {"Authorization": f"Bearer {self.token() if token is None else token}"}
        return bearer | ({"Idempotency-Key": key} if key is not None else {})

    def get(self, path: str, token: str | None = None, **query: Any) -> requests.Response:
        parameters = {name: str(value) for name, value in query.items()}
        return self.session.get(
            self.url + path, params=parameters, headers=self.headers(token), timeout=20
        )

    def post(
        self, path: str, body: object, key: str | None = None, token: str | None = None
    ) -> requests.Response:
        return self.session.post(
            self.url + path, json=body, headers=self.headers(token, key), timeout=20
        )

    def patch(self, path: str, body: object, **query: str) -> requests.Response:
        return self.session.patch(
            self.url + path, json=body, params=query, headers=self.headers(), timeout=20
        )

    def delete(self, path: str) -> requests.Response:
        return self.session.delete(self.url + path, headers=self.headers(), timeout=20)

    def get_json(self, path: str, **query: Any) -> Json:
        return ok_json(self.get(path, **query))

    def post_json(self, path: str, key: str | None = None, **body: Any) -> Json:
        return ok_json(self.post(path, body, key))

    def hold(self, time: str, service: str = "s_123", **more: Any) -> Json:
        return self.post_json(HOLD_PATH, service_id=service, appointment_time=time, **more)

    def try_hold(self, time: str, service: str = "s_123", **more: Any) -> requests.Response:
        body = {"service_id": service, "appointment_time": time, **more}
        return self.post(HOLD_PATH, body)

    def confirm(self, hold: Json, **more: Any) -> Json:
        return self.post_json(
            CONFIRM_PATH,
            hold_id=hold["hold_id"],
            **{"contact_name": "Dana Lee", "contact_email": "dana@example.com", **more},
        )

    def book(self, time: str, service: str = "s_123", **more: Any) -> Json:
        return self.confirm(self.hold(time, service, **more))

    def appointment(self, appointment_id: str) -> Json:
        return self.get_json(f"/api/v1/appointments/{appointment_id}")

    def slots(self, date: str, service: str = "s_123", **more: Any) -> dict[str, Json]:
        """The open slots of a date by their start."""
        answer = self.get_json("/api/v1/availability", service_id=service, date=date, **more)
        return {slot["start_time"]: slot for slot in answer["slots"]}

    def free_staff(self, time: str, service: str = "s_123") -> set[str]:
        """Who is offered at this time."""
        return set(self.slots(time[:10], service).get(time, {}).get("staff_ids", ()))

    # The other tools people use.

    def grpcurl(
        self, method: str, body: object = None, *flags: str, target: str = "", token: str = ""
    ) -> Json:
        """Calls a method with grpcurl and a token; returns the answer."""
        done = run(
            "grpcurl", "-plaintext", "-emit-defaults", *flags,
            "-H", f"Authorization: Bearer {token or self.token()}", "-d", json.dumps(body or {}),
            target or self.grpc_target, method,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        answer: Json = json.loads(done.stdout)
        return answer

    def curl(self, path: str, *flags: str) -> Json:
        """Calls a path with curl and a token; returns the answer."""
        done = run(
            "curl", "-sS", "--fail-with-body", "-H", f"Authorization: Bearer {self.token()}",
            *flags, self.url + path,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        answer: Json = json.loads(done.stdout)
        return answer


@contextmanager
def closed_after(zimun: Zimun) -> Iterator[Zimun]:
    try:
        yield zimun
    finally:
        zimun.close()
