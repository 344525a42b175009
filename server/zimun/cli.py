"""The command line."""

import os

# Envoy is started by fork and exec; gRPC's fork handlers are for children that go on using it.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
# gRPC's own log lines repeat errors that are raised and printed in one line.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import click

from zimun import app, doctor, workers
from zimun.auth.signing_keys import KeyStoreError
from zimun.booking import retention
from zimun.booking.catalog import CreateOrganization
from zimun.booking.catalog_import import Counts
from zimun.catalog_file import reader, writer
from zimun.clock import WallClock
from zimun.command_options import data_dir, database, load_settings, on_stores, real_now, run
from zimun.config import ConfigError, Settings
from zimun.credential_commands import client_group, keys_group
from zimun.domain.catalog import Organization
from zimun.domain.errors import ZimunError
from zimun.domain.instant import DAY, from_datetime
from zimun.rpc.server import PortTaken
from zimun.storage.database_errors import FAILURES, brief
from zimun.storage.distribute import NotDistributable
from zimun.storage.distribute import distribute as distribute_tables
from zimun.storage.migrate import SchemaTooNew
from zimun.storage.sqlite import database_file
from zimun.storage.sqlite.database_file import OTHERS_MODE, FileRefused
from zimun.telemetry.tracing import TracingMissing
from zimun.up import DESCRIPTORS, ChildDied, DirectoryInUse, gateway_settings, up
from zimun_gateway import bootstrap, site
from zimun_gateway.envoy_process import QUIET, EnvoyError, envoy_binary
from zimun_gateway.openapi import document

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
"""Errors that an operator can correct: printed in one line."""

FIRST_YEAR, LAST_YEAR = 1971, 2199
"""Years in which a sandbox can be."""

MAX_DAYS = 36_500
"""Days after which even old bookings may be pruned."""


def main() -> None:
    """Run a command; what an operator can mend is one line and exit status 1."""
    os.umask(OTHERS_MODE)
    try:
        _check_arguments(sys.argv)
        commands(standalone_mode=False)
    except EXPECTED as error:
        sys.exit(f"zimun: {error}")
    except FAILURES as error:
        # A fault of the machine, its disk or its database.
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


commands.add_command(client_group)
commands.add_command(keys_group)


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
    settings = load_settings(**given)
    run(up(settings, clock, demo))


@commands.command("serve")
@click.option("--grpc-port", type=click.IntRange(0, 65535), help="ZIMUN_GRPC_PORT")
@click.option("--auth-port", type=click.IntRange(0, 65535), help="ZIMUN_AUTH_PORT")
@click.option("--workers", type=click.IntRange(1, 256), help="ZIMUN_WORKERS: processes")
@click.option("--worker", is_flag=True, hidden=True, help="be one of them")
@data_dir
@database
def serve_command(worker: bool, **given: Any) -> None:
    """Start the server alone, without Envoy."""
    settings = load_settings(**given)
    if worker:
        run(workers.work(settings))
    elif settings.workers > 1:
        run(workers.supervise(settings))
    else:
        run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = app.stop_signal()
    async with app.serve(settings, WallClock()) as server:
        app.tune_garbage_collector()
        print(workers.format_addresses(settings, [server.grpc_port], server.auth_port), flush=True)
        await stop.wait()


@commands.command("gateway")
@click.option("--print", "only_print", is_flag=True, help="print the configuration and exit")
@click.option("--port", type=click.IntRange(0, 65535), help="ZIMUN_PORT")
def gateway_command(only_print: bool, **given: Any) -> None:
    """Print Envoy's configuration, or run Envoy alone."""
    settings = load_settings(**given)
    text = bootstrap.dump(gateway_settings(settings))
    if only_print:
        click.echo(text, nl=False)
        return
    app.make_directory(settings)
    # In a file: it is longer than an argument may be.
    config = settings.data_dir / f"gateway-{settings.port}.yaml"
    config.write_text(text)
    binary = str(envoy_binary())
    os.execv(binary, [binary, "--disable-hot-restart", *QUIET, "-c", str(config)])  # noqa: S606


@commands.command("openapi")
@click.option("--json", "as_json", is_flag=True, help="as JSON instead of YAML")
def openapi_command(as_json: bool) -> None:
    """Print the OpenAPI document of the JSON API."""
    openapi = document(DESCRIPTORS)
    text = site.openapi_json(openapi) if as_json else site.openapi_yaml(openapi)
    # As bytes: the document is UTF-8, whatever the terminal's encoding.
    click.echo(text.encode(), nl=False)


@commands.command("migrate")
@click.option("--distribute", is_flag=True, help="over the nodes of a PostgreSQL with Citus")
@data_dir
@database
def migrate_command(distribute: bool, **given: Any) -> None:
    """Bring the database to this version's schema."""
    with app.claimed(load_settings(**given)) as url:
        if not distribute:
            return
        done = run(distribute_tables(url))
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
    catalog = reader.read(file.name, file.read(), org)

    async def work(stores: app.Stores) -> Counts:
        org_id = catalog.request.org_id if catalog.request else ""
        command = reader.LoadCatalog(catalog)
        counts: Counts = await stores.writer.run(org_id, command, creates=True)
        return counts

    try:
        counts = on_stores(work, **given)
    except reader.CatalogFileError as error:
        sys.exit(str(error))
    click.echo(f"created {counts.created}, changed {counts.changed}, unchanged {counts.unchanged}")


@commands.command("export")
@click.option("--org", help="the organization (o_…); the only one unless given")
@data_dir
@database
def export_command(org: str | None, **given: Any) -> None:
    """Print an organization's catalogue as a file that `import` reads."""

    async def work(stores: app.Stores) -> str:
        org_ids = await stores.ledgers.organization_ids()
        chosen = org or (org_ids[0] if len(org_ids) == 1 else "")
        if not chosen:
            raise click.UsageError(f"--org is needed: there are {len(org_ids)} organizations")
        if chosen not in org_ids:
            raise click.UsageError(f"no organization {chosen}: see `zimun org create`")
        return writer.write(await stores.reader.catalog(chosen))

    # As bytes: a file is UTF-8, whatever the terminal's encoding.
    click.echo(on_stores(work, **given).encode(), nl=False)


@commands.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@data_dir
@database
def backup_command(file: Path, **given: Any) -> None:
    """Copy the embedded database to FILE, while servers go on using it."""
    database_file.back_up(app.embedded_file(load_settings(**given)), file)


@commands.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@data_dir
@database
def restore_command(file: Path, **given: Any) -> None:
    """Put the copy FILE in the place of the embedded database, while no server runs."""
    settings = load_settings(**given)
    app.make_directory(settings)
    aside = database_file.restore(file, app.embedded_file(settings))
    click.echo(f"restored {file}" + (f"; the database before it is in {aside}" if aside else ""))


@commands.command("prune")
@click.option("--older-than", "days", type=click.IntRange(1, MAX_DAYS), required=True, help="days")
@data_dir
@database
def prune_command(days: int, **given: Any) -> None:
    """Delete bookings that ended so many days ago, with their history."""
    before = real_now() - days * DAY
    pruned = on_stores(lambda stores: retention.prune(stores.ledgers, before), **given)
    click.echo(f"pruned {pruned}")


@commands.command("doctor")
@click.option("--running", is_flag=True, help="the server and Envoy must answer")
@data_dir
@database
def doctor_command(running: bool, **given: Any) -> None:
    """Check what Zimun needs, a line for each check; exit status 1 where one fails."""
    if not run(doctor.run(os.environ, running, given)):
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
    now = real_now()
    organization = Organization(
        id=org_id, name=name, time_zone=time_zone, create_time=now, update_time=now
    )
    command = CreateOrganization(organization)

    async def work(stores: app.Stores) -> None:
        if not await stores.writer.run(org_id, command, creates=True):
            raise click.UsageError(f"{org_id} exists already")

    on_stores(work, **given)


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
