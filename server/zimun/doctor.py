"""`zimun doctor`: checks of what an installation needs. It changes nothing.

Each check prints a line without secrets. A failure is something that keeps Zimun from
serving, or from keeping its promises; a warning is something that may.
"""

import asyncio
import os
import resource
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import aiohttp
import grpc
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import URL

from zimun.config import ConfigError, Settings, load
from zimun.domain.instant import SECOND, rfc3339
from zimun.domain.text import one_line
from zimun.storage.database_errors import FAILURES, brief
from zimun.storage.inspection import DURABLE, WRITABLE, Inspection, examine
from zimun.storage.sqlite import database_file
from zimun.storage.urls import is_postgresql
from zimun.stores import locate
from zimun_gateway.child_process import endpoint
from zimun_gateway.envoy_process import EnvoyError, envoy_binary

Level = Literal["ok", "warning", "failure"]

MAX_CLOCK_DIFFERENCE = 1.0
"""Seconds by which clocks may differ: ledger time is the later one, so holds get shorter by it."""

MIN_DISK, LOW_DISK = 200 << 20, 2 << 30
"""Bytes free below which writing is about to fail, and below which it may soon."""

MIN_DESCRIPTORS = 4096
"""Each connection takes one; 1,024, a common default, are soon used up."""

MIN_POSTGRESQL = 14
CONNECTIONS_OF_A_PROCESS = 20
"""Two pools of ten."""

CERTIFICATE_DAYS = 21
"""Days before its end in which a certificate is warned of."""

MAX_LINE = 1_000
"""Characters of a finding."""

RESPONSE_TIMEOUT = 3.0
"""Seconds in which a server or Envoy has to answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check, printed as one line."""

    level: Level
    subject: str
    text: str

    def __str__(self) -> str:
        return one_line(f"{self.level:<8} {self.subject}: {self.text}", MAX_LINE)


async def run(environ: Mapping[str, str], running: bool, given: Mapping[str, object]) -> bool:
    """Print a line for each check; returns whether none failed.

    With `running` the server and Envoy must answer, else they may.
    """
    good = True
    async for finding in examine_all(environ, running, given):
        print(finding, flush=True)
        good = good and finding.level != "failure"
    return good


async def examine_all(
    environ: Mapping[str, str], running: bool, given: Mapping[str, object]
) -> AsyncIterator[Finding]:
    """Every finding, in the order in which to mend them."""
    try:
        settings = load(environ, **given)
    except ConfigError as error:
        yield Finding("failure", "configuration", str(error))
        return
    for finding in (*_configuration(environ), *_certificates(settings), *_limits()):
        yield finding
    for finding in _disk(settings):
        yield finding
    async for finding in _database(settings):
        yield finding
    yield _envoy_program()
    servers = [await _server(settings, port, running) for port in settings.grpc_ports]
    for finding in servers:
        yield finding
    if not any("SERVING" in finding.text for finding in servers):
        async for finding in _ports(settings):
            yield finding
    yield await _envoy(settings, running)


def _configuration(environ: Mapping[str, str]) -> Iterator[Finding]:
    variables = {f"ZIMUN_{setting.name.upper()}" for setting in fields(Settings)}
    given = {name for name in environ if name.startswith("ZIMUN_")}
    for name in sorted(given - variables):
        yield Finding("warning", "configuration", f"{name} is no setting of Zimun")
    read = ", ".join(sorted(name for name in given & variables if environ[name]))
    yield Finding("ok", "configuration", f"set: {read}" if read else "the defaults")


def _certificates(settings: Settings) -> Iterator[Finding]:
    for name in (setting.name for setting in fields(Settings) if "tls" in setting.name):
        if isinstance(path := getattr(settings, name), Path):
            yield _file(f"ZIMUN_{name.upper()}", path, is_key=name.endswith("key"))


def _file(variable: str, path: Path, is_key: bool) -> Finding:
    try:
        content = path.read_bytes()
    except OSError as error:
        return Finding("failure", variable, f"{path}: {error.strerror}")
    if is_key:
        exposed = path.stat().st_mode & 0o077
        text = f"{path} is for others to read, too (mode)" if exposed else f"{path} can be read"
        return Finding("warning" if exposed else "ok", variable, text)
    try:
        last = min(
            certificate.not_valid_after_utc
            for certificate in x509.load_pem_x509_certificates(content)
        )
    except ValueError:
        return Finding("failure", variable, f"{path} has no certificate (PEM)")
    days = (last.timestamp() - time.time()) / 86400
    level: Level = "failure" if days < 0 else "warning" if days < CERTIFICATE_DAYS else "ok"
    return Finding(level, variable, f"{path} is good until {last:%Y-%m-%d}")


def _limits() -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    maximum = hard if hard != resource.RLIM_INFINITY else 1 << 30
    level: Level = "ok" if maximum >= MIN_DESCRIPTORS else "warning"
    yield Finding(level, "descriptors", f"{soft} files and connections, at the most {maximum}")


def _disk(settings: Settings) -> Iterator[Finding]:
    directory = settings.data_dir
    if not directory.exists():
        parent = next(path for path in directory.absolute().parents if path.exists())
        good = parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)
        text = f"{directory} is made at the first start"
        yield (
            Finding("ok", "disk", text)
            if good
            else Finding(
                "failure", "disk", f"{directory} cannot be made: {parent} cannot be written"
            )
        )
        directory = parent
    elif not os.access(directory, os.W_OK | os.X_OK):
        yield Finding("failure", "disk", f"{directory} cannot be written")
    free = shutil.disk_usage(directory).free
    level: Level = "failure" if free < MIN_DISK else "warning" if free < LOW_DISK else "ok"
    yield Finding(level, "disk", f"{free / (1 << 30):.1f} GiB free at {directory}")


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    try:
        url = locate(settings)
    except ConfigError as error:
        yield Finding("failure", "database", str(error))
        return
    if not is_postgresql(url):
        finding = _file_of(Path(str(url.database)))
        yield finding
        if finding.level == "failure" or "is made" in finding.text:
            return
    try:
        inspection = await asyncio.wait_for(examine(url), RESPONSE_TIMEOUT)
    except (*FAILURES, TimeoutError) as error:
        yield Finding("failure", "database", f"{_where(url)} cannot be used: {brief(error)}")
        return
    yield Finding("ok", "database", f"{inspection.engine} {inspection.version} at {_where(url)}")
    for finding in (*_settings_of(inspection, settings), _clock(inspection), _schema(inspection)):
        yield finding
    yield _keys(inspection, settings)


def _where(url: URL) -> str:
    """The address of a database without user, password and parameters."""
    return f"{url.host or 'localhost'}/{url.database}" if is_postgresql(url) else str(url.database)


def _file_of(file: Path) -> Finding:
    if not file.exists():
        return Finding("ok", "database", f"{file} is made at the first start")
    try:
        database_file.check(file)
    except database_file.FileRefused as error:
        return Finding("failure", "database", str(error))
    if exposed := database_file.exposed(file):
        names = ", ".join(str(path) for path in exposed)
        return Finding("warning", "database", f"others than the owner may open {names}")
    return Finding("ok", "database", f"{file} is sound (quick_check), for its owner alone")


def _settings_of(inspection: Inspection, settings: Settings) -> Iterator[Finding]:
    if not inspection.settings:
        return
    if int(inspection.version.partition(".")[0]) < MIN_POSTGRESQL:
        yield Finding("failure", "database", f"must be PostgreSQL {MIN_POSTGRESQL} or newer")
    for name, good in (*DURABLE.items(), *WRITABLE.items()):
        if inspection.settings[name] not in good:
            text = f"{name} is {inspection.settings[name]}, must be {' or '.join(good)}"
            yield Finding("failure", "database", text)
    limit, needed = (
        int(inspection.settings["max_connections"]),
        CONNECTIONS_OF_A_PROCESS * settings.workers,
    )
    if needed > limit:
        text = f"max_connections is {limit}; {settings.workers} workers may use {needed}"
        yield Finding("warning", "database", text)


def _clock(inspection: Inspection) -> Finding:
    for clock, ahead in (
        ("the database's clock", inspection.ahead),
        ("the ledger", inspection.ledger_ahead),
    ):
        if ahead > MAX_CLOCK_DIFFERENCE:
            return Finding("failure", "clock", f"{clock} is {ahead:.1f} s ahead of this machine's")
    if inspection.ahead < -MAX_CLOCK_DIFFERENCE:
        behind = f"the database's clock is {-inspection.ahead:.1f} s behind this machine's"
        return Finding("failure", "clock", behind)
    now = round(time.time())
    if inspection.booking_ahead:
        booking = rfc3339((now + round(inspection.booking_ahead)) * SECOND)
        text = f"a sandbox, whose clock is at {booking}; `zimun up --demo --now real` ends it"
        return Finding("warning", "clock", text)
    return Finding("ok", "clock", f"{rfc3339(now * SECOND)}, as the database's")


def _schema(inspection: Inspection) -> Finding:
    if inspection.revision == inspection.newest_revision:
        return Finding("ok", "schema", f"{inspection.revision}, as this Zimun has it")
    if inspection.revision is None:
        return Finding("ok", "schema", "none yet; it is made at the first start")
    if inspection.revision < inspection.newest_revision:
        newest = inspection.newest_revision
        text = f"{inspection.revision}; a start or `zimun migrate` brings it to {newest}"
        return Finding("warning", "schema", text)
    return Finding("failure", "schema", f"{inspection.revision}, which this Zimun does not know")


def _keys(inspection: Inspection, settings: Settings) -> Finding:
    if settings.jwks_url:
        return Finding("ok", "keys", f"those of {settings.issuer}")
    if not inspection.key_times:
        return Finding("ok", "keys", "none yet; one is made at the first start")
    newest = rfc3339(inspection.key_times[-1])
    return Finding("ok", "keys", f"{len(inspection.key_times)}, the newest published {newest}")


def _envoy_program() -> Finding:
    try:
        command = [str(envoy_binary()), "--version"]
        process = subprocess.run(command, capture_output=True, text=True, timeout=10)  # noqa: S603
    except (EnvoyError, OSError, subprocess.TimeoutExpired) as error:
        return Finding("warning", "envoy", f"cannot be started here: {error}")
    version = process.stdout.partition("version:")[2].split("/")
    return Finding("ok", "envoy", f"version {version[1] if len(version) > 1 else 'unknown'}")


def _absent(subject: str, where: str, running: bool) -> Finding:
    return Finding("failure" if running else "ok", subject, f"nothing listens at {where}")


async def _server(settings: Settings, port: int, running: bool) -> Finding:
    """The health of a server, checked as a load balancer does."""
    where = _dialled(settings.grpc_host, port)
    if not await _listens(where):
        return _absent("server", where, running)
    try:
        dialled = _channel(settings, where)
    except OSError as error:
        return Finding("failure", "server", f"{where} cannot be asked: {error.strerror}")
    async with dialled as channel:
        make = health_pb2_grpc.HealthStub
        try:
            response = await make(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=RESPONSE_TIMEOUT
            )
        except grpc.aio.AioRpcError as error:
            return Finding("failure", "server", f"{where} is not Zimun: {error.code().name}")
    state = health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)
    return Finding("ok" if state == "SERVING" else "failure", "server", f"{where} is {state}")


def _channel(settings: Settings, where: str) -> grpc.aio.Channel:
    """A channel with the TLS settings of Envoy."""
    if not settings.upstream_tls_ca:
        return grpc.aio.insecure_channel(where)
    certificate, key = settings.upstream_tls_certificate, settings.upstream_tls_key
    credentials = grpc.ssl_channel_credentials(
        settings.upstream_tls_ca.read_bytes(),
        key.read_bytes() if key else None,
        certificate.read_bytes() if certificate else None,
    )
    name = ("grpc.ssl_target_name_override", settings.upstream_tls_name)
    return grpc.aio.secure_channel(where, credentials, options=(name,))


async def _ports(settings: Settings) -> AsyncIterator[Finding]:
    """The ports that a server will need beside its gRPC ports, while none serves."""
    ports = [("ZIMUN_AUTH_PORT", settings.grpc_host, settings.auth_port)]
    ports += [
        ("ZIMUN_METRICS_PORT", settings.metrics_host, port) for port in settings.metrics_ports
    ]
    for variable, host, port in ports:
        where = _dialled(host, port)
        taken = await _listens(where)
        text = "is in use by another program" if taken else "is free"
        yield Finding("failure" if taken else "ok", variable, f"{where} {text}")


async def _envoy(settings: Settings, running: bool) -> Finding:
    """A request without a token, which Envoy is to refuse by itself."""
    where = _dialled(settings.host, settings.port)
    if not await _listens(where):
        return _absent("envoy", where, running)
    scheme = "https" if settings.tls_certificate else "http"
    timeout = aiohttp.ClientTimeout(RESPONSE_TIMEOUT)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            # Its certificate names the host that callers dial.
            answer = await session.get(f"{scheme}://{where}/api/v1/services", ssl=False)
    except (aiohttp.ClientError, TimeoutError) as error:
        return Finding("failure", "envoy", f"{where} does not answer: {type(error).__name__}")
    if answer.status != 401 or answer.headers.get("server") != "zimun":
        return Finding("failure", "envoy", f"another program answers at {where}")
    return Finding("ok", "envoy", f"{where} answers, and asks for a token")


def _dialled(host: str, port: int) -> str:
    """The address at which what listens at a port of `host` is reached from here."""
    return endpoint({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)  # noqa: S104


async def _listens(where: str) -> bool:
    host, _, port = where.rpartition(":")
    try:
        async with asyncio.timeout(RESPONSE_TIMEOUT):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
