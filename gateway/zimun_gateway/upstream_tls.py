"""TLS from Envoy to the servers, and to an outside identity provider."""

from ipaddress import ip_address
from pathlib import Path

from .config import Config, extension
from .settings import Settings


def upstream_tls(settings: Settings, protocol: str) -> Config:
    """Fields of a cluster of servers that speak one protocol (ALPN); none for servers in clear."""
    if not settings.upstream_tls_ca:
        return {}
    common: Config = {"alpn_protocols": [protocol]}
    if settings.upstream_tls_certificate and settings.upstream_tls_key:
        chain = {"filename": str(settings.upstream_tls_certificate)}
        key = {"filename": str(settings.upstream_tls_key)}
        common["tls_certificates"] = [{"certificate_chain": chain, "private_key": key}]
    name = settings.upstream_tls_name
    return {"transport_socket": verified_tls(name, settings.upstream_tls_ca, common)}


def verified_tls(host: str, authorities: Path, common: Config | None = None) -> Config:
    """A transport socket: the other side's certificate must be of the authorities, for the host."""
    kind = "IP_ADDRESS" if is_ip(host) else "DNS"
    validation = {
        "trusted_ca": {"filename": str(authorities)},
        "match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": host}}],
    }
    return extension(
        "envoy.transport_sockets.tls",
        "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        sni=host,
        common_tls_context={**(common or {}), "validation_context": validation},
    )


def is_ip(host: str) -> bool:
    """Whether a host is an address rather than a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
