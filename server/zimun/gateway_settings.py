"""The gateway's settings, made of the server's; without the server's modules, which take longer to
import than the gateway to configure."""

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from zimun.config import ConfigError, Settings
from zimun.connections import max_gateway_connections
from zimun_gateway import site
from zimun_gateway.child_process import endpoint
from zimun_gateway.settings import Settings as GatewaySettings
from zimun_gateway.static_files import swagger_ui

if TYPE_CHECKING:
    from zimun.app import StartedServer

DESCRIPTORS = Path(str(files("zimun.v1") / "descriptors.binpb"))
"""The compiled contract."""


def gateway_settings(settings: Settings, server: "StartedServer | None" = None) -> GatewaySettings:
    """The gateway's settings, with the ports of a server in this process, if there is one.

    Raises ConfigError for settings that only the server can have.
    """
    if settings.jwks_url and "://" not in settings.jwks_url:
        raise ConfigError("ZIMUN_JWKS_URL must be an http or https address: Envoy reads no file")
    host = settings.grpc_host
    grpc = (endpoint(host, server.grpc_port),) if server else settings.grpc_endpoints
    auth = (endpoint(host, server.auth_port),) if server else settings.auth_endpoints
    return GatewaySettings(
        listen_address=settings.host,
        listen_port=settings.port,
        admin_port=0 if server and settings.gateway_metrics_port is None else settings.admin_port,
        metrics_address=settings.metrics_host,
        metrics_port=settings.gateway_metrics_port,
        otlp_endpoint=settings.otlp_endpoint,
        trace_ratio=settings.trace_ratio,
        grpc_endpoints=grpc or tuple(endpoint(host, port) for port in settings.grpc_ports),
        auth_endpoints=auth or (endpoint(host, settings.auth_port),),
        descriptors=DESCRIPTORS,
        site=site.DIRECTORY if settings.docs else None,
        swagger_ui=swagger_ui() if settings.docs else None,
        issuer=settings.public_issuer,
        resource=settings.resource,
        audience=settings.audience,
        jwks_uri=settings.jwks_url,
        rate_limit=settings.rate_limit,
        mcp_rate_limit=settings.mcp_rate_limit,
        target_latency=settings.target_latency,
        fair_rate=settings.fair_rate,
        max_connections=max_gateway_connections(),
        trusted_proxies=settings.trusted_proxies,
        cors_origins=settings.cors_origins,
        tls_certificate=settings.tls_certificate,
        tls_key=settings.tls_key,
        upstream_tls_ca=settings.upstream_tls_ca,
        upstream_tls_name=settings.upstream_tls_name,
        upstream_tls_certificate=settings.upstream_tls_certificate,
        upstream_tls_key=settings.upstream_tls_key,
        log_rate=Path(str(files("zimun_gateway") / "log_rate.yaml")),
        access_log=str(settings.data_dir / "envoy" / "access.log") if server else "/dev/stdout",
    )
