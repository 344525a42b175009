"""The command line."""

import os

# Envoy is started by fork and exec; gRPC's fork handlers are for children that go on using it.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
# gRPC's own log lines repeat errors that are raised and printed in one line.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import gc
import sys
from collections.abc import Iterable
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from zimun import demo_env
from zimun.clock import WallClock
from zimun.command_options import data_dir, database, load_settings, name, on_stores, run
from zimun.config import ConfigError, Settings, make_directory
from zimun.credential_commands import client_group, keys_group
from zimun.domain.instant import DAY, from_datetime
from zimun.domain.text import one_line

# Commands import what they run: with all of it, `zimun --help` would take a second.
if TYPE_CHECKING:
    from zimun.booking.catalog_import import Counts
    from zimun.stores import Stores

OTHERS_MODE = 0o077
"""The permissions that other users do not get on files that a command writes."""

MAX_LINE = 1_000
"""Characters of an error's line, which may quote what was given."""

STANDARD_ERROR = 2
"""The last descriptor of a standard stream."""

FIRST_YEAR, LAST_YEAR = 1971, 2199
"""Years in which a sandbox can be."""

NOW_HELP = """with --demo: start the booking clock here (RFC 3339), or follow the machine's again
(real); unless said, it is the clock that the database has"""

IMPORT_THRESHOLD = 50_000
"""New objects before the garbage collector looks among them: hardly any of an import is garbage.
A server has thresholds of its own (`app.tune_garbage_collector`)."""

MAX_DAYS = 36_500
"""Days after which even old bookings may be pruned."""


def main() -> None:
    """Run a command; what an operator can mend is one line and exit status 1."""
    _prepare_streams()
    os.umask(OTHERS_MODE)
    gc.set_threshold(IMPORT_THRESHOLD)
    try:
        _check_arguments(sys.argv)
        commands(standalone_mode=False)
    except click.ClickException as error:
        _in_one_line(error).show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except (ConfigError, demo_env.DirectoryInUse) as error:
        sys.exit(one_line(f"zimun: {error}", MAX_LINE))
    except Exception as error:
        from zimun.command_errors import explain

        line = explain(error)
        if line is None:
            raise
        sys.exit(one_line(f"zimun: {line}", MAX_LINE))
    finally:
        # The interpreter, as it ends, would look through all modules for garbage, several times.
        gc.freeze()


def _prepare_streams() -> None:
    """Open /dev/null where a standard stream is closed, and escape what a terminal cannot show.

    Another file would be opened in place of the stream: libuv aborts where it is to close that one,
    and a child would write its errors into it.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _in_one_line(error: click.ClickException) -> click.ClickException:
    """The same error with a message that is one bounded line."""
    line = one_line(error.format_message(), MAX_LINE)
    if isinstance(error, click.UsageError):
        return click.UsageError(line, error.ctx)
    return click.ClickException(line)


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
@click.option("--now", "start", help=NOW_HELP)
@click.option("--port", type=click.IntRange(0, 65535), help="ZIMUN_PORT: JSON and gRPC by Envoy")
@click.option("--grpc-port", type=click.IntRange(0, 65535), help="ZIMUN_GRPC_PORT: gRPC alone")
@data_dir
@database
def up_command(demo: bool, start: str | None, **given: Any) -> None:
    """Start the server and Envoy as one program."""
    if start and not demo:
        raise click.UsageError("--now is for the sandbox: it needs --demo")
    clock = _clock(start) if start else None
    settings = load_settings(**given)
    make_directory(settings)
    with demo_env.claim(settings.data_dir) as env:
        from zimun.up import up

        run(up(settings, clock, demo, env))


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
    from zimun import workers

    if worker:
        run(workers.work(settings))
    elif settings.workers > 1:
        run(workers.supervise(settings))
    else:
        run(_serve(settings))


async def _serve(settings: Settings) -> None:
    from zimun import app, workers

    stop = app.stop_signal()
    async with app.serve(settings) as server:
        app.tune_garbage_collector()
        print(workers.format_addresses(settings, [server.grpc_port], server.auth_port), flush=True)
        await stop.wait()


@commands.command("gateway")
@click.option("--print", "only_print", is_flag=True, help="print the configuration and exit")
@click.option("--port", type=click.IntRange(0, 65535), help="ZIMUN_PORT")
def gateway_command(only_print: bool, **given: Any) -> None:
    """Print Envoy's configuration, or run Envoy alone."""
    from zimun.gateway_settings import gateway_settings
    from zimun_gateway import bootstrap
    from zimun_gateway.envoy_process import ensure_port_free, envoy_command, validate

    settings = load_settings(**given)
    text = bootstrap.dump(gateway_settings(settings))
    if only_print:
        click.echo(text, nl=False)
        return
    make_directory(settings)
    # In a file: it is longer than an argument may be.
    config = settings.data_dir / f"gateway-{settings.port}.yaml"
    config.write_text(text)
    command = envoy_command(config)
    ensure_port_free(settings.host, settings.port)
    validate(config)
    os.execv(command[0], command)  # noqa: S606


@commands.command("openapi")
@click.option("--json", "as_json", is_flag=True, help="as JSON instead of YAML")
def openapi_command(as_json: bool) -> None:
    """Print the OpenAPI document of the JSON API."""
    from zimun.gateway_settings import DESCRIPTORS
    from zimun_gateway import site
    from zimun_gateway.openapi import document

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
    from zimun.storage.distribute import distribute as distribute_tables
    from zimun.stores import claimed

    with claimed(load_settings(**given)) as url:
        if not distribute:
            return
        tables = run(distribute_tables(url))
    for table in tables:
        click.echo(f"{table.name}: {table.how}")
    if not tables:
        click.echo("every table is distributed already")


@commands.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--org", default="", help="the organization (o_…), where the file does not name it")
@click.option(
    "--allow-conflicts", is_flag=True, help="time off may overlap appointments, which stay"
)
@data_dir
@database
def import_command(file: BinaryIO, org: str, allow_conflicts: bool, **given: Any) -> None:
    """Load the catalogue in FILE (YAML; - for stdin): all of it, or nothing."""
    from zimun.catalog_file import reader, yaml_document

    catalog = reader.read(file.name, file.read(yaml_document.MAX_BYTES + 1), org)

    async def work(stores: "Stores") -> "Counts":
        org_id = catalog.request.org_id if catalog.request else ""
        command = reader.LoadCatalog(catalog, allow_conflicts)
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
    from zimun.catalog_file import writer

    async def work(stores: "Stores") -> str:
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
    from zimun.storage.sqlite import database_file
    from zimun.stores import embedded_file

    database_file.back_up(embedded_file(load_settings(**given)), file)


@commands.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@data_dir
@database
def restore_command(file: Path, **given: Any) -> None:
    """Put the copy FILE in the place of the embedded database, while no server runs."""
    from zimun.storage.sqlite import database_file
    from zimun.stores import embedded_file

    settings = load_settings(**given)
    make_directory(settings)
    aside = database_file.restore(file, embedded_file(settings))
    click.echo(f"restored {file}" + (f"; the database before it is in {aside}" if aside else ""))


@commands.command("prune")
@click.option("--older-than", "days", type=click.IntRange(1, MAX_DAYS), required=True, help="days")
@data_dir
@database
def prune_command(days: int, **given: Any) -> None:
    """Delete bookings that ended so many days ago, with their history."""
    from zimun.booking import retention

    pruned = on_stores(
        lambda stores: retention.prune(stores.ledgers, stores.clock.now() - days * DAY), **given
    )
    click.echo(f"pruned {pruned}")


@commands.command("doctor")
@click.option("--running", is_flag=True, help="the server and Envoy must answer")
@data_dir
@database
def doctor_command(running: bool, **given: Any) -> None:
    """Check what Zimun needs, a line for each check; exit status 1 where one fails."""
    from zimun import doctor

    if not run(doctor.run(os.environ, running, given)):
        sys.exit(1)


@commands.group("org")
def org_group() -> None:
    """Organizations."""


@org_group.command("create")
@click.argument("org_id")
@name
@click.option("--time-zone", default="UTC", show_default=True, help="IANA time zone")
@data_dir
@database
def create_org(org_id: str, name: str, time_zone: str, **given: Any) -> None:
    """Create the organization ORG_ID (o_…)."""
    from zimun.booking.catalog import CreateOrganization
    from zimun.domain.catalog.entries import Organization

    command = CreateOrganization(Organization(id=org_id, name=name, time_zone=time_zone))

    async def work(stores: "Stores") -> None:
        if not await stores.writer.run(org_id, command, creates=True):
            raise click.UsageError(f"{org_id} exists already")

    on_stores(work, **given)


def _clock(text: str) -> WallClock:
    return WallClock() if text == "real" else WallClock.starting_at(_instant(text))


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
