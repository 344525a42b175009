"""Credentials in memory, and a time that tests move."""

from collections.abc import Collection

from zimun.booking.credentials import LastSigningKey, SigningKeyNotFound
from zimun.domain.errors import IdTaken, Overloaded
from zimun.domain.identity import Client, SigningKey


class MovableTime:
    """Seconds since the epoch, standing still until moved; called like `time.time`."""

    def __init__(self, seconds: float = 1_764_000_000.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class MemoryCredentials:
    """Implements `CredentialStore` in memory; while it is `down`, every method raises Overloaded.

    No method waits, so that each is atomic on an event loop.
    """

    def __init__(self) -> None:
        self.clients_by_id: dict[str, Client] = {}
        self.keys_by_kid: dict[str, SigningKey] = {}
        self.secrets: dict[str, bytes] = {}
        self.down = False

    async def client(self, client_id: str) -> Client | None:
        self._check_up()
        return self.clients_by_id.get(client_id)

    async def clients(self, org_id: str) -> list[Client]:
        self._check_up()
        clients = [client for client in self.clients_by_id.values() if client.org_id == org_id]
        return sorted(clients, key=lambda client: (client.create_time, client.client_id))

    async def add_client(self, client: Client) -> None:
        self._check_up()
        if client.client_id in self.clients_by_id:
            raise IdTaken(client.client_id)
        self.clients_by_id[client.client_id] = client

    async def replace_client(self, before: Client, after: Client) -> bool:
        self._check_up()
        if self.clients_by_id.get(before.client_id) != before:
            return False
        self.clients_by_id[before.client_id] = after
        return True

    async def signing_keys(self) -> list[SigningKey]:
        self._check_up()
        return sorted(self.keys_by_kid.values(), key=lambda key: (key.create_time, key.kid))

    async def add_signing_key(
        self, key: SigningKey, known_kids: Collection[str], outlived_kids: Collection[str] = ()
    ) -> bool:
        self._check_up()
        if self.keys_by_kid.keys() != set(known_kids):
            return False
        self.keys_by_kid[key.kid] = key
        for kid in outlived_kids:
            del self.keys_by_kid[kid]
        return True

    async def remove_signing_key(self, kid: str) -> None:
        self._check_up()
        if kid not in self.keys_by_kid:
            raise SigningKeyNotFound(kid)
        if len(self.keys_by_kid) == 1:
            raise LastSigningKey(kid)
        del self.keys_by_kid[kid]

    async def secret(self, name: str) -> bytes:
        self._check_up()
        return self.secrets.setdefault(name, name.encode().ljust(32, b"\0"))

    def _check_up(self) -> None:
        if self.down:
            raise Overloaded("the store is down", 2.5)
