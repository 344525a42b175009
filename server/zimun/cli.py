"""The command line."""

import os

# Envoy is started by fork and exec; gRPC's fork handlers are for children that go on using it.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
# What matters to an operator is raised, and told in one line.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import logging
import sys
import time
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click
import uvloop

from zimun import app, doctor, workers
from zimun.auth import clients
from zimun.auth.keys import KeyStore, KeyStoreError
from zimun.booking import retention
from zimun.booking.catalog import CreateOrganization
from zimun.booking.credentials import CredentialStore, LastSigningKey, SigningKeyNotFound
from zimun.booking.load import Counts
from zimun.clock import WallClock
from zimun.config import ConfigError, Settings, load
from zimun.domain.access import SCOPES, Client
from zimun.domain.catalog import Organization
from zimun.domain.errors import ZimunError
from zimun.domain.instant import DAY, from_datetime, rfc3339
from zimun.rpc import catalog_file
from zimun.rpc.server import PortTaken
from zimun.storage import sqlite_file
from zimun.storage.distribute import NotDistributable
from zimun.storage.distribute import distribute as distribute_tables
from zimun.storage.failures import FAILURES, brief
from zimun.storage.migrate import SchemaTooNew
from zimun.storage.sqlite_file import OTHERS, FileRefused
from zimun.telemetry import logs
from zimun.telemetry.tracing import TracingMissing
from zimun.up import ChildDied, DirectoryInUse, gateway_settings, up
from zimun_gateway import bootstrap
from zimun_gateway.process import EnvoyError, envoy_binary

T = TypeVar("T")

EXPECTED = (
    ZimunError,
    ConfigError,
    PortTaken,
    SchemaTooNew,
    NotDistributable,
    KeyStoreError,
    EnvoyError,
    ChildDied,
    DirectoryInUse,
    FileRefused,
    TracingMissing,
)
"""What an operator can do something about: told in one line."""

FIRST_YEAR, LAST_YEAR = 1971, 2199
"""Years in which a sandbox can be."""

MAX_GRACE = 366 * 24 * 3600
"""Seconds for which a secret that was replaced may count on."""

MAX_DAYS = 36_500
"""Days after which even old bookings may be pruned."""

data_dir = click.option("--data-dir", type=click.Path(path_type=Path), help="ZIMUN_DATA_DIR")
database = click.option("--database-url", help="ZIMUN_DATABASE_URL")


def main() -> None:
    """Run a command; what an operator can mend is one line and exit status 1."""
    os.umask(OTHERS)
    try:
        _check_arguments(sys.argv)
        commands(standalone_mode=False)
    except EXPECTED as error:
        sys.exit(f"zimun: {error}")
    except FAILURES as error:
        # The machine, its disk or its database: nothing in this program.
        sys.exit(f"zimun: {brief(error)}")
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)


def _check_arguments(arguments: Iterable[str]) -> None:
    try:
        for argument in arguments:
            argument.encode()
    except UnicodeEncodeError as error:
        raise ConfigError("an argument is not UTF-8") from error


@click.group()
@click.version_option(package_name="zimun")
def commands() -> None:
    """Appointment scheduling and booking. Every option can be set as a ZIMUN_ variable too."""


@commands.command("up")
@click.option("--demo", is_flag=True, help="fill an empty store with the demo organization")
@click.option("--now", "start", help="start the booking clock here (RFC 3339; with --demo)")
@click.option("--port", type=click.IntRange(0, 65535), help="ZIMUN_PORT: JSON and gRPC by Envoy")
@click.option("--grpc-port", type=click.IntRange(0, 65535), help="ZIMUN_GRPC_PORT: gRPC alone")
@data_dir
@database
def up_command(demo: bool, start: str | None, **given: Any) -> None:
    """Start the server and Envoy as one program."""
    if start and not demo:
        raise click.UsageError("--now is for the sandbox: it needs --demo")
    clock = WallClock.starting_at(_instant(start)) if start else WallClock()
    settings = _settings(**given)
    _run(up(settings, clock, demo))


@commands.command("serve")
@click.option("--grpc-port", type=click.IntRange(0, 65535), help="ZIMUN_GRPC_PORT")
@click.option("--auth-port", type=click.IntRange(0, 65535), help="ZIMUN_AUTH_PORT")
@click.option("--workers", type=click.IntRange(1, 256), help="ZIMUN_WORKERS: processes")
@click.option("--worker", is_flag=True, hidden=True, help="be one of them")
@data_dir
@database
def serve_command(worker: bool, **given: Any) -> None:
    """Start the server alone, without Envoy."""
    settings = _settings(**given)
    if worker:
        _run(workers.work(settings))
    elif settings.workers > 1:
        _run(workers.supervise(settings))
    else:
        _run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = app.stop_signal()
    async with app.serve(settings, WallClock()) as server:
        print(workers.format_addresses(settings, [server.grpc_port], server.auth_port), flush=True)
        await stop.wait()


@commands.command("gateway")
@click.option("--print", "only_print", is_flag=True, help="print the configuration and exit")
@click.option("--port", type=click.IntRange(0, 65535), help="ZIMUN_PORT")
def gateway_command(only_print: bool, **given: Any) -> None:
    """Print Envoy's configuration, or run Envoy alone."""
    settings = _settings(**given)
    text = bootstrap.dump(gateway_settings(settings))
    if only_print:
        click.echo(text, nl=False)
        return
    app.make_directory(settings)
    # In a file: it is longer than an argument may be.
    config = settings.data_dir / f"gateway-{settings.port}.yaml"
    config.write_text(text)
    binary = str(envoy_binary())
    os.execv(binary, [binary, "--disable-hot-restart", "--config-path", str(config)])  # noqa: S606


@commands.command("migrate")
@click.option("--distribute", is_flag=True, help="over the nodes of a PostgreSQL with Citus")
@data_dir
@database
def migrate_command(distribute: bool, **given: Any) -> None:
    """Bring the database to this version's schema."""
    with app.claimed(_settings(**given)) as url:
        if not distribute:
            return
        done = _run(distribute_tables(url))
    for table in done:
        click.echo(f"{table.name}: {table.how}")
    if not done:
        click.echo("every table is distributed already")


@commands.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--org", default="", help="the organization (o_…), where the file does not name it")
@data_dir
@database
def import_command(file: BinaryIO, org: str, **given: Any) -> None:
    """Load the catalogue in FILE (YAML; - for stdin): all of it, or nothing."""
    catalog = catalog_file.read(file.name, file.read(), org)

    async def run(stores: app.Stores) -> Counts:
        org_id = catalog.wanted.org_id if catalog.wanted else ""
        command = catalog_file.LoadCatalog(catalog)
        counts: Counts = await stores.writer.run(org_id, command, creates=True)
        return counts

    try:
        counts = _on_stores(run, **given)
    except catalog_file.CatalogFileError as error:
        sys.exit(str(error))
    click.echo(f"created {counts.created}, changed {counts.changed}, unchanged {counts.unchanged}")


@commands.command("export")
@click.option("--org", help="the organization (o_…); the only one unless given")
@data_dir
@database
def export_command(org: str | None, **given: Any) -> None:
    """Print an organization's catalogue as a file that `import` reads."""

    async def run(stores: app.Stores) -> str:
        known = await stores.ledgers.organization_ids()
        chosen = org or (known[0] if len(known) == 1 else "")
        if not chosen:
            raise click.UsageError(f"--org is needed: there are {len(known)} organizations")
        if chosen not in known:
            raise click.UsageError(f"no organization {chosen}: see `zimun org create`")
        return catalog_file.write(await stores.reader.catalog(chosen))

    # As bytes: a file is UTF-8, whatever the terminal's encoding.
    click.echo(_on_stores(run, **given).encode(), nl=False)


@commands.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@data_dir
@database
def backup_command(file: Path, **given: Any) -> None:
    """Copy the embedded database to FILE, while servers go on using it."""
    sqlite_file.back_up(app.embedded_file(_settings(**given)), file)


@commands.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@data_dir
@database
def restore_command(file: Path, **given: Any) -> None:
    """Put the copy FILE in the place of the embedded database, while no server runs."""
    settings = _settings(**given)
    app.make_directory(settings)
    aside = sqlite_file.restore(file, app.embedded_file(settings))
    click.echo(f"restored {file}" + (f"; the database before it is in {aside}" if aside else ""))


@commands.command("prune")
@click.option("--older-than", "days", type=click.IntRange(1, MAX_DAYS), required=True, help="days")
@data_dir
@database
def prune_command(days: int, **given: Any) -> None:
    """Delete bookings that ended so many days ago, with their history."""
    before = _real_now() - days * DAY
    pruned = _on_stores(lambda stores: retention.prune(stores.ledgers, before), **given)
    click.echo(f"pruned {pruned}")


@commands.command("doctor")
@click.option("--running", is_flag=True, help="the server and Envoy must answer")
@data_dir
@database
def doctor_command(running: bool, **given: Any) -> None:
    """Look at what Zimun needs, a line for each; exit status 1 where anything fails."""
    if not _run(doctor.run(os.environ, running, given)):
        sys.exit(1)


@commands.group("org")
def org_group() -> None:
    """Organizations."""


@org_group.command("create")
@click.argument("org_id")
@click.option("--name", required=True)
@click.option("--time-zone", default="UTC", show_default=True, help="IANA time zone")
@data_dir
@database
def create_org(org_id: str, name: str, time_zone: str, **given: Any) -> None:
    """Create the organization ORG_ID (o_…)."""
    now = _real_now()
    organization = Organization(
        id=org_id, name=name, time_zone=time_zone, create_time=now, update_time=now
    )
    command = CreateOrganization(organization)

    async def run(stores: app.Stores) -> None:
        if not await stores.writer.run(org_id, command, creates=True):
            raise click.UsageError(f"{org_id} exists already")

    _on_stores(run, **given)


@commands.group("client")
def client_group() -> None:
    """API clients: who may ask for tokens."""


@client_group.command("create")
@click.option("--org", required=True, help="the organization (o_…) it belongs to")
@click.option("--name", required=True, help="what people call it")
@click.option("--scope", "scopes", multiple=True, help="repeatable; every scope unless given")
@click.option("--id", "client_id", help="its id (c_…); made up unless given")
@data_dir
@database
def create_client(
    org: str, name: str, scopes: tuple[str, ...], client_id: str | None, **given: Any
) -> None:
    """Create a client and print its secret, this once."""

    async def run(stores: app.Stores) -> tuple[Client, str]:
        if org not in await stores.ledgers.heads((org,)):
            raise click.UsageError(f"no organization {org}: see `zimun org create`")
        return await clients.create_client(
            stores.credentials, _real_now(), org, name, scopes or SCOPES, client_id
        )

    client, secret = _on_stores(run, **given)
    click.echo(f"client id      {client.client_id}\nclient secret  {secret}")


@client_group.command("list")
@click.option("--org", required=True)
@data_dir
@database
def list_clients(org: str, **given: Any) -> None:
    """List an organization's clients."""
    stored = _on_credentials(lambda credentials: clients.list_clients(credentials, org), **given)
    for client in stored:
        state = f"revoked {rfc3339(client.revoke_time)}" if client.revoke_time else "active"
        click.echo(f"{client.client_id}  {state}  {' '.join(client.scopes)}  {client.name}")


@client_group.command("rotate")
@click.argument("client_id")
@click.option(
    "--grace", default=0, type=click.IntRange(0, MAX_GRACE), help="seconds the old secret counts on"
)
@data_dir
@database
def rotate_client(client_id: str, grace: int, **given: Any) -> None:
    """Give a client a new secret and print it, this once."""
    secret = _on_credentials(
        lambda credentials: clients.rotate_secret(credentials, _real_now(), client_id, grace),
        **given,
    )
    click.echo(f"client secret  {secret}")


@client_group.command("revoke")
@click.argument("client_id")
@data_dir
@database
def revoke_client(client_id: str, **given: Any) -> None:
    """Give a client no more tokens; those it has run out within their lifetime."""
    _on_credentials(
        lambda credentials: clients.revoke_client(credentials, _real_now(), client_id), **given
    )
    click.echo(f"{client_id} is revoked")


@commands.group("keys")
def keys_group() -> None:
    """Signing keys of the tokens."""


@keys_group.command("rotate")
@data_dir
@database
def rotate_keys(**given: Any) -> None:
    """Publish a new signing key; it signs once everybody has had time to fetch it."""

    async def run(credentials: CredentialStore) -> str:
        return await (await KeyStore.open(credentials)).rotate()

    click.echo(f"published {_on_credentials(run, **given)}")


@keys_group.command("list")
@data_dir
@database
def list_keys(**given: Any) -> None:
    """List the signing keys, oldest first: instant of publication, and thumbprint (kid)."""
    for key in _on_credentials(lambda credentials: credentials.signing_keys(), **given):
        click.echo(f"{rfc3339(key.create_time)}  {key.kid}")


@keys_group.command("remove")
@click.argument("kid")
@data_dir
@database
def remove_key(kid: str, **given: Any) -> None:
    """Let nobody in any more with a token that the key KID signed.

    For a key that others may know. Publish its successor first, and rather
    wait until that one signs.
    """

    try:
        _on_credentials(lambda credentials: credentials.remove_signing_key(kid), **given)
    except SigningKeyNotFound as error:
        raise click.UsageError(f"no signing key {kid}: see `zimun keys list`") from error
    except LastSigningKey as error:
        raise click.UsageError("it is the only one: `zimun keys rotate` makes another") from error
    click.echo(f"removed {kid}")


def _settings(**given: Any) -> Settings:
    settings = load(os.environ, **given)
    logs.configure(settings.log_level)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return settings


def _run(program: Coroutine[Any, Any, T]) -> T:
    return uvloop.run(program)


def _on_stores(run: Callable[[app.Stores], Coroutine[Any, Any, T]], **given: Any) -> T:
    settings = _settings(**given)

    async def program() -> T:
        async with app.open_stores(settings) as stores:
            return await run(stores)

    return _run(program())


def _on_credentials(run: Callable[[CredentialStore], Coroutine[Any, Any, T]], **given: Any) -> T:
    return _on_stores(lambda stores: run(stores.credentials), **given)


def _instant(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError(f"--now: {text} is not an RFC 3339 time") from error
    if moment.tzinfo is None:
        raise click.UsageError(f"--now: {text} needs an offset, such as Z")
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise click.UsageError(f"--now: {text} is not of the years {FIRST_YEAR} to {LAST_YEAR}")
    return from_datetime(moment)


def _real_now() -> int:
    """Credentials live in real time, whatever the booking clock says."""
    return time.time_ns() // 1000
