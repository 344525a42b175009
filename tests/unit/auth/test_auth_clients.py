"""API clients: making, listing, authenticating, rotating and revoking them."""

import re
from dataclasses import replace
from typing import Any

import pytest

from zimun.auth.clients import (
    authenticate,
    create_client,
    hash_secret,
    list_clients,
    revoke_client,
    rotate_secret,
)
from zimun.domain.errors import IdTaken, InvalidRequest, Overloaded
from zimun.domain.identity import SCOPES, Client
from zimun.domain.instant import SECOND

from .fakes import MemoryCredentials

NOW = 1_764_000_000 * SECOND


async def test_a_new_client_can_authenticate(credentials: MemoryCredentials) -> None:
    client, secret = await create_client(credentials, NOW, "o_1", " Front desk ", ["org:read"])
    assert re.fullmatch(r"c_[A-Za-z0-9_-]{16,62}", client.client_id)
    assert re.fullmatch(r"zs_[A-Za-z0-9_-]{43}", secret)
    assert (client.org_id, client.name, client.create_time) == ("o_1", "Front desk", NOW)
    assert await authenticate(credentials, client.client_id, secret, NOW) == client


async def test_no_two_clients_share_an_id_or_a_secret(credentials: MemoryCredentials) -> None:
    made = [await create_client(credentials, NOW, "o_1", "n", ["org:read"]) for _ in range(3)]
    assert len({client.client_id for client, _ in made}) == 3
    assert len({secret for _, secret in made}) == 3


async def test_the_secret_is_kept_as_a_hash_only(credentials: MemoryCredentials) -> None:
    client, secret = await create_client(credentials, NOW, "o_1", "n", ["org:read"])
    kept = repr(credentials.clients_by_id)
    assert secret not in kept
    assert secret.removeprefix("zs_") not in kept
    assert await authenticate(credentials, client.client_id, client.secret_hash, NOW) is None


async def test_scopes_are_kept_once_each_in_documented_order(
    credentials: MemoryCredentials,
) -> None:
    wanted = ["appointments:write", "org:read", "appointments:write"]
    client, _ = await create_client(credentials, NOW, "o_1", "n", wanted)
    assert client.scopes == ("org:read", "appointments:write")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scopes", []),
        ("scopes", ["org:read", "org:delete"]),
        ("org_id", ""),
        ("org_id", "o 1"),
        ("org_id", "o_1\n"),
        ("client_id", "c/1"),
        ("client_id", "c" * 65),
        ("name", ""),
        ("name", "  "),
        ("name", "a\nb"),
        ("name", "n" * 201),
    ],
)
async def test_wrong_fields_are_named(
    credentials: MemoryCredentials, field: str, value: Any
) -> None:
    fields: dict[str, Any] = {"org_id": "o_1", "name": "n", "scopes": SCOPES, field: value}
    with pytest.raises(InvalidRequest) as caught:
        await create_client(credentials, NOW, **fields)
    assert list(caught.value.violations) == [field]
    assert credentials.clients_by_id == {}


async def test_a_chosen_id_is_taken_once_by_anybody(credentials: MemoryCredentials) -> None:
    client, secret = await create_client(credentials, NOW, "o_1", "n", SCOPES, "c_mine")
    assert client.client_id == "c_mine"
    with pytest.raises(IdTaken):
        await create_client(credentials, NOW, "o_2", "n", SCOPES, "c_mine")
    assert await authenticate(credentials, "c_mine", secret, NOW) == client


async def test_clients_are_listed_by_organization_oldest_first(
    credentials: MemoryCredentials,
) -> None:
    second, _ = await create_client(credentials, NOW + 1, "o_1", "n", SCOPES)
    first, _ = await create_client(credentials, NOW, "o_1", "n", SCOPES)
    await create_client(credentials, NOW, "o_2", "n", SCOPES)
    assert await list_clients(credentials, "o_1") == [first, second]
    assert await list_clients(credentials, "o_3") == []


@pytest.mark.parametrize(
    ("client_id", "secret"),
    [
        ("c_1", "zs_wrong"),
        ("c_1", ""),
        ("c_1", "é\ud800"),
        ("c_2", None),
        ("", None),
        ("c_1\n", None),
        ("c\x001", None),
        ("c" * 10_000, None),
    ],
)
async def test_wrong_credentials_authenticate_no_client(
    credentials: MemoryCredentials, client_id: str, secret: str | None
) -> None:
    _, right = await create_client(credentials, NOW, "o_1", "n", SCOPES, "c_1")
    assert (
        await authenticate(credentials, client_id, right if secret is None else secret, NOW) is None
    )


@pytest.mark.parametrize("client_id", ["c_1", "c_unknown", "not an id"])
async def test_every_refusal_makes_the_same_comparisons(
    credentials: MemoryCredentials, client_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_client(credentials, NOW, "o_1", "n", SCOPES, "c_1")
    lengths = []

    def counted(a: str, b: str) -> bool:
        lengths.append((len(a), len(b)))
        return a == b

    monkeypatch.setattr("zimun.auth.clients.hmac.compare_digest", counted)
    assert await authenticate(credentials, client_id, "wrong", NOW) is None
    assert lengths == [(64, 64), (64, 64)]


async def test_rotation_ends_the_old_secret_at_once(credentials: MemoryCredentials) -> None:
    client, old = await create_client(credentials, NOW, "o_1", "n", SCOPES)
    new = await rotate_secret(credentials, NOW + 1, client.client_id)
    assert await authenticate(credentials, client.client_id, old, NOW + 1) is None
    rotated = await authenticate(credentials, client.client_id, new, NOW + 1)
    assert rotated is not None
    assert rotated.scopes == client.scopes


async def test_rotation_with_grace_keeps_the_old_secret_to_the_microsecond(
    credentials: MemoryCredentials,
) -> None:
    client, old = await create_client(credentials, NOW, "o_1", "n", SCOPES)
    new = await rotate_secret(credentials, NOW, client.client_id, grace_seconds=3600)
    end = NOW + 3600 * SECOND
    assert await authenticate(credentials, client.client_id, old, end - 1) is not None
    assert await authenticate(credentials, client.client_id, old, end) is None
    assert await authenticate(credentials, client.client_id, new, end) is not None


async def test_a_second_rotation_ends_the_first_secret(credentials: MemoryCredentials) -> None:
    client, first = await create_client(credentials, NOW, "o_1", "n", SCOPES)
    second = await rotate_secret(credentials, NOW, client.client_id, grace_seconds=3600)
    await rotate_secret(credentials, NOW, client.client_id, grace_seconds=3600)
    assert await authenticate(credentials, client.client_id, first, NOW) is None
    assert await authenticate(credentials, client.client_id, second, NOW) is not None
    await rotate_secret(credentials, NOW, client.client_id)
    assert await authenticate(credentials, client.client_id, second, NOW) is None


async def test_a_negative_grace_is_refused(credentials: MemoryCredentials) -> None:
    await create_client(credentials, NOW, "o_1", "n", SCOPES, "c_1")
    with pytest.raises(InvalidRequest, match="grace_seconds"):
        await rotate_secret(credentials, NOW, "c_1", grace_seconds=-1)


async def test_a_revoked_client_authenticates_no_more(credentials: MemoryCredentials) -> None:
    client, old = await create_client(credentials, NOW, "o_1", "n", SCOPES)
    new = await rotate_secret(credentials, NOW, client.client_id, grace_seconds=3600)
    assert (await revoke_client(credentials, NOW + 5, client.client_id)).revoke_time == NOW + 5
    assert (await revoke_client(credentials, NOW + 9, client.client_id)).revoke_time == NOW + 5
    for secret in (old, new):
        assert await authenticate(credentials, client.client_id, secret, NOW + 9) is None
    with pytest.raises(InvalidRequest, match="revoked"):
        await rotate_secret(credentials, NOW + 9, client.client_id)


class OvertakenCredentials(MemoryCredentials):
    """Stores `overtaking` in place of the client just before the first `replace_client`."""

    overtaking: Client | None = None

    async def replace_client(self, before: Client, after: Client) -> bool:
        if self.overtaking is not None:
            self.clients_by_id[before.client_id], self.overtaking = self.overtaking, None
        return await super().replace_client(before, after)


async def test_rotation_overtaken_by_a_rotation_is_decided_again() -> None:
    credentials = OvertakenCredentials()
    client, first = await create_client(credentials, NOW, "o_1", "n", SCOPES)
    credentials.overtaking = replace(client, secret_hash=hash_secret("zs_second"))
    third = await rotate_secret(credentials, NOW, client.client_id, grace_seconds=60)
    assert await authenticate(credentials, client.client_id, first, NOW) is None
    assert await authenticate(credentials, client.client_id, "zs_second", NOW) is not None
    assert await authenticate(credentials, client.client_id, third, NOW) is not None


async def test_rotation_overtaken_by_a_revocation_is_refused() -> None:
    credentials = OvertakenCredentials()
    client, _ = await create_client(credentials, NOW, "o_1", "n", SCOPES)
    credentials.overtaking = revoked = replace(client, revoke_time=NOW)
    with pytest.raises(InvalidRequest, match="revoked"):
        await rotate_secret(credentials, NOW, client.client_id)
    assert credentials.clients_by_id == {client.client_id: revoked}


async def test_revocation_overtaken_by_a_revocation_keeps_the_first_time() -> None:
    credentials = OvertakenCredentials()
    client, _ = await create_client(credentials, NOW, "o_1", "n", SCOPES)
    credentials.overtaking = revoked = replace(client, revoke_time=NOW)
    assert await revoke_client(credentials, NOW + 1, client.client_id) == revoked
    assert credentials.clients_by_id == {client.client_id: revoked}


async def test_what_does_not_exist_is_neither_rotated_nor_revoked(
    credentials: MemoryCredentials,
) -> None:
    with pytest.raises(InvalidRequest, match="no client c_9"):
        await rotate_secret(credentials, NOW, "c_9")
    with pytest.raises(InvalidRequest, match="no client c_9"):
        await revoke_client(credentials, NOW, "c_9")


async def test_a_client_id_that_none_can_have_is_not_looked_up(
    credentials: MemoryCredentials,
) -> None:
    credentials.down = True
    assert await authenticate(credentials, "c\x00", "zs_x", NOW) is None


async def test_a_store_out_of_order_is_an_overload(credentials: MemoryCredentials) -> None:
    credentials.down = True
    with pytest.raises(Overloaded):
        await authenticate(credentials, "c_1", "zs_x", NOW)
