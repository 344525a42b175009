"""Signing keys in a credential store, an issuer and its verifier, on a time that tests move."""

import pytest

from zimun.auth.signing_keys import KeyStore
from zimun.auth.tokens import Issuer, Verifier
from zimun.domain.identity import Client

from .fakes import MemoryCredentials, MovableTime

ISSUER = "https://booking.example"
AUDIENCE = "zimun"


@pytest.fixture
def now() -> MovableTime:
    return MovableTime()


@pytest.fixture
async def keys(credentials: MemoryCredentials, now: MovableTime) -> KeyStore:
    return await KeyStore.open(credentials, now)


@pytest.fixture
def issuer(keys: KeyStore, now: MovableTime) -> Issuer:
    return Issuer(keys, ISSUER, AUDIENCE, time=now)


@pytest.fixture
def verifier(keys: KeyStore, now: MovableTime) -> Verifier:
    return Verifier(keys, ISSUER, AUDIENCE, time=now)


@pytest.fixture
def credentials() -> MemoryCredentials:
    return MemoryCredentials()


@pytest.fixture
def client() -> Client:
    scopes = ("org:read", "availability:read")
    return Client("c_1", "o_1", "Front desk", scopes, secret_hash="-", create_time=0)
