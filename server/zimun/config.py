"""The settings: ZIMUN_* variables, overridden by options of the command line."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from zimun.domain.text import check_line, one_line

MAX_PORT = 65535

MAX_SHOWN = 100
"""Characters of a wrong value that an error quotes."""

_USER = re.compile(r"//[^/?#]*@")
"""The user of a URL, whose password no error quotes."""


class ConfigError(Exception):
    """A setting has a value that it cannot have; the message names its variable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each field is read from the variable ZIMUN_ and its name in capitals.

    `issuer` is the public base URL under which the token endpoint and the JWKS
    are found; empty for http://localhost:PORT. Setting `jwks_url` (http, https,
    or a file's path) hands the tokens over to an outside provider, whose
    `issuer` and `audience` must be set with it; `public_url` is then the base URL of this
    service, which the metadata of the resource (RFC 9728) name. `max_rows` bounds how many rows
    of ledgers a server keeps in memory. The time-outs of PostgreSQL are seconds: for
    a row that another server has locked, for a transaction whose client does nothing,
    and for an answer, which must be longer than that for a lock.

    The gRPC and token ports speak TLS where `grpc_tls_certificate` is set, and ask callers
    for a certificate of `grpc_tls_client_ca`; Envoy calls them by TLS where
    `upstream_tls_ca` vouches for a certificate of `upstream_tls_name`.

    `docs` is whether Envoy serves the page at /docs and the OpenAPI document.
    `target_latency` (seconds) and `fair_rate` (requests a second of an organization) bound
    what Envoy admits while the servers are busy; 0 for neither.
    `trusted_proxies` is how many proxies in front of Envoy append to X-Forwarded-For.

    Metrics are served where they have a port: those of the k-th worker at
    `metrics_port` + k, those of Envoy at `gateway_metrics_port`. `slow_request` is
    seconds, 0 for no warning. `trace_ratio` of the requests are traced where
    `otlp_endpoint` (host:port) names a collector.
    """

    data_dir: Path = Path(".zimun")
    database_url: str = ""
    host: str = "0.0.0.0"  # noqa: S104 - Envoy's callers come from other machines
    port: int = 8080
    grpc_host: str = "127.0.0.1"
    grpc_port: int = 50051
    auth_port: int = 50050
    admin_port: int = 9901
    issuer: str = ""
    public_url: str = ""
    audience: str = "zimun"
    jwks_url: str = ""
    token_lifetime: int = 900
    rate_limit: int = 1000
    mcp_rate_limit: int = 10
    target_latency: float = 0.1
    fair_rate: int = 20
    trusted_proxies: int = 0
    cors_origins: tuple[str, ...] = ()
    docs: bool = True
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    grpc_tls_certificate: Path | None = None
    grpc_tls_key: Path | None = None
    grpc_tls_client_ca: Path | None = None
    upstream_tls_ca: Path | None = None
    upstream_tls_name: str = "zimun"
    upstream_tls_certificate: Path | None = None
    upstream_tls_key: Path | None = None
    grpc_endpoints: tuple[str, ...] = ()
    auth_endpoints: tuple[str, ...] = ()
    workers: int = 1
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    gateway_metrics_port: int | None = None
    slow_request: float = 1.0
    otlp_endpoint: str = ""
    trace_ratio: float = 0.01
    max_rows: int = 500_000
    database_lock_timeout: int = 5
    database_idle_timeout: int = 10
    database_answer_timeout: int = 10
    log_level: str = field(default="INFO")

    def __post_init__(self) -> None:
        self._check_tls()
        if self.jwks_url and not self.issuer:
            raise ConfigError("ZIMUN_ISSUER must be set where ZIMUN_JWKS_URL is")
        if self.issuer and not self.jwks_url:
            _parse("issuer", self.issuer, _base_url)
        if self.database_answer_timeout <= self.database_lock_timeout:
            raise ConfigError(
                "ZIMUN_DATABASE_ANSWER_TIMEOUT must be more than ZIMUN_DATABASE_LOCK_TIMEOUT"
            )
        if self.gateway_metrics_port is not None and not self.admin_port:
            raise ConfigError("ZIMUN_GATEWAY_METRICS_PORT needs a ZIMUN_ADMIN_PORT")
        self._check_ports("ZIMUN_GRPC_PORT", self.grpc_ports)
        self._check_ports("ZIMUN_METRICS_PORT", self.metrics_ports)
        first, last = self.grpc_ports[0], self.grpc_ports[-1]
        if self.auth_port and self.auth_port in self.grpc_ports:
            raise ConfigError(
                f"ZIMUN_AUTH_PORT={self.auth_port} is a gRPC port: there are {first} to {last}"
            )

    def _check_tls(self) -> None:
        for prefix in ("", "GRPC_", "UPSTREAM_"):
            name = f"{prefix.lower()}tls"
            if bool(getattr(self, f"{name}_certificate")) != bool(getattr(self, f"{name}_key")):
                names = f"ZIMUN_{prefix}TLS_CERTIFICATE and ZIMUN_{prefix}TLS_KEY"
                raise ConfigError(f"{names} come together")
        if self.grpc_tls_client_ca and not self.grpc_tls_certificate:
            raise ConfigError("ZIMUN_GRPC_TLS_CLIENT_CA needs ZIMUN_GRPC_TLS_CERTIFICATE")
        if self.upstream_tls_certificate and not self.upstream_tls_ca:
            raise ConfigError("ZIMUN_UPSTREAM_TLS_CERTIFICATE needs ZIMUN_UPSTREAM_TLS_CA")

    def _check_ports(self, variable: str, ports: Sequence[int]) -> None:
        if ports and ports[-1] > MAX_PORT:
            raise ConfigError(
                f"{variable}={ports[0]}: {self.workers} workers need {ports[-1]}, too"
            )

    @property
    def grpc_ports(self) -> tuple[int, ...]:
        """The gRPC port of each worker: `grpc_port` and those after it; 0 for any free port."""
        return self._ports_of_workers(self.grpc_port)

    @property
    def metrics_ports(self) -> tuple[int, ...]:
        """The ports of the workers' metrics; none where metrics are not enabled."""
        return () if self.metrics_port is None else self._ports_of_workers(self.metrics_port)

    def _ports_of_workers(self, first: int) -> tuple[int, ...]:
        return tuple(first and first + number for number in range(self.workers))

    @property
    def public_issuer(self) -> str:
        """The `iss` of tokens."""
        scheme = "https" if self.tls_certificate else "http"
        return self.issuer or f"{scheme}://localhost:{self.port}"

    @property
    def resource(self) -> str:
        """The base URL of this service as its callers know it, without a slash at its end; empty
        where nothing says it."""
        return (self.public_url or ("" if self.jwks_url else self.public_issuer)).rstrip("/")


def load(environ: Mapping[str, str], **given: Any) -> Settings:
    """The settings of an environment; `given` ones that are not None come before it.

    Raises ConfigError for a value that cannot be.
    """
    variables = {name.name: name.name.upper() for name in fields(Settings)}
    read = {
        name: _parse(name, environ[f"ZIMUN_{variable}"], _PARSERS.get(name, str))
        for name, variable in variables.items()
        if environ.get(f"ZIMUN_{variable}")
    }
    return Settings(**read | {name: value for name, value in given.items() if value is not None})


def _parse(name: str, text: str, parser: Callable[[str], Any]) -> Any:
    try:
        return parser(text)
    except ValueError as error:
        shown = one_line(_USER.sub("//…@", text), MAX_SHOWN)
        raise ConfigError(f"ZIMUN_{name.upper()}={shown}: {error}") from None


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,18}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def _decimal(maximum: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) or float(text) > maximum:
            raise ValueError(f"must be a number from 0 to {maximum:g}")
        return float(text)

    return parse


def _address(text: str) -> str:
    """An IP address to listen at: Envoy resolves no names for that."""
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError("must be an IP address") from None


_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")


def _host(text: str) -> str:
    """An IP address or a host's name."""
    with suppress(ValueError):
        return _address(text)
    if not _NAME.fullmatch(text):
        raise ValueError("must be an IP address or the name of a host")
    return text


def _endpoint(text: str) -> str:
    try:
        host, port = text.removeprefix("[").rsplit("]:" if text.startswith("[") else ":", 1)
        (_address if text.startswith("[") else _host)(host)
        _whole(1, MAX_PORT)(port)
    except ValueError:
        raise ValueError("must be host:port, or [address]:port for IPv6") from None
    return text


def _endpoints(text: str) -> tuple[str, ...]:
    return tuple(map(_endpoint, _list(text)))


_BASE_URL = re.compile(
    r"https?://(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?(?:/[\w.~!$&'()*+,;=:@/-]*)?", re.ASCII
)


def _base_url(text: str) -> str:
    """A URL that headers can quote, also those of Envoy, where % begins a variable."""
    # Reading a port beyond MAX_PORT raises ValueError.
    if not _BASE_URL.fullmatch(text) or urlsplit(text).port == 0:
        raise ValueError("must be an http or https address without user, query or escapes")
    return text


def _jwks_url(text: str) -> str:
    """An http or https address, or the path of a file."""
    if "://" not in text:
        return _visible(text)
    url = urlsplit(text)
    is_address = url.scheme in ("http", "https") and url.hostname and url.port != 0
    if not is_address or "@" in url.netloc or not re.fullmatch("[!-~]+", text):
        raise ValueError("must be an http or https address without user, or the path of a file")
    return text


def _visible(text: str) -> str:
    if violation := check_line(text):
        raise ValueError(violation)
    return text


_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[\w.\[\]:-]+", re.ASCII)


def _origins(text: str) -> tuple[str, ...]:
    origins = _list(text)
    if not all(map(_ORIGIN.fullmatch, origins)):
        raise ValueError("must be *, or origins such as https://app.example, comma-separated")
    return origins


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("must be 0 or 1")
    return text == "1"


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _level(text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
    return text.upper()


_port = _whole(0, MAX_PORT)

_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "data_dir": Path,
    "host": _address,
    "grpc_host": _host,
    "metrics_host": _address,
    "port": _port,
    "grpc_port": _port,
    "auth_port": _port,
    "admin_port": _port,
    "metrics_port": _port,
    "gateway_metrics_port": _port,
    "slow_request": _decimal(3600),
    "otlp_endpoint": _endpoint,
    "trace_ratio": _decimal(1),
    "token_lifetime": _whole(1, 86400),
    "rate_limit": _whole(0, 1_000_000),
    "mcp_rate_limit": _whole(1, 1_000_000),
    "target_latency": _decimal(60),
    "fair_rate": _whole(0, 1_000_000),
    "trusted_proxies": _whole(0, 16),
    "workers": _whole(1, 256),
    "max_rows": _whole(1_000, 1_000_000_000),
    "database_lock_timeout": _whole(1, 3600),
    "database_idle_timeout": _whole(1, 3600),
    "database_answer_timeout": _whole(1, 3600),
    "cors_origins": _origins,
    "docs": _switch,
    "public_url": _base_url,
    "tls_certificate": Path,
    "tls_key": Path,
    "grpc_tls_certificate": Path,
    "grpc_tls_key": Path,
    "grpc_tls_client_ca": Path,
    "upstream_tls_ca": Path,
    "upstream_tls_certificate": Path,
    "upstream_tls_key": Path,
    "upstream_tls_name": _host,
    "audience": _visible,
    "issuer": _visible,
    "jwks_url": _jwks_url,
    "grpc_endpoints": _endpoints,
    "auth_endpoints": _endpoints,
    "log_level": _level,
}


def make_directory(settings: Settings) -> None:
    """Make the data directory, for its owner alone; raises ConfigError where that cannot be."""
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"ZIMUN_DATA_DIR={settings.data_dir}: {error.strerror}") from error
