"""Credentials in a database: API clients, signing keys and secrets, on either engine.

The statements are the same for SQLite and PostgreSQL, and lock nothing but rows:

- A client or a secret is inserted after a check that its key is free. If another
  transaction inserts the same key, the unique violation makes `Database.write`
  retry, and the check then finds the row.
- A client is compared, before it is replaced, under SELECT FOR UPDATE, which
  SQLAlchemy omits for SQLite: there, writers run one after another.
- The set of signing keys is compared under a lock on one row of `installation`.
"""

from collections.abc import Collection
from dataclasses import asdict
from secrets import token_bytes
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from zimun.booking.credentials import LastSigningKey, SigningKeyNotFound
from zimun.domain.errors import IdTaken
from zimun.domain.identity import Client, SigningKey
from zimun.storage.database import Database
from zimun.storage.schema import clients, installation, signing_keys

SECRET_BYTES = 32
"""Length of a secret of the installation."""

SIGNING_KEYS_LOCK = "signing_keys.lock"
"""Name of the row of `installation` that writers of signing keys lock; its value is empty."""


class Credentials:
    """Implements `booking.credentials.CredentialStore` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def client(self, client_id: str) -> Client | None:
        """Implements `CredentialStore.client`."""
        return await self._database.read(lambda connection: _select_client(connection, client_id))

    async def clients(self, org_id: str) -> list[Client]:
        """Implements `CredentialStore.clients`."""
        return await self._database.read(lambda connection: _select_clients(connection, org_id))

    async def add_client(self, client: Client) -> None:
        """Implements `CredentialStore.add_client`."""
        await self._database.write(lambda connection: _insert_client(connection, client))

    async def replace_client(self, before: Client, after: Client) -> bool:
        """Implements `CredentialStore.replace_client`."""
        return await self._database.write(
            lambda connection: _replace_client(connection, before, after)
        )

    async def signing_keys(self) -> list[SigningKey]:
        """Implements `CredentialStore.signing_keys`."""
        return await self._database.read(_select_signing_keys)

    async def add_signing_key(
        self, key: SigningKey, known_kids: Collection[str], outlived_kids: Collection[str] = ()
    ) -> bool:
        """Implements `CredentialStore.add_signing_key`."""
        return await self._database.write(
            lambda connection: _add_signing_key(connection, key, known_kids, outlived_kids)
        )

    async def remove_signing_key(self, kid: str) -> None:
        """Implements `CredentialStore.remove_signing_key`."""
        await self._database.write(lambda connection: _remove_signing_key(connection, kid))

    async def secret(self, name: str) -> bytes:
        """Implements `CredentialStore.secret`."""
        stored = await self._database.read(lambda connection: _select_secret(connection, name))
        if stored is not None:
            return stored
        return await self._database.write(lambda connection: _ensure_secret(connection, name))


def _select_client(
    connection: Connection, client_id: str, for_update: bool = False
) -> Client | None:
    query = select(clients).where(clients.c.client_id == client_id)
    row = connection.execute(query.with_for_update() if for_update else query).one_or_none()
    return _client_of(row) if row else None


def _select_clients(connection: Connection, org_id: str) -> list[Client]:
    query = (
        select(clients)
        .where(clients.c.org_id == org_id)
        .order_by(clients.c.create_time, clients.c.client_id)
    )
    return [_client_of(row) for row in connection.execute(query)]


def _client_of(row: Row[Any]) -> Client:
    """The API client of a row."""
    fields = dict(row._mapping)
    return Client(**fields | {"scopes": tuple(fields["scopes"])})


def _insert_client(connection: Connection, client: Client) -> None:
    if _select_client(connection, client.client_id) is not None:
        raise IdTaken(client.client_id)
    connection.execute(insert(clients).values(asdict(client)))


def _replace_client(connection: Connection, before: Client, after: Client) -> bool:
    if _select_client(connection, before.client_id, for_update=True) != before:
        return False
    values = asdict(after)
    client_id = values.pop("client_id")
    connection.execute(update(clients).where(clients.c.client_id == client_id).values(values))
    return True


def _select_signing_keys(connection: Connection) -> list[SigningKey]:
    query = select(signing_keys).order_by(signing_keys.c.create_time, signing_keys.c.kid)
    return [SigningKey(*row) for row in connection.execute(query)]


def _add_signing_key(
    connection: Connection,
    key: SigningKey,
    known_kids: Collection[str],
    outlived_kids: Collection[str],
) -> bool:
    if _lock_signing_keys(connection) != set(known_kids):
        return False
    connection.execute(insert(signing_keys).values(asdict(key)))
    connection.execute(delete(signing_keys).where(signing_keys.c.kid.in_(outlived_kids)))
    return True


def _remove_signing_key(connection: Connection, kid: str) -> None:
    kids = _lock_signing_keys(connection)
    if kid not in kids:
        raise SigningKeyNotFound(kid)
    if kids == {kid}:
        raise LastSigningKey(kid)
    connection.execute(delete(signing_keys).where(signing_keys.c.kid == kid))


def _lock_signing_keys(connection: Connection) -> set[str]:
    """Make other writers of signing keys wait for the end of this transaction; return the kids.

    An UPDATE locks the row, and unlike SELECT FOR UPDATE it conflicts with
    concurrent ones at every isolation level.
    """
    lock = update(installation).where(installation.c.name == SIGNING_KEYS_LOCK).values(value=b"")
    if connection.execute(lock).rowcount == 0:
        connection.execute(insert(installation).values(name=SIGNING_KEYS_LOCK, value=b""))
    return set(connection.execute(select(signing_keys.c.kid)).scalars())


def _select_secret(connection: Connection, name: str) -> bytes | None:
    query = select(installation.c.value).where(installation.c.name == name)
    return connection.execute(query).scalar()


def _ensure_secret(connection: Connection, name: str) -> bytes:
    stored = _select_secret(connection, name)
    if stored is not None:
        return stored
    secret = token_bytes(SECRET_BYTES)
    connection.execute(insert(installation).values(name=name, value=secret))
    return secret
