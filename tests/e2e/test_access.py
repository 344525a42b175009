"""Every method, found in the published descriptors, refuses every token it should refuse."""

import base64
import importlib
import json
import pkgutil
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from google.api import annotations_pb2
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

import zimun.v1
from zimun.v1 import options_pb2

from ..support.answers import Json, claims, grpc_status, reason, refused
from ..support.postgres import shared
from ..support.processes import until
from ..support.program import Zimun


@dataclass(frozen=True)
class Method:
    """One RPC: where it is in gRPC and in HTTP, and the scope it needs."""

    path: str
    verb: str
    url: str
    scope: str

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


def read(descriptor: Any) -> Method:
    rule = descriptor.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    return Method(
        f"/{descriptor.containing_service.full_name}/{descriptor.name}",
        verb.upper(),
        re.sub(r"\{[^}]+\}", "x_1", getattr(rule, verb)),
        descriptor.GetOptions().Extensions[options_pb2.required_scope],
    )


def published() -> Iterator[Method]:
    for module in pkgutil.iter_modules(zimun.v1.__path__):
        if module.name.endswith("_service_pb2"):
            file = importlib.import_module(f"zimun.v1.{module.name}").DESCRIPTOR
            for service in file.services_by_name.values():
                yield from map(read, service.methods)


METHODS = list(published())
every_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)


def over_http(zimun: Zimun, method: Method, authorization: str | None) -> requests.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    body: Json | None = {} if method.verb in ("POST", "PATCH") else None
    return zimun.session.request(
        method.verb, zimun.url + method.url, json=body, headers=headers, timeout=20
    )


@pytest.fixture(scope="module")
def channels(zimun: Zimun) -> Iterator[dict[str, grpc.Channel]]:
    """One channel to the gRPC port, one through Envoy."""
    with (
        grpc.insecure_channel(zimun.grpc_target) as straight,
        grpc.insecure_channel(f"localhost:{zimun.port}") as envoy,
    ):
        yield {"straight": straight, "envoy": envoy}


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def sign(token: str, key: ECKey, **changes: object) -> str:
    """The token's header and claims, with changes, signed by another key."""
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    return jwt.encode(header, {**claims(token), **changes}, key)


def own_key(zimun: Zimun) -> ECKey:
    """The key that this Zimun signs with, taken from its database."""
    query = "SELECT pem FROM signing_keys"
    if url := zimun.env.get("ZIMUN_DATABASE_URL"):
        server, _ = shared()
        found = server.value(url.rpartition("/")[2], query)
    else:
        with closing(sqlite3.connect(zimun.data_dir / "zimun.db")) as database:
            [[found]] = database.execute(query)
    key = serialization.load_pem_private_key(found, None)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return ECKey.import_key(pem)


def bad_tokens(zimun: Zimun) -> dict[str, str | None]:
    """Authorization headers that must open nothing."""
    token = zimun.token()
    header, body, signature = token.split(".")
    mine = own_key(zimun)
    now = int(time.time())
    jwks = zimun.session.get(f"{zimun.url}/.well-known/jwks.json", timeout=20).text
    tampered = part({**claims(token), "org_id": "o_other"})
    unsigned = part({"alg": "none", "typ": "at+jwt"})
    confused = jwt.encode(
        {**json.loads(base64.urlsafe_b64decode(header + "==")), "alg": "HS256"},
        claims(token),
        OctKey.import_key(jwks),
        algorithms=["HS256"],
    )
    tokens = {
        "forged by another key": sign(token, ECKey.generate_key("P-256")),
        "tampered with": f"{header}.{tampered}.{signature}",
        "with a changed signature": f"{header}.{body}.{'A' * len(signature)}",
        "unsigned": f"{unsigned}.{body}.",
        "signed with the public key as a secret": confused,
        "of another issuer": sign(token, mine, iss="https://example.com"),
        "for another audience": sign(token, mine, aud="somebody"),
        "expired": sign(token, mine, iat=now - 5000, exp=now - 4000),
        "not a token": "nonsense",
    }
    headers: dict[str, str | None] = {name: f"Bearer {bad}" for name, bad in tokens.items()}
    return headers | {"missing": None, "empty": "Bearer ", "another scheme": "Basic YTpi"}


def test_a_token_signed_by_the_key_of_the_database_is_good(zimun: Zimun) -> None:
    # Without this the tests below could refuse for the wrong reason.
    token = sign(zimun.token(), own_key(zimun), exp=int(time.time()) + 60)
    assert zimun.get("/api/v1/services", token=token).status_code == 200


def test_every_method_is_published_with_a_path_and_a_scope() -> None:
    assert len(METHODS) >= 12
    for method in METHODS:
        assert method.url.startswith("/api/v1/"), method
        assert method.verb in {"GET", "POST", "PATCH", "DELETE"}, method
        assert re.fullmatch(r"(org|availability|appointments):(read|write)", method.scope), method


@pytest.mark.about_the_token
@every_method
def test_http_refuses_every_bad_token(zimun: Zimun, method: Method) -> None:
    for what, authorization in bad_tokens(zimun).items():
        answer = over_http(zimun, method, authorization)
        assert answer.status_code == 401, f"{what}: {answer.text}"
        refused(answer, 401, "UNAUTHENTICATED", "TOKEN_INVALID")
        assert answer.headers["www-authenticate"].startswith("Bearer "), what


@pytest.mark.about_the_token
@pytest.mark.parametrize("port", ["straight", "envoy"])
@every_method
def test_grpc_refuses_every_bad_token(
    zimun: Zimun, channels: dict[str, grpc.Channel], port: str, method: Method
) -> None:
    for what, authorization in bad_tokens(zimun).items():
        status = grpc_status(channels[port], method.path, b"", authorization)
        assert reason(status) == ("UNAUTHENTICATED", "TOKEN_INVALID"), what


@pytest.mark.about_the_token
@every_method
def test_every_method_needs_its_scope(
    zimun: Zimun, channels: dict[str, grpc.Channel], method: Method
) -> None:
    everything = set(claims(zimun.token())["scope"].split())
    token = zimun.token(" ".join(sorted(everything - {method.scope})))

    answer = over_http(zimun, method, f"Bearer {token}")
    metadata = refused(answer, 403, "PERMISSION_DENIED", "SCOPE_MISSING")
    assert metadata == {"scope": method.scope}
    for port, channel in channels.items():
        status = grpc_status(channel, method.path, b"", f"Bearer {token}")
        assert reason(status) == ("PERMISSION_DENIED", "SCOPE_MISSING"), port


@every_method
def test_every_method_is_content_with_its_scope_alone(zimun: Zimun, method: Method) -> None:
    token = zimun.token(method.scope)
    answer = over_http(zimun, method, f"Bearer {token}")
    # The empty request may well be malformed, or name nothing there is.
    assert answer.status_code in (200, 400, 404), answer.text


@pytest.mark.about_the_token
def test_grpc_refuses_a_method_that_does_not_exist(
    zimun: Zimun, channels: dict[str, grpc.Channel]
) -> None:
    path = "/zimun.v1.ServicesService/BurnServices"
    for port, channel in channels.items():
        status = grpc_status(channel, path, b"", f"Bearer {zimun.token()}")
        assert status.code == grpc.StatusCode.UNIMPLEMENTED.value[0], port


@pytest.mark.about_the_token
def test_a_token_is_refused_once_its_lifetime_is_over(new_program: Callable[..., Zimun]) -> None:
    zimun = new_program(ZIMUN_TOKEN_LIFETIME="1").start()
    answer = zimun.ask_token({"grant_type": "client_credentials"}, zimun.credentials)
    assert answer.json()["expires_in"] == 1
    token = answer.json()["access_token"]

    def too_late() -> bool:
        return zimun.get("/api/v1/services", token=token).status_code == 401

    until("the token to expire through Envoy", too_late, 10)
    expired = zimun.get("/api/v1/services", token=token)
    refused(expired, 401, "UNAUTHENTICATED", "TOKEN_INVALID")
    assert 'error="invalid_token"' in expired.headers["www-authenticate"]
    with grpc.insecure_channel(zimun.grpc_target) as channel:
        for method in METHODS:
            status = grpc_status(channel, method.path, b"", f"Bearer {token}")
            assert reason(status) == ("UNAUTHENTICATED", "TOKEN_INVALID"), method.name
    zimun.stop()
