"""The token endpoint, the JWKS and the metadata, over a real socket."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from zimun.auth.clients import create_client, hash_secret, revoke_client, rotate_secret
from zimun.auth.signing_keys import KeyStore
from zimun.auth.token_endpoint import (
    AUTHORIZATION_PATH,
    JWKS_PATH,
    METADATA_PATH,
    TOKEN_PATH,
    application,
)
from zimun.auth.tokens import Issuer, Verifier
from zimun.domain.identity import SCOPES, Caller, Client
from zimun.domain.instant import SECOND

from .conftest import ISSUER
from .fakes import MemoryCredentials, MovableTime

FORM = "application/x-www-form-urlencoded"
GRANT = {"grant_type": "client_credentials"}
MANY_PARAMETERS = b"".join(b"&x%d=y" % n for n in range(200))
ALLOWED = ("org:read", "availability:read", "appointments:write")


class Endpoint:
    """The application on a free port, with one client `c_1` and its secret."""

    def __init__(self, http: TestClient[Any, Any], secret: str) -> None:
        self.http = http
        self.secret = secret

    @property
    def basic(self) -> dict[str, str]:
        return basic("c_1", self.secret)

    @property
    def by_form(self) -> dict[str, str]:
        return GRANT | {"client_id": "c_1", "client_secret": self.secret}

    async def post_form(
        self, form: dict[str, str] | list[tuple[str, str]] | bytes, headers: Any = None
    ) -> ClientResponse:
        body = form if isinstance(form, bytes) else urlencode(form).encode()
        complete = {"Content-Type": FORM} | (headers or {})
        return await self.http.post(TOKEN_PATH, data=body, headers=complete)


def basic(client_id: str, secret: str) -> dict[str, str]:
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


@pytest.fixture
async def endpoint(
    credentials: MemoryCredentials, issuer: Issuer, now: MovableTime
) -> AsyncIterator[Endpoint]:
    _, secret = await create_client(credentials, 0, "o_1", "Front desk", ALLOWED, "c_1")
    async with TestClient(TestServer(application(credentials, issuer, now))) as http:
        yield Endpoint(http, secret)


async def refused(response: ClientResponse, status: int, error: str) -> dict[str, Any]:
    body: dict[str, Any] = await response.json()
    assert (response.status, body["error"]) == (status, error)
    assert set(body) == {"error", "error_description"}
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"
    assert ("WWW-Authenticate" in response.headers) == (status == 401)
    if status == 401:
        assert response.headers["WWW-Authenticate"] == 'Basic realm="zimun"'
    return body


@pytest.mark.parametrize("by", ["basic", "form"])
async def test_a_client_gets_a_token_that_verifies(
    endpoint: Endpoint, verifier: Verifier, by: str
) -> None:
    if by == "basic":
        response = await endpoint.post_form(GRANT, endpoint.basic)
    else:
        response = await endpoint.post_form(endpoint.by_form)
    assert response.status == 200
    assert response.content_type == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"
    body = await response.json()
    token = body.pop("access_token")
    scope = "org:read availability:read appointments:write"
    assert body == {"token_type": "Bearer", "expires_in": 900, "scope": scope}
    assert await verifier.verify(token) == Caller("o_1", "c_1", frozenset(ALLOWED))


async def test_a_token_has_only_the_scopes_that_were_asked_for(
    endpoint: Endpoint, verifier: Verifier
) -> None:
    form = GRANT | {"scope": "appointments:write org:read"}
    body = await (await endpoint.post_form(form, endpoint.basic)).json()
    assert body["scope"] == "org:read appointments:write"
    caller = await verifier.verify(body["access_token"])
    assert caller.scopes == {"org:read", "appointments:write"}


async def test_an_empty_scope_is_as_good_as_none(endpoint: Endpoint) -> None:
    body = await (await endpoint.post_form(GRANT | {"scope": ""}, endpoint.basic)).json()
    assert body["scope"].split() == list(ALLOWED)


@pytest.mark.parametrize(
    "scope",
    [
        "org:write",
        "org:write appointments:override",
        "nonsense",
        "org:read nonsense",
        "ORG:READ",
        " ",
        " org:read",
        "org:read ",
        "org:read  availability:read",
        "org:read\tavailability:read",
        "org:read,availability:read",
        'org:"read',
        "org\\read",
        "orgé",
        "org:read\n",
    ],
)
async def test_a_scope_beyond_the_client_or_the_grammar_is_refused(
    endpoint: Endpoint, scope: str
) -> None:
    response = await endpoint.post_form(GRANT | {"scope": scope}, endpoint.basic)
    await refused(response, 400, "invalid_scope")


async def test_a_client_gets_the_scopes_that_it_may_have(endpoint: Endpoint) -> None:
    asked = " ".join(("org:write", *reversed(ALLOWED), "appointments:override"))
    response = await endpoint.post_form(GRANT | {"scope": asked}, endpoint.basic)
    assert (await response.json())["scope"].split() == list(ALLOWED)


async def test_basic_credentials_are_form_decoded(
    endpoint: Endpoint, credentials: MemoryCredentials
) -> None:
    secret = "a+b %41:ü/="
    credentials.clients_by_id["c_odd"] = Client(
        "c_odd", "o_1", "n", ("org:read",), hash_secret(secret), 0
    )
    assert (await endpoint.post_form(GRANT, basic("c_odd", secret))).status == 200
    raw = base64.b64encode(f"c_odd:{secret}".encode()).decode()
    await refused(
        await endpoint.post_form(GRANT, {"Authorization": f"Basic {raw}"}), 401, "invalid_client"
    )


async def test_the_scheme_is_read_in_any_case(endpoint: Endpoint) -> None:
    header = endpoint.basic["Authorization"].replace("Basic", "bAsIc")
    assert (await endpoint.post_form(GRANT, {"Authorization": header})).status == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic Yw",
        "Basic !" + base64.b64encode(b"c_1:x").decode(),
        "Basic " + base64.b64encode(b"no-colon").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Basic " + base64.b64encode(b"c_1:%ff").decode(),
        "Basic é",
        "Bearer abc",
        "Digest username=c_1",
    ],
)
async def test_a_malformed_authorization_header_is_invalid_client(
    endpoint: Endpoint, header: str
) -> None:
    response = await endpoint.post_form(GRANT, {"Authorization": header})
    body = await refused(response, 401, "invalid_client")
    assert body["error_description"] == "malformed Basic credentials"


async def test_two_authorization_headers_are_invalid_client(endpoint: Endpoint) -> None:
    header = endpoint.basic["Authorization"]
    headers = [("Content-Type", FORM), ("Authorization", header), ("Authorization", header)]
    response = await endpoint.http.post(TOKEN_PATH, data=urlencode(GRANT), headers=headers)
    await refused(response, 401, "invalid_client")


@pytest.mark.parametrize(
    ("client_id", "secret"),
    [
        ("c_1", "zs_wrong"),
        ("c_1", ""),
        ("c_unknown", None),
        ("", None),
        ("c 1", None),
        ("c\x001", None),
    ],
)
async def test_wrong_credentials_are_invalid_client_and_read_alike(
    endpoint: Endpoint, client_id: str, secret: str | None
) -> None:
    sent = endpoint.secret if secret is None else secret
    response = await endpoint.post_form(GRANT, basic(client_id, sent))
    body = await refused(response, 401, "invalid_client")
    assert body["error_description"] == "unknown client, wrong secret or revoked"


@pytest.mark.parametrize(
    "form",
    [
        GRANT,
        GRANT | {"client_id": "c_1"},
        GRANT | {"client_id": "c_1", "client_secret": ""},
        GRANT | {"client_secret": "zs_x"},
        GRANT | {"client_id": "c_1", "client_secret": "zs_wrong"},
    ],
)
async def test_missing_or_wrong_form_credentials_are_invalid_client(
    endpoint: Endpoint, form: dict[str, str]
) -> None:
    await refused(await endpoint.post_form(form), 401, "invalid_client")


async def test_credentials_in_the_uri_do_not_count(endpoint: Endpoint) -> None:
    query = urlencode(endpoint.by_form)
    response = await endpoint.http.post(
        f"{TOKEN_PATH}?{query}", data=urlencode(GRANT), headers={"Content-Type": FORM}
    )
    await refused(response, 401, "invalid_client")


async def test_two_ways_of_authenticating_are_an_invalid_request(endpoint: Endpoint) -> None:
    response = await endpoint.post_form(endpoint.by_form, endpoint.basic)
    await refused(response, 400, "invalid_request")
    response = await endpoint.post_form(GRANT | {"client_id": "c_2"}, endpoint.basic)
    await refused(response, 400, "invalid_request")


async def test_basic_with_its_own_id_repeated_is_one_way(endpoint: Endpoint) -> None:
    assert (await endpoint.post_form(GRANT | {"client_id": "c_1"}, endpoint.basic)).status == 200


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "invalid_request"),
        (b"scope=org:read", "invalid_request"),
        (b"grant_type=", "invalid_request"),
        (b"grant_type", "invalid_request"),
        (b"grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        (b"grant_type=client_credentials&scope=org:read&scope=", "invalid_request"),
        (b"grant_type=client_credentials&x=1&x=2", "invalid_request"),
        (b"grant_type=client_credentials&scope=%ff", "invalid_request"),
        (b"grant_type=client_credentials&scope=\xff", "invalid_request"),
        (b"grant_type=client_credentials" + MANY_PARAMETERS, "invalid_request"),
        (b"grant_type=password", "unsupported_grant_type"),
        (b"grant_type=authorization_code&code=x", "unsupported_grant_type"),
        (b"grant_type=Client_Credentials", "unsupported_grant_type"),
    ],
)
async def test_a_malformed_request_of_a_known_client_is_refused(
    endpoint: Endpoint, body: bytes, error: str
) -> None:
    await refused(await endpoint.post_form(body, endpoint.basic), 400, error)


async def test_unknown_parameters_are_ignored(endpoint: Endpoint) -> None:
    form = GRANT | {"resource": "https://booking.example", "client_assertion": "x"}
    assert (await endpoint.post_form(form, endpoint.basic)).status == 200


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""]
)
async def test_other_content_types_than_a_form_are_refused(
    endpoint: Endpoint, content_type: str
) -> None:
    headers = endpoint.basic | {"Content-Type": content_type}
    response = await endpoint.http.post(TOKEN_PATH, data=json.dumps(GRANT), headers=headers)
    await refused(response, 400, "invalid_request")


async def test_a_form_may_name_its_charset(endpoint: Endpoint) -> None:
    headers = endpoint.basic | {"Content-Type": f"{FORM}; charset=UTF-8"}
    assert (await endpoint.post_form(GRANT, headers)).status == 200


async def test_a_body_beyond_the_limit_is_refused(endpoint: Endpoint) -> None:
    response = await endpoint.post_form(b"x=" + b"y" * 20_000, endpoint.basic)
    await refused(response, 413, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_not_allowed(endpoint: Endpoint, method: str) -> None:
    response = await endpoint.http.request(method, TOKEN_PATH)
    await refused(response, 405, "invalid_request")
    assert response.headers["Allow"] == "POST"


async def test_another_path_is_refused_in_json(endpoint: Endpoint) -> None:
    await refused(await endpoint.http.get("/oauth/introspect"), 404, "invalid_request")


async def test_no_grant_begins_at_the_authorization_endpoint(endpoint: Endpoint) -> None:
    asked = {"response_type": "code", "client_id": "c_1", "redirect_uri": "https://a.example/"}
    response = await endpoint.http.get(AUTHORIZATION_PATH, params=asked, allow_redirects=False)
    await refused(response, 400, "unsupported_response_type")
    await refused(await endpoint.http.post(AUTHORIZATION_PATH), 405, "invalid_request")


async def test_rotation_and_grace(
    endpoint: Endpoint, credentials: MemoryCredentials, now: MovableTime
) -> None:
    new = await rotate_secret(credentials, round(now() * SECOND), "c_1", grace_seconds=60)
    assert (await endpoint.post_form(GRANT, endpoint.basic)).status == 200
    now.advance(60)
    await refused(await endpoint.post_form(GRANT, endpoint.basic), 401, "invalid_client")
    assert (await endpoint.post_form(GRANT, basic("c_1", new))).status == 200


async def test_a_revoked_client_is_invalid(
    endpoint: Endpoint, credentials: MemoryCredentials
) -> None:
    await revoke_client(credentials, 1, "c_1")
    await refused(await endpoint.post_form(GRANT, endpoint.basic), 401, "invalid_client")


async def test_a_store_out_of_order_asks_to_come_back(
    endpoint: Endpoint, credentials: MemoryCredentials
) -> None:
    credentials.down = True
    response = await endpoint.post_form(GRANT, endpoint.basic)
    await refused(response, 503, "temporarily_unavailable")
    assert response.headers["Retry-After"] == "3"


async def test_an_unexpected_error_shows_no_details(
    endpoint: Endpoint, credentials: MemoryCredentials, caplog: pytest.LogCaptureFixture
) -> None:
    credentials.clients_by_id = None  # type: ignore[assignment]
    body = await refused(await endpoint.post_form(GRANT, endpoint.basic), 500, "server_error")
    assert "NoneType" not in json.dumps(body)
    assert "AttributeError" in caplog.text


async def test_neither_secrets_nor_tokens_are_logged(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    body = await (await endpoint.post_form(GRANT, endpoint.basic)).json()
    await endpoint.post_form(GRANT, basic(endpoint.secret, "c_1"))
    await endpoint.post_form(GRANT, basic("c_1", "guess"))
    assert "refused an unknown client" in caplog.text
    assert "refused client c_1: wrong secret" in caplog.text
    assert endpoint.secret not in caplog.text
    assert body["access_token"] not in caplog.text


async def test_the_jwks_verifies_and_may_be_cached_a_minute(
    endpoint: Endpoint, keys: KeyStore, now: MovableTime
) -> None:
    response = await endpoint.http.get(JWKS_PATH)
    assert response.status == 200
    assert response.headers["Cache-Control"] == "public, max-age=60"
    assert await response.json() == keys.jwks()
    now.advance(1)
    rotated = await keys.rotate()
    body = await (await endpoint.http.get(JWKS_PATH)).json()
    assert [key["kid"] for key in body["keys"]][1:] == [rotated]
    assert all("d" not in key for key in body["keys"])


async def test_the_metadata_is_what_rfc_8414_says(endpoint: Endpoint) -> None:
    response = await endpoint.http.get(METADATA_PATH)
    assert response.content_type == "application/json"
    assert await response.json() == {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/oauth/authorize",
        "token_endpoint": f"{ISSUER}/oauth/token",
        "jwks_uri": f"{ISSUER}/.well-known/jwks.json",
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "scopes_supported": list(SCOPES),
    }
