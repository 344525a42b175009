"""The port for credentials: API clients, signing keys and secrets of the installation."""

from collections.abc import Collection
from typing import Protocol

from zimun.domain.identity import Client, SigningKey


class SigningKeyNotFound(Exception):
    """No signing key with this kid is stored."""


class LastSigningKey(Exception):
    """The signing key is the only one; without it no token could be issued or verified."""


class CredentialStore(Protocol):
    """Stores API clients, signing keys and secrets.

    Each method is one atomic transaction. When a method that writes returns,
    its effect is durable.

    Every method raises Overloaded when the store cannot be used (nothing was
    done). A method that writes raises OutcomeUnknown when the connection was
    lost during COMMIT (the effect is durable or absent as a whole).
    """

    async def client(self, client_id: str) -> Client | None:
        """Return the client, revoked or not; None if no client has this id."""

    async def clients(self, org_id: str) -> list[Client]:
        """Return all clients of the organization, revoked ones included, oldest first.

        Clients with the same `create_time` are in the order of their ids.
        """

    async def add_client(self, client: Client) -> None:
        """Insert a new client.

        Raises IdTaken if a client with this id exists, in any organization.
        """

    async def replace_client(self, before: Client, after: Client) -> bool:
        """Replace a client if every field of it is still as in `before` (compare-and-set).

        Both must have the same `client_id`. Returns False, without an effect,
        if the stored client differs from `before` or does not exist.
        """

    async def signing_keys(self) -> list[SigningKey]:
        """Return all signing keys, oldest first; with the same `create_time`, in order of kid."""

    async def add_signing_key(
        self, key: SigningKey, known_kids: Collection[str], outlived_kids: Collection[str] = ()
    ) -> bool:
        """Insert a signing key and delete outlived ones, if the stored set is still the known one.

        `known_kids` are the kids of all keys that the caller based its decision
        on (compare-and-set); `outlived_kids` are some of them. Returns False,
        without an effect, if the kids in the store are not exactly `known_kids`.
        """

    async def remove_signing_key(self, kid: str) -> None:
        """Delete a signing key.

        Raises SigningKeyNotFound, and LastSigningKey if it is the only key.
        """

    async def secret(self, name: str) -> bytes:
        """Return the secret of this name: 32 random bytes, the same for all servers.

        The first call for a name generates and stores the secret.
        """
