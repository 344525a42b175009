"""TLS and mutual TLS of the ports that Envoy calls: gRPC and tokens."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from zimun.config import ConfigError, Settings

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2, as gRPC has them: OpenSSL would take those with CBC, too."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """The credentials of the gRPC port and of the HTTP port beside it."""

    grpc: grpc.ServerCredentials
    http: ssl.SSLContext


def server_tls(settings: Settings) -> ServerTls | None:
    """None for ports in clear. Files are read once: a restart (SIGHUP with workers) renews them.

    With `grpc_tls_client_ca` callers must have a certificate of that authority. TLS 1.2 or newer.
    Raises ConfigError for files that cannot be read or do not fit.
    """
    certificate, key = settings.grpc_tls_certificate, settings.grpc_tls_key
    if not certificate or not key:
        return None
    authority = settings.grpc_tls_client_ca
    context = _context(certificate, key, authority)
    credentials = grpc.ssl_server_credentials(
        [(key.read_bytes(), certificate.read_bytes())],
        root_certificates=authority.read_bytes() if authority else None,
        require_client_auth=authority is not None,
    )
    return ServerTls(credentials, context)


def _context(certificate: Path, key: Path, authority: Path | None) -> ssl.SSLContext:
    """The context of the HTTP port. It checks the files, which gRPC does at a handshake only."""
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
        context.load_cert_chain(certificate, key, password=_refuse_password)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"ZIMUN_GRPC_TLS_CERTIFICATE, …_KEY, …_CLIENT_CA: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.verify_mode = ssl.CERT_REQUIRED if authority else ssl.CERT_NONE
    return context


def _refuse_password() -> str:
    """Refuse an encrypted key; OpenSSL would ask for its password at the terminal."""
    raise OSError("the key is encrypted")
