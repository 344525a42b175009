"""`zimun gateway` as a process, and callers that know which worker answers."""

import http.client
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import requests

from ..support.processes import BIN, environment, free_port, until
from ..support.program import HOLD_PATH
from ..support.server import Server

ISSUER = "http://localhost:8080"
"""That of the servers, unless they are told another."""


class Gateway:
    """`zimun gateway` before some servers; tells which worker has answered."""

    def __init__(self, servers: Sequence[Server], log: Path) -> None:
        self.port, self.admin_port = free_port(), free_port()
        variables = {
            "ZIMUN_HOST": "127.0.0.1",
            "ZIMUN_PORT": str(self.port),
            "ZIMUN_ADMIN_PORT": str(self.admin_port),
            "ZIMUN_ISSUER": ISSUER,
            "ZIMUN_RATE_LIMIT": "0",
            "ZIMUN_GRPC_ENDPOINTS": ",".join(
                f"127.0.0.1:{port}" for server in servers for port in server.grpc_ports
            ),
            "ZIMUN_AUTH_ENDPOINTS": ",".join(f"127.0.0.1:{server.auth_port}" for server in servers),
        }
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [str(BIN / "zimun"), "gateway"],
                stdout=output,
                stderr=output,
                env=environment(**variables),
            )

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def ready(self) -> bool:
        try:
            return self._admin("/ready") == "LIVE\n"
        except OSError:
            return False

    def services(self, token: str, timeout: float = 20) -> requests.Response:
        return requests.get(
            f"http://{self.target}/api/v1/services", headers=_bearer(token), timeout=timeout
        )

    def hold(self, token: str, time: str, key: str) -> requests.Response:
        return requests.post(
            f"http://{self.target}{HOLD_PATH}",
            json={"service_id": "s_123", "appointment_time": time},
            headers=_bearer(token) | {"Idempotency-Key": key},
            timeout=20,
        )

    def worker_of(self, call: Callable[[], object]) -> int:
        """The gRPC port of the worker that answers the call; nobody else may be calling."""
        before = self.count_answers()
        call()
        after = self.count_answers()
        [port] = [port for port in after if after[port] > before[port]]
        return port

    def count_answers(self) -> dict[int, int]:
        """How many calls the worker at each port has answered."""
        counters = re.findall(
            r"^zimun::127\.0\.0\.1:(\d+)::rq_success::(\d+)$",
            self._admin("/clusters"),
            re.MULTILINE,
        )
        return {int(port): int(calls) for port, calls in counters}

    def _admin(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=5)
        with closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read().decode()


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def gateway_before(*servers: Server, log: Path) -> Iterator[Gateway]:
    """A gateway that is ready, while the context is open."""
    with closing(Gateway(servers, log)) as gateway:
        until("the gateway", gateway.ready, 20)
        yield gateway
