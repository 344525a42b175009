"""The commands for API clients and signing keys."""

import asyncio
from typing import TYPE_CHECKING, Any

import click

from zimun.booking.credentials import CredentialStore, LastSigningKey, SigningKeyNotFound
from zimun.command_options import data_dir, database, name, on_credentials, on_stores, real_now
from zimun.domain.identity import DEFAULT_SCOPES, Client
from zimun.domain.instant import rfc3339

if TYPE_CHECKING:
    from zimun.stores import Stores

MAX_GRACE = 366 * 24 * 3600
"""Seconds for which a secret that was replaced may count on."""


@click.group("client")
def client_group() -> None:
    """API clients: who may ask for tokens."""


@client_group.command("create")
@click.option("--org", required=True, help="the organization (o_…) it belongs to")
@name
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    help="repeatable; unless given every scope but appointments:override",
)
@click.option("--id", "client_id", help="its id (c_…); made up unless given")
@data_dir
@database
def create_client(
    org: str, name: str, scopes: tuple[str, ...], client_id: str | None, **given: Any
) -> None:
    """Create a client and print its secret, this once."""
    from zimun.auth import clients

    async def work(stores: "Stores") -> tuple[Client, str]:
        if org not in await stores.ledgers.heads((org,)):
            raise click.UsageError(f"no organization {org}: see `zimun org create`")
        return await clients.create_client(
            stores.credentials, real_now(), org, name, scopes or DEFAULT_SCOPES, client_id
        )

    client, secret = on_stores(work, **given)
    click.echo(f"client id      {client.client_id}\nclient secret  {secret}")


@client_group.command("list")
@click.option("--org", required=True)
@data_dir
@database
def list_clients(org: str, **given: Any) -> None:
    """List an organization's clients."""
    from zimun.auth import clients

    stored = on_credentials(lambda credentials: clients.list_clients(credentials, org), **given)
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
    from zimun.auth import clients

    secret = on_credentials(
        lambda credentials: clients.rotate_secret(credentials, real_now(), client_id, grace),
        **given,
    )
    click.echo(f"client secret  {secret}")


@client_group.command("revoke")
@click.argument("client_id")
@data_dir
@database
def revoke_client(client_id: str, **given: Any) -> None:
    """Give a client no more tokens; those it has run out within their lifetime."""
    from zimun.auth import clients

    on_credentials(
        lambda credentials: clients.revoke_client(credentials, real_now(), client_id), **given
    )
    click.echo(f"{client_id} is revoked")


@click.group("keys")
def keys_group() -> None:
    """Signing keys of the tokens."""


@keys_group.command("rotate")
@data_dir
@database
def rotate_keys(**given: Any) -> None:
    """Publish a new signing key; it signs once every verifier has had time to fetch it."""
    from zimun.auth.signing_keys import KeyStore

    async def work(credentials: CredentialStore) -> str:
        return await (await KeyStore.open(credentials)).rotate()

    click.echo(f"published {on_credentials(work, **given)}")


@keys_group.command("list")
@data_dir
@database
def list_keys(**given: Any) -> None:
    """List the signing keys, oldest first: instant of publication, and thumbprint (kid)."""
    for key in on_credentials(lambda credentials: credentials.signing_keys(), **given):
        click.echo(f"{rfc3339(key.create_time)}  {key.kid}")


# A thumbprint may begin with a dash.
@keys_group.command("remove", context_settings={"ignore_unknown_options": True})
@click.argument("kid")
@click.option("--now", "at_once", is_flag=True, help="do not wait: good tokens may be refused")
@data_dir
@database
def remove_key(kid: str, at_once: bool, **given: Any) -> None:
    """Refuse all tokens that the key KID signed, from now on.

    For a key that may have been stolen. Publish its successor first: the removal waits until every
    verifier has had time to fetch it.
    """

    async def work(credentials: CredentialStore) -> None:
        if not at_once:
            await _wait_for_verifiers(credentials, kid)
        await credentials.remove_signing_key(kid)

    try:
        on_credentials(work, **given)
    except SigningKeyNotFound as error:
        raise click.UsageError(f"no signing key {kid}: see `zimun keys list`") from error
    except LastSigningKey as error:
        message = f"{kid} is the only signing key: `zimun keys rotate` makes another"
        raise click.UsageError(message) from error
    click.echo(f"removed {kid}")


async def _wait_for_verifiers(credentials: CredentialStore, kid: str) -> None:
    from zimun.auth.signing_keys import seconds_until_removable

    seconds = seconds_until_removable(await credentials.signing_keys(), kid, real_now())
    if seconds:
        click.echo(
            f"waiting {seconds:.0f} s until verifiers have fetched its successor (--now to go on)",
            err=True,
        )
        await asyncio.sleep(seconds)
