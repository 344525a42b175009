"""TLS with certificates of both sides between Envoy and the server, and on the server's ports."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import requests
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ..support.certificates import Authority, Pair
from ..support.processes import BIN, environment, free_port, listens, run, until
from ..support.program import Zimun, closed_after

pytestmark = pytest.mark.about_the_program


@dataclass(frozen=True)
class Secured:
    """A program whose inner ports ask for certificates of `authority`, and `other` ones."""

    zimun: Zimun
    authority: Authority
    other: Authority
    caller: Pair

    def health(self, authority: Authority, own: Pair | None) -> str:
        """SERVING, or the code of the failure, directly at the gRPC port."""
        credentials = grpc.ssl_channel_credentials(
            authority.file.read_bytes(),
            own.key.read_bytes() if own else None,
            own.certificate.read_bytes() if own else None,
        )
        name = (("grpc.ssl_target_name_override", "zimun"),)
        with grpc.secure_channel(f"127.0.0.1:{self.zimun.grpc_port}", credentials, name) as channel:
            return health(channel)


def health(channel: grpc.Channel) -> str:
    request = health_pb2.HealthCheckRequest()
    try:
        status = health_pb2_grpc.HealthStub(channel).Check(request, timeout=5).status
    except grpc.RpcError as error:
        return str(error.code().name)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(status))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    directory = tmp_path_factory.mktemp("tls")
    authority, other = Authority(directory), Authority(directory, "other")
    server, caller = authority.issue("zimun"), authority.issue("gateway")
    settings = {
        "ZIMUN_GRPC_TLS_CERTIFICATE": server.certificate,
        "ZIMUN_GRPC_TLS_KEY": server.key,
        "ZIMUN_GRPC_TLS_CLIENT_CA": authority.file,
        "ZIMUN_UPSTREAM_TLS_CA": authority.file,
        "ZIMUN_UPSTREAM_TLS_CERTIFICATE": caller.certificate,
        "ZIMUN_UPSTREAM_TLS_KEY": caller.key,
        "ZIMUN_AUTH_PORT": free_port(),
    }
    variables = {name: str(value) for name, value in settings.items()}
    with closed_after(Zimun(directory / "data", **variables)) as zimun:
        yield Secured(zimun.start(), authority, other, caller)
        zimun.stop()


def test_tokens_and_calls_pass_through_envoy(secured: Secured) -> None:
    assert secured.zimun.get_json("/api/v1/services")["items"]
    with grpc.insecure_channel(f"127.0.0.1:{secured.zimun.port}") as channel:
        assert health(channel) == "SERVING"


def test_caller_with_a_certificate_of_the_authority_is_served(secured: Secured) -> None:
    assert secured.health(secured.authority, secured.caller) == "SERVING"


def test_callers_without_a_good_certificate_are_refused(secured: Secured) -> None:
    assert secured.health(secured.authority, None) == "UNAVAILABLE"
    assert secured.health(secured.authority, secured.other.issue("gateway")) == "UNAVAILABLE"
    with grpc.insecure_channel(f"127.0.0.1:{secured.zimun.grpc_port}") as channel:
        assert health(channel) == "UNAVAILABLE"


def test_caller_does_not_trust_a_server_of_another_authority(secured: Secured) -> None:
    assert secured.health(secured.other, secured.caller) == "UNAVAILABLE"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({}, "SERVING"),
        ({"ZIMUN_UPSTREAM_TLS_NAME": "other"}, "UNAVAILABLE"),
        ({"ZIMUN_UPSTREAM_TLS_CERTIFICATE": "", "ZIMUN_UPSTREAM_TLS_KEY": ""}, "UNAVAILABLE"),
    ],
    ids=["all fits", "another name", "no certificate of its own"],
)
def test_gateway_reaches_the_server_where_names_and_certificates_fit(
    secured: Secured, wrong: dict[str, str], told: str, tmp_path: Path
) -> None:
    port = free_port()
    endpoints = {
        "ZIMUN_GRPC_ENDPOINTS": f"127.0.0.1:{secured.zimun.grpc_port}",
        "ZIMUN_ADMIN_PORT": str(free_port()),
        "ZIMUN_PORT": str(port),
        "ZIMUN_HOST": "127.0.0.1",
        "ZIMUN_DATA_DIR": str(tmp_path / "gateway"),
    }
    with subprocess.Popen(
        [str(BIN / "zimun"), "gateway"],
        env=environment(**secured.zimun.env | endpoints | wrong),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as gateway:
        try:
            until("the gateway to listen", lambda: listens(port), 20)
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                assert health(channel) == told
        finally:
            gateway.kill()


def test_server_alone_asks_for_certificates_at_the_token_port_too(
    secured: Secured, tmp_path_factory: pytest.TempPathFactory
) -> None:
    port, directory = free_port(), tmp_path_factory.mktemp("alone")
    command = [
        str(BIN / "zimun"), "serve", "--grpc-port", str(free_port()),
        "--auth-port", str(port), "--data-dir", str(directory / "data"),
    ]  # fmt: skip
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(
            command, env=environment(**secured.zimun.env), stdout=log, stderr=log
        )
    try:
        until("the server to listen", lambda: listens(port), 20)
        assert b'"keys"' in jwks(port, secured.authority, secured.caller)
        assert jwks(port, secured.authority, None) == b""
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{port}/.well-known/jwks.json", timeout=10)
    finally:
        server.terminate()
        server.wait(15)


def jwks(port: int, authority: Authority, own: Pair | None) -> bytes:
    """What the token port of the name zimun answers; nothing if it closes the connection."""
    context = ssl.create_default_context(cafile=authority.file)
    if own:
        context.load_cert_chain(own.certificate, own.key)
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="zimun") as connection,
        connection.makefile("rb") as answer,
    ):
        connection.sendall(b"GET /.well-known/jwks.json HTTP/1.0\r\n\r\n")
        # With TLS 1.3 a client learns after its own handshake that its certificate is missing.
        with suppress(ssl.SSLError, ConnectionError):
            return answer.read()
    return b""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ZIMUN_GRPC_TLS_KEY": ""}, "come together"),
        ({"ZIMUN_GRPC_TLS_KEY": "/dev/null"}, "ZIMUN_GRPC_TLS_CERTIFICATE"),
        ({"ZIMUN_GRPC_TLS_CLIENT_CA": "/no/such"}, "No such file"),
        ({"ZIMUN_UPSTREAM_TLS_CA": "", "ZIMUN_UPSTREAM_TLS_CERTIFICATE": "",
          "ZIMUN_UPSTREAM_TLS_KEY": ""}, "ZIMUN_UPSTREAM_TLS_CA"),
    ],
)  # fmt: skip
def test_files_that_do_not_fit_are_reported_in_one_line(
    secured: Secured,
    changes: dict[str, str],
    words: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    data_dir = str(tmp_path_factory.mktemp("wrong") / "data")
    ports = ("--port", str(free_port()), "--grpc-port", str(free_port()))
    done = run(
        str(BIN / "zimun"), "up", "--data-dir", data_dir, *ports, **secured.zimun.env | changes
    )
    [line] = done.stderr.splitlines()
    assert line.startswith("zimun: ")
    assert words in line


def test_doctor_asks_the_server_as_envoy_does(secured: Secured) -> None:
    zimun = secured.zimun
    ports = {"ZIMUN_PORT": str(zimun.port), "ZIMUN_GRPC_PORT": str(zimun.grpc_port)}
    command = (str(BIN / "zimun"), "doctor", "--running", "--data-dir", str(zimun.data_dir))
    done = run(*command, **zimun.env | ports)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"127.0.0.1:{zimun.grpc_port} is SERVING" in done.stdout
