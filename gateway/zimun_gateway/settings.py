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
    """On loopback; 0 lets the system choose."""
    metrics_address: str = "127.0.0.1"
    metrics_port: int | None = None
    """Where Prometheus finds Envoy's metrics; then `admin_port` must not be 0. None: nowhere."""
    otlp_endpoint: str = ""
    """An OpenTelemetry collector (OTLP over gRPC, in clear). Empty: no traces."""
    trace_ratio: float = 0.01
    """How many of the requests are traced."""

    grpc_endpoints: tuple[str, ...] = ("127.0.0.1:50051",)
    """Every worker of every machine that runs the server."""
    auth_endpoints: tuple[str, ...] = ("127.0.0.1:50050",)
    """Where those machines answer /oauth/token and publish their keys."""
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
    """Keys of an outside provider. Empty: the server's own, and then it also has the token
    endpoint."""
    jwks_ca: Path = Path("/etc/ssl/certs/ca-certificates.crt")
    """The authorities that may vouch for an outside provider's https address."""
    clock_skew: int = 60
    """How far a clock of an issuer may be ahead or behind, for `nbf` and `exp`, as the server takes
    `nbf`. The server itself ends a token at its `exp`."""

    rate_limit: int = 1000
    """For each client, with a burst of twice as many; 0 turns every limit off."""
    mcp_rate_limit: int = 10
    """For each client on the endpoint for agents, with a burst of twice as many."""
    token_rate_limit: int = 200
    """On the token endpoint, for each address."""
    trusted_proxies: int = 0
    """How many proxies in front append to X-Forwarded-For; the address of a caller is read behind
    them."""

    max_request_bytes: int = 256 * 1024
    max_response_bytes: int = 16 * 1024 * 1024
    """Of a transcoded answer, which is held whole."""
    max_concurrent_requests: int = 512
    """To all servers together; a request beyond it is refused at once with Retry-After."""
    target_latency: float = 0.1
    """Seconds. While the median latency of the servers is higher, fewer requests are admitted at a
    time, so that they wait in no queue; 0 turns this off."""
    fair_rate: int = 20
    """Requests a second of an organization on a thread of Envoy that are not refused for the sake
    of other organizations; 0 turns fair shares off."""
    max_connections: int = 10_000
    """Those beyond it are closed at once."""
    max_heap_bytes: int = 1024 * 1024 * 1024
    """Of Envoy's own memory: near it Envoy gives way, at 95 % of it requests are refused."""
    request_timeout: float = 15.0
    """From 0.01 to 3600."""
    idle_timeout: float = 60.0
    """After which a connection without a request is closed."""

    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call; `*` for any. None: no CORS."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    upstream_tls_ca: Path | None = None
    """The authority that vouches for the servers. None: they are called in clear."""
    upstream_tls_name: str = "zimun"
    """The name that the certificates of all servers carry."""
    upstream_tls_certificate: Path | None = None
    upstream_tls_key: Path | None = None
    """Envoy's own, for servers that ask for one."""
    access_log: str = "/dev/stdout"
    """Empty: none."""
    log_rate: Path = Path("gateway/zimun_gateway/log_rate.yaml")
    """Lines a second that the access log gets of callers without a token."""
    max_log_bytes: int = 64 * 1024 * 1024
    """Of a file of the log; four are kept."""
    disk_reserve: int = 256 * 1024 * 1024
    """Where less of the disk is free, the log is emptied."""

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
    """`host:port` or `[v6]:port` in two; anything else is a ValueError that quotes it."""
    host, colon, port = endpoint.rpartition(":")
    if not (colon and host and port.isdecimal()):
        raise ValueError(f"{endpoint!r} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)
