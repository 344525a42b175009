"""The settings of the gateway."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """Times are seconds, sizes are bytes, rates are requests per second.

    Addresses are `host:port`. Relative paths are read from the working directory of Envoy, which
    is the root of the repository for the committed `envoy.yaml`.
    """

    listen_address: str = "0.0.0.0"  # noqa: S104 - callers come from other machines
    listen_port: int = 8080
    admin_port: int = 9901
    """The port of the admin interface, on loopback; 0: any free port."""
    metrics_address: str = "127.0.0.1"
    metrics_port: int | None = None
    """The port of Envoy's metrics for Prometheus; requires an `admin_port` but 0. None: no port."""
    otlp_endpoint: str = ""
    """The OpenTelemetry collector (OTLP over gRPC, without TLS). Empty: no traces."""
    trace_ratio: float = 0.01
    """The share of requests that are traced, 0 to 1."""

    grpc_endpoints: tuple[str, ...] = ("127.0.0.1:50051",)
    """Every worker of every machine that runs the server."""
    auth_endpoints: tuple[str, ...] = ("127.0.0.1:50050",)
    """The ports of the same machines that serve /oauth/token and the JWKS."""
    descriptors: Path = Path("server/zimun/v1/descriptors.binpb")
    site: Path | None = Path("gateway/zimun_gateway/site")
    """The directory of the page at /docs and of the OpenAPI document. None: neither is served."""
    swagger_ui: Path | None = Path(".venv/lib/python3.11/site-packages/flask_swagger_ui/dist")
    """The directory of Swagger UI's files."""

    issuer: str = "http://localhost:8080"
    resource: str = "http://localhost:8080"
    """The base URL of the API as its callers know it, without a slash at its end. Empty: unknown;
    then no resource metadata are served."""
    audience: str = "zimun"
    jwks_uri: str = ""
    """The keys of an outside identity provider. Empty: the server issues tokens itself, and has
    the token endpoint."""
    jwks_ca: Path = Path("/etc/ssl/certs/ca-certificates.crt")
    """The certificate authorities for the https address of an outside provider."""
    clock_skew: int = 60
    """How far an issuer's clock may be ahead or behind, for `nbf` and `exp`. The server allows it
    for `nbf` alone: it refuses a token from its `exp` on."""

    rate_limit: int = 1000
    """Requests of each client, with a burst of twice as many; 0 switches all rate limits off."""
    mcp_rate_limit: int = 10
    """Requests of each client to the endpoint for agents, with a burst of twice as many."""
    token_rate_limit: int = 200
    """Requests of each address to the token endpoint."""
    trusted_proxies: int = 0
    """The number of proxies in front that append to X-Forwarded-For; the caller's address is the
    one that the first of them appended."""

    max_request_bytes: int = 256 * 1024
    max_response_bytes: int = 16 * 1024 * 1024
    """The most bytes of a transcoded response, which is buffered whole."""
    max_concurrent_requests: int = 512
    """Requests to all servers together; those beyond it are refused at once, with Retry-After."""
    target_latency: float = 0.1
    """The median latency of the servers above which fewer concurrent requests are admitted; 0
    switches this off."""
    fair_rate: int = 20
    """Requests of an organization on a thread of Envoy that are always within its fair share; 0
    switches fair shares off."""
    max_connections: int = 10_000
    """Connections of callers; those beyond it are closed at once."""
    max_heap_bytes: int = 1024 * 1024 * 1024
    """Envoy's memory: from 70 % of it on Envoy frees memory, at 95 % it refuses requests."""
    request_timeout: float = 15.0
    """The most time of a request, 0.01 to 3600."""
    idle_timeout: float = 60.0
    """The time after which a connection without a request is closed."""

    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call (`*`: any). Empty: no CORS."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    upstream_tls_ca: Path | None = None
    """The certificate authority of the servers. None: no TLS to the servers."""
    upstream_tls_name: str = "zimun"
    """The name in the certificates of all servers."""
    upstream_tls_certificate: Path | None = None
    upstream_tls_key: Path | None = None
    """Envoy's client certificate and key, for servers that require one."""
    access_log: str = "/dev/stdout"
    """The file of the access log. Empty: no log."""
    log_rate: Path = Path("gateway/zimun_gateway/log_rate.yaml")
    """The file with the rate of log lines of requests without a token."""
    max_log_bytes: int = 64 * 1024 * 1024
    """The most bytes of a log file, of which there are four."""
    disk_reserve: int = 256 * 1024 * 1024
    """The free space on the disk below which the log is emptied."""

    def __post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key come together")
        if (self.upstream_tls_certificate is None) != (self.upstream_tls_key is None):
            raise ValueError("upstream_tls_certificate and upstream_tls_key come together")
        if not self.grpc_endpoints:
            raise ValueError("grpc_endpoints needs at least one host:port")
        if not self.auth_endpoints:
            raise ValueError("auth_endpoints needs at least one host:port")
        if self.metrics_port is not None and not self.admin_port:
            raise ValueError("metrics_port needs an admin_port")
        if self.clock_skew < 1:
            raise ValueError("clock_skew must be at least 1 second")
        if self.rate_limit < 0 or self.token_rate_limit < 1:
            raise ValueError("rate_limit must be at least 0 and token_rate_limit at least 1")
        if self.mcp_rate_limit < 1:
            raise ValueError("mcp_rate_limit must be at least 1")
        if not 0.01 <= self.request_timeout <= 3600:
            raise ValueError("request_timeout must be from 0.01 to 3600 seconds")
        if self.target_latency < 0 or self.fair_rate < 0:
            raise ValueError("target_latency and fair_rate must be at least 0")


def split_endpoint(endpoint: str) -> tuple[str, int]:
    """The host and the port of `host:port` or `[v6]:port`; raises ValueError."""
    host, colon, port = endpoint.rpartition(":")
    if not (colon and host and port.isdecimal()):
        raise ValueError(f"{endpoint!r} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)
