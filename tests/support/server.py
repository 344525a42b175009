"""`zimun serve` as a process, what several of them share, and callers that know which one answers.

As in `program`, nothing here imports the server.
"""

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import grpc
import requests
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2

from zimun.v1 import (
    appointments_service_pb2,
    availability_service_pb2,
    hold_pb2,
    service_pb2,
    services_service_pb2,
)

from .postgres import shared
from .processes import BIN, READY_SECONDS, STOP_SECONDS, alive, descendants, environment, until
from .program import Zimun, closed_after
from .times import half_hours, instant, workdays

M = TypeVar("M", bound=Message)

LISTEN = "0A"
"""The state of a socket that listens, in /proc/net/tcp."""

WHERE = re.compile(
    r"gRPC at (127\.0\.0\.1:\d+(?:, 127\.0\.0\.1:\d+)*), tokens of \S+ at port (\d+)\n"
)


@dataclass(frozen=True)
class Site:
    """What servers share: a data directory, a database, and a client in it.

    `database` is the variables that name a database on a server; none for a file
    in the directory.
    """

    data_dir: Path
    database: Mapping[str, str]
    credentials: tuple[str, str] = ("", "")

    def copy(self, data_dir: Path) -> "Site":
        """The same in another place; nobody may be using this one."""
        shutil.copytree(self.data_dir, data_dir, ignore=shutil.ignore_patterns("envoy"))
        if not self.database:
            return Site(data_dir, {}, self.credentials)
        server, _ = shared()
        copied = server.create(template=self.database["ZIMUN_DATABASE_URL"].rpartition("/")[2])
        return Site(data_dir, {"ZIMUN_DATABASE_URL": server.url(copied)}, self.credentials)


def seeded(data_dir: Path, database: Mapping[str, str]) -> Site:
    """The demo of today."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with closed_after(Zimun(data_dir, now, **database)) as zimun:
        zimun.start()
        credentials = zimun.credentials
        zimun.stop()
    return Site(data_dir, database, credentials)


def starts() -> Iterator[str]:
    """Starts of s_123, from a week ahead on."""
    first = date.today() + timedelta(days=7)
    return (time for day in workdays(first) for time in half_hours(day))


class Server:
    """One `zimun serve` on a site; can be stopped, killed and started again."""

    def __init__(
        self,
        site: Site,
        workers: int = 1,
        grpc_port: int = 0,
        auth_port: int = 0,
        *,
        started_by: Sequence[str] = (),
    ) -> None:
        self.site = site
        self.started_by = started_by
        self.workers = workers
        self.ports = (grpc_port, auth_port)
        self.grpc_ports: list[int] = []
        self.auth_port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._log = Path()
        self._token = ""

    # The process.

    def spawn(self) -> None:
        """Starts the program without waiting for it."""
        self.site.data_dir.mkdir(parents=True, exist_ok=True)
        number = len(list(self.site.data_dir.glob("serve.*")))
        self._log = self.site.data_dir / f"serve.{number}"
        command = [
            *self.started_by, str(BIN / "zimun"), "serve",
            "--grpc-port", str(self.ports[0]), "--auth-port", str(self.ports[1]),
            "--data-dir", str(self.site.data_dir),
        ]  # fmt: skip
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=environment(ZIMUN_WORKERS=str(self.workers), **self.site.database),
                start_new_session=True,
            )

    def start(self) -> "Server":
        """Starts the program and waits until it says where it serves."""
        self.spawn()
        return self.wait_ready()

    def wait_ready(self) -> "Server":
        found = until("the line that says where it serves", self._where, READY_SECONDS)
        self.grpc_ports = [int(address.rpartition(":")[2]) for address in found[1].split(", ")]
        self.auth_port = int(found[2])
        return self

    def _where(self) -> "re.Match[str] | None":
        assert self.process.poll() is None, f"zimun serve ended: {self.output()}"
        return WHERE.search(self.output())

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "not started"
        return self._process

    def output(self) -> str:
        return self._log.read_text()

    def children(self) -> set[int]:
        """The pids of its workers."""
        return {pid for pid in descendants(self.process.pid) if alive(pid)}

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Asks it to end; it must end well and take everything with it."""
        self.process.send_signal(how)
        self.wait_stopped(self.children())

    def wait_stopped(self, family: set[int]) -> None:
        status = self.process.wait(2 * STOP_SECONDS)
        assert status == 0, f"exit code {status}: {self.output()}"
        assert not [pid for pid in family if alive(pid)]
        assert "Traceback" not in self.output(), self.output()

    def close(self) -> None:
        """Leaves nothing behind, whatever the test did."""
        if self._process is not None and self._process.poll() is None:
            family = self.children()
            self._process.kill()
            self._process.wait(STOP_SECONDS)
            for pid in filter(alive, family):
                os.kill(pid, signal.SIGKILL)

    # Who serves where.

    def listeners(self) -> Counter[int]:
        """How many sockets listen on each of its gRPC ports."""
        return Counter(
            port for port, state, _ in sockets() if port in self.grpc_ports and state == LISTEN
        )

    def listens(self) -> bool:
        """Whether there is exactly one worker at each of its addresses."""
        return self.listeners() == Counter(self.grpc_ports)

    def worker(self, grpc_port: int) -> int:
        """The pid of the only worker that listens on this port."""
        listening = {
            inode for port, state, inode in sockets() if port == grpc_port and state == LISTEN
        }
        [pid] = [pid for pid in self.children() if listening & inodes(pid)]
        return pid

    # Its callers.

    @property
    def grpc_port(self) -> int:
        """The first one."""
        return self.grpc_ports[0]

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    def token(self) -> str:
        """A token, asked for once."""
        self._token = self._token or self.new_token()
        return self._token

    def new_token(self, credentials: tuple[str, str] | None = None) -> str:
        answer = requests.post(
            f"http://127.0.0.1:{self.auth_port}/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=credentials or self.site.credentials,
            timeout=20,
        )
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    def caller(self, grpc_port: int = 0) -> "Caller":
        """Somebody with a connection of their own, to the first worker unless a port is given."""
        return Caller(f"127.0.0.1:{grpc_port or self.grpc_port}", self.token())

    @contextmanager
    def caller_at_each_worker(self) -> Iterator[dict[int, "Caller"]]:
        """One caller at each worker: pid -> caller."""
        with ExitStack() as stack:
            yield {
                self.worker(port): stack.enter_context(self.caller(port))
                for port in self.grpc_ports
            }


class Caller:
    """gRPC calls of the site's client on one connection, which nobody else uses."""

    def __init__(self, target: str, token: str) -> None:
        options = (("grpc.use_local_subchannel_pool", 1),)
        self.channel = grpc.insecure_channel(target, options)
        self.token = token

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        self.channel.close()

    def future(
        self, method: str, request: Message, answer: type[M], key: str = "", timeout: float = 20
    ) -> "grpc._CallFuture[M]":
        """A call under way; it waits for the connection."""
        keyed = (("idempotency-key", key),) if key else ()
        call: grpc.UnaryUnaryMultiCallable[Message, M] = self.channel.unary_unary(
            f"/zimun.v1.{method}", serialize, answer.FromString
        )
        return call.future(
            request,
            timeout=timeout,
            metadata=(("authorization", f"Bearer {self.token}"), *keyed),
            wait_for_ready=True,
        )

    def services(self, timeout: float = 20) -> list[service_pb2.Service]:
        request = services_service_pb2.ListServicesRequest()
        answer = services_service_pb2.ListServicesResponse
        found = self.future("ServicesService/ListServices", request, answer, timeout=timeout)
        return list(found.result().items)

    def rename(self, name: str) -> None:
        """Gives s_123 another name."""
        request = services_service_pb2.UpdateServiceRequest(
            service=service_pb2.Service(id="s_123", name=name)
        )
        self.future("ServicesService/UpdateService", request, service_pb2.Service).result()

    def free_staff(self, time: str) -> set[str]:
        """Who is offered for s_123 at this time."""
        request = availability_service_pb2.GetAvailabilityRequest(
            service_id="s_123", date=time[:10]
        )
        answer = availability_service_pb2.GetAvailabilityResponse
        found = self.future("AvailabilityService/GetAvailability", request, answer).result()
        wanted = timestamp(time)
        return {who for slot in found.slots if slot.start_time == wanted for who in slot.staff_ids}

    def begin_hold(
        self, time: str, key: str = "", staff_id: str = "", timeout: float = 20
    ) -> "grpc._CallFuture[hold_pb2.Hold]":
        return self.future(
            "AppointmentsService/HoldAppointment",
            hold_request(time, staff_id),
            hold_pb2.Hold,
            key,
            timeout,
        )

    def hold(
        self, time: str, key: str = "", staff_id: str = "", timeout: float = 20
    ) -> hold_pb2.Hold:
        return self.begin_hold(time, key, staff_id, timeout).result()

    def health(self, service: str = "", timeout: float = 5) -> str:
        """What a health check is told: SERVING, NOT_SERVING."""
        call: grpc.UnaryUnaryMultiCallable[Message, health_pb2.HealthCheckResponse]
        call = self.channel.unary_unary(
            "/grpc.health.v1.Health/Check", serialize, health_pb2.HealthCheckResponse.FromString
        )
        found = call(health_pb2.HealthCheckRequest(service=service), timeout=timeout)
        name: str = health_pb2.HealthCheckResponse.ServingStatus.Name(found.status)
        return name

    def watch(self) -> Iterator[str]:
        """What a health check is told now, and whenever it changes."""
        call: grpc.UnaryStreamMultiCallable[Message, health_pb2.HealthCheckResponse]
        call = self.channel.unary_stream(
            "/grpc.health.v1.Health/Watch", serialize, health_pb2.HealthCheckResponse.FromString
        )
        for found in call(health_pb2.HealthCheckRequest()):
            name: str = health_pb2.HealthCheckResponse.ServingStatus.Name(found.status)
            yield name


def serialize(message: Message) -> bytes:
    return message.SerializeToString()


def timestamp(time: str) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(instant(time))
    return found


def hold_request(time: str, staff_id: str = "") -> appointments_service_pb2.HoldAppointmentRequest:
    return appointments_service_pb2.HoldAppointmentRequest(
        service_id="s_123", appointment_time=timestamp(time), staff_id=staff_id
    )


def outcome(call: "grpc._CallFuture[M]") -> tuple[str, str]:
    """The code of a call's end and the reason of its ErrorInfo, empty where it has none."""
    return ("OK", "") if call.exception() is None else outcome_of(call)


def outcome_of(failed: Any) -> tuple[str, str]:
    """The same of a call that failed, or of its error."""
    info = error_details_pb2.ErrorInfo()
    for detail in details(failed):
        detail.Unpack(info)
    return failed.code().name, info.reason


def details(failed: Any) -> list[Any]:
    """The details of a failure's google.rpc.Status."""
    for key, value in failed.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return list(status_pb2.Status.FromString(value).details)
    return []


def sockets() -> Iterator[tuple[int, str, str]]:
    """The TCP sockets of this machine as (local port, state, inode); see proc(5)."""
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            parts = line.split()
            yield int(parts[1].rpartition(":")[2], 16), parts[3], parts[9]


def inodes(pid: int) -> set[str]:
    """The inodes of the sockets that a process has open."""
    found: set[str] = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            link = os.readlink(entry)
        except OSError:
            continue
        found |= {link[8:-1]} if link.startswith("socket:[") else set()
    return found
