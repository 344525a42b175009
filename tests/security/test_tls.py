"""Mutual TLS of the gRPC and token ports: what a caller must not be served with."""

import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from ..support.certificates import Authority, Pair
from ..support.server import Server, Site
from .attacks import AttackCounter

pytestmark = pytest.mark.one_store

PORTS = ("grpc_port", "auth_port")
SENT = {
    "grpc_port": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]),
    "auth_port": b"GET /.well-known/jwks.json HTTP/1.0\r\n\r\n",
}
"""The first bytes of a client, which are answered."""


@dataclass(frozen=True)
class Secured:
    server: Server
    authority: Authority
    directory: Path

    def answer(self, port: str, context: ssl.SSLContext | None) -> bytes:
        """What a port answers to the first bytes of a client: nothing where it refuses it."""
        address = ("127.0.0.1", getattr(self.server, port))
        with socket.create_connection(address, timeout=10) as plain:
            try:
                caller = context.wrap_socket(plain, server_hostname="zimun") if context else plain
                with caller:
                    caller.sendall(SENT[port])
                    # With TLS 1.3 a client learns of a refusal only after its handshake.
                    return caller.recv(100)
            except (ssl.SSLError, ConnectionError):
                return b""

    def context(self, own: Pair | None) -> ssl.SSLContext:
        """A client that trusts the server and shows a certificate."""
        context = ssl.create_default_context(cafile=self.authority.file)
        context.set_alpn_protocols(["h2", "http/1.1"])
        if own:
            context.load_cert_chain(own.certificate, own.key)
        return context


@pytest.fixture(scope="module")
def secured(demo_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    directory = tmp_path_factory.mktemp("tls")
    authority = Authority(directory)
    own = authority.issue("zimun")
    variables = (
        f"ZIMUN_GRPC_TLS_CERTIFICATE={own.certificate}",
        f"ZIMUN_GRPC_TLS_KEY={own.key}",
        f"ZIMUN_GRPC_TLS_CLIENT_CA={authority.file}",
    )
    server = Server(demo_site.copy(directory / "site"), started_by=("env", *variables))
    try:
        yield Secured(server.start(), authority, directory)
        assert "Traceback" not in server.output()
        server.stop()
    finally:
        server.close()


def namesake(secured: Secured) -> Pair:
    """Of an authority of the same name, with another key."""
    other = secured.directory / "other"
    other.mkdir(exist_ok=True)
    return Authority(other).issue("gateway")


CERTIFICATES: dict[str, Callable[[Secured], Pair | None]] = {
    "none": lambda _: None,
    "of a namesake of the authority": namesake,
    "expired": lambda secured: secured.authority.issue("expired", days=(-9, -1)),
    "not valid yet": lambda secured: secured.authority.issue("early", days=(1, 9)),
    "for servers alone": lambda secured: secured.authority.issue(
        "server", usage=ExtendedKeyUsageOID.SERVER_AUTH
    ),
    "for signing code": lambda secured: secured.authority.issue(
        "code", usage=ExtendedKeyUsageOID.CODE_SIGNING
    ),
}


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("name", CERTIFICATES)
def test_callers_without_a_good_certificate_get_nothing(
    name: str, port: str, secured: Secured, attacks: AttackCounter
) -> None:
    context = secured.context(CERTIFICATES[name](secured))
    assert secured.answer(port, context) == b""
    attacks.count("TLS")


@pytest.mark.parametrize("port", PORTS)
def test_callers_in_clear_get_nothing(port: str, secured: Secured, attacks: AttackCounter) -> None:
    assert secured.answer(port, None) == b""
    attacks.count("TLS")


WEAK = {
    "TLS 1.0": (ssl.TLSVersion.TLSv1, "ALL"),
    "TLS 1.1": (ssl.TLSVersion.TLSv1_1, "ALL"),
    "CBC with SHA-1": (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA"),
    "CBC with SHA-384": (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-SHA384"),
    "CCM with a short tag": (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-CCM8"),
    "no forward secrecy": (ssl.TLSVersion.TLSv1_2, "AES256-GCM-SHA384"),
}


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("name", WEAK)
def test_weak_versions_and_ciphers_are_refused(
    name: str, port: str, secured: Secured, attacks: AttackCounter
) -> None:
    context = secured.context(secured.authority.issue("gateway"))
    version, ciphers = WEAK[name]
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    assert secured.answer(port, context) == b""
    attacks.count("TLS")


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_callers_with_a_good_certificate_are_served(
    version: ssl.TLSVersion, port: str, secured: Secured
) -> None:
    usage = ExtendedKeyUsageOID.CLIENT_AUTH
    context = secured.context(secured.authority.issue("gateway", usage=usage))
    context.minimum_version = context.maximum_version = version
    assert secured.answer(port, context)
