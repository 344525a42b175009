"""The token endpoint (RFC 6749), its metadata (RFC 8414) and its keys (RFC 7517)."""

import base64
import json
from typing import Any

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from ..support.answers import claims, ok_json
from ..support.program import Zimun

GRANT = {"grant_type": "client_credentials"}
SCOPES = {
    "org:read",
    "org:write",
    "availability:read",
    "appointments:read",
    "appointments:write",
    "appointments:override",
}


def not_cached(answer: requests.Response) -> None:
    """RFC 6749 section 5.1: no-store, and no-cache for HTTP/1.0."""
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"


def error(answer: requests.Response, status: int, code: str) -> None:
    """Asserts the error answer of RFC 6749 section 5.2."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert body["error"] == code, body
    assert set(body) <= {"error", "error_description", "error_uri"}
    not_cached(answer)


def test_a_client_gets_a_token_with_http_basic(zimun: Zimun) -> None:
    answer = zimun.ask_token(GRANT, zimun.credentials)
    body = ok_json(answer)
    not_cached(answer)
    assert body["token_type"] == "Bearer"
    assert 0 < body["expires_in"] <= 3600
    assert set(body["scope"].split()) == SCOPES
    assert zimun.get("/api/v1/services", token=body["access_token"]).status_code == 200


def test_a_client_gets_a_token_with_form_credentials(zimun: Zimun) -> None:
    client, secret = zimun.credentials
    answer = zimun.ask_token({**GRANT, "client_id": client, "client_secret": secret})
    body = ok_json(answer)
    not_cached(answer)
    assert zimun.get("/api/v1/services", token=body["access_token"]).status_code == 200


def test_basic_credentials_are_form_decoded(zimun: Zimun) -> None:
    # RFC 6749 section 2.3.1 encodes both before they go into the header.
    client, secret = ("".join(f"%{ord(c):02X}" for c in text) for text in zimun.credentials)
    answer = zimun.ask_token(GRANT, (client, secret))
    assert answer.status_code == 200, answer.text


def test_a_token_can_be_asked_for_with_fewer_scopes(zimun: Zimun) -> None:
    body = ok_json(zimun.ask_token({**GRANT, "scope": "org:read"}, zimun.credentials))
    assert body["scope"] == "org:read"
    assert claims(body["access_token"])["scope"] == "org:read"


def test_several_scopes_are_separated_by_spaces(zimun: Zimun) -> None:
    wanted = "appointments:read org:read"
    body = ok_json(zimun.ask_token({**GRANT, "scope": wanted}, zimun.credentials))
    assert set(body["scope"].split()) == set(wanted.split())


def test_an_empty_scope_counts_as_none_given(zimun: Zimun) -> None:
    # RFC 6749 section 3.2: parameters without a value are treated as omitted.
    body = ok_json(zimun.ask_token({**GRANT, "scope": ""}, zimun.credentials))
    assert set(body["scope"].split()) == SCOPES


def test_unknown_parameters_are_ignored(zimun: Zimun) -> None:
    # RFC 6749 section 3.2.
    answer = zimun.ask_token({**GRANT, "resource": "https://example.com"}, zimun.credentials)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("scope", ["org:admin", "org:read nope", "openid"])
def test_an_unknown_scope_is_refused(zimun: Zimun, scope: str) -> None:
    error(zimun.ask_token({**GRANT, "scope": scope}, zimun.credentials), 400, "invalid_scope")


def test_a_client_gets_no_scope_beyond_its_own(zimun: Zimun) -> None:
    client = zimun.new_client("--scope", "org:read", "--scope", "availability:read")
    body = ok_json(zimun.ask_token(GRANT, client))
    assert set(body["scope"].split()) == {"org:read", "availability:read"}
    part = ok_json(zimun.ask_token({**GRANT, "scope": "org:read appointments:write"}, client))
    assert part["scope"] == "org:read"
    beyond = zimun.ask_token({**GRANT, "scope": "appointments:write"}, client)
    error(beyond, 400, "invalid_scope")


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"scope": "org:read"}, "invalid_request"),
        ({"grant_type": "password", "username": "a", "password": "b"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "unsupported_grant_type"),
        ([("grant_type", "client_credentials")] * 2, "invalid_request"),
        ([*GRANT.items(), ("scope", "org:read"), ("scope", "org:read")], "invalid_request"),
    ],
)
def test_a_wrong_form_is_refused_by_name(zimun: Zimun, form: object, code: str) -> None:
    error(zimun.ask_token(form, zimun.credentials), 400, code)


@pytest.mark.parametrize("which", ["unknown client", "wrong secret", "empty secret"])
def test_wrong_basic_credentials_are_challenged(zimun: Zimun, which: str) -> None:
    client, secret = zimun.credentials
    auth = {
        "unknown client": ("c_nobody", secret),
        "wrong secret": (client, secret[:-1] + ("a" if secret[-1] != "a" else "b")),
        "empty secret": (client, ""),
    }[which]
    answer = zimun.ask_token(GRANT, auth)
    error(answer, 401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize("form", [{}, {"client_id": "c_demo"}])
def test_a_client_must_authenticate(zimun: Zimun, form: dict[str, str]) -> None:
    error(zimun.ask_token({**GRANT, **form}), 401, "invalid_client")


def test_wrong_form_credentials_are_refused(zimun: Zimun) -> None:
    form = {**GRANT, "client_id": "c_demo", "client_secret": "wrong"}
    error(zimun.ask_token(form), 401, "invalid_client")


def test_a_client_authenticates_in_one_way_only(zimun: Zimun) -> None:
    client, secret = zimun.credentials
    form = {**GRANT, "client_id": client, "client_secret": secret}
    error(zimun.ask_token(form, zimun.credentials), 400, "invalid_request")


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Bearer x"])
def test_an_unreadable_authorization_header_is_no_authentication(zimun: Zimun, header: str) -> None:
    answer = zimun.ask_token(GRANT, headers={"Authorization": header})
    error(answer, 401, "invalid_client")
    assert "www-authenticate" in answer.headers


def test_credentials_in_the_query_count_for_nothing(zimun: Zimun) -> None:
    # RFC 6749 section 2.3.1: they must not be in the request URI.
    client, secret = zimun.credentials
    query = {**GRANT, "client_id": client, "client_secret": secret}
    answer = zimun.ask_token(GRANT, params=query)
    error(answer, 401, "invalid_client")


def test_a_json_body_is_no_form(zimun: Zimun) -> None:
    error(zimun.ask_token(auth=zimun.credentials, json=GRANT), 400, "invalid_request")


def test_the_token_endpoint_knows_post_alone(zimun: Zimun) -> None:
    answer = zimun.ask_token(auth=zimun.credentials, verb="GET", params=GRANT)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.json()["error"] == "invalid_request"


def test_a_token_is_a_short_lived_jwt_of_one_organization(zimun: Zimun) -> None:
    body = ok_json(zimun.ask_token(GRANT, zimun.credentials))
    found = claims(body["access_token"])
    assert found["org_id"] == "o_demo"
    assert found["sub"] == "c_demo"
    assert found["exp"] - found["iat"] == body["expires_in"]
    assert set(found["scope"].split()) == SCOPES
    again = ok_json(zimun.ask_token(GRANT, zimun.credentials))
    assert claims(again["access_token"])["jti"] != found["jti"]


def test_a_revoked_client_gets_no_more_tokens(zimun: Zimun) -> None:
    client = zimun.new_client()
    assert zimun.ask_token(GRANT, client).status_code == 200
    zimun.cli("client", "revoke", client[0])
    error(zimun.ask_token(GRANT, client), 401, "invalid_client")


def well_known(zimun: Zimun, name: str) -> Any:
    answer = zimun.session.get(f"{zimun.url}/.well-known/{name}", timeout=20)
    return ok_json(answer)


def test_the_published_keys_verify_a_token_and_keep_the_secret(zimun: Zimun) -> None:
    keys = well_known(zimun, "jwks.json")["keys"]
    assert keys
    for key in keys:
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")
        assert "d" not in key
    verified = jwt.decode(
        zimun.token(), KeySet([ECKey.import_key(key) for key in keys]), algorithms=["ES256"]
    )
    header = json.loads(base64.urlsafe_b64decode(zimun.token().split(".")[0] + "=="))
    assert header["kid"] in {key["kid"] for key in keys}
    assert verified.claims == claims(zimun.token())


def test_metadata_name_the_issuer_the_scopes_and_the_keys(zimun: Zimun) -> None:
    found = well_known(zimun, "oauth-authorization-server")
    assert found["issuer"] == claims(zimun.token())["iss"]
    assert found["grant_types_supported"] == ["client_credentials"]
    assert set(found["token_endpoint_auth_methods_supported"]) == {
        "client_secret_basic",
        "client_secret_post",
    }
    assert set(found["scopes_supported"]) == SCOPES
    keys = zimun.session.get(found["jwks_uri"], timeout=20)
    assert keys.json() == well_known(zimun, "jwks.json")
    token = zimun.session.post(
        found["token_endpoint"], data=GRANT, auth=zimun.credentials, timeout=20
    )
    assert token.status_code in (200, 429), token.text


def test_the_authorization_endpoint_grants_nothing_and_leads_nowhere(zimun: Zimun) -> None:
    """RFC 6749, 4.1.2.1: no browser is sent to an address that no client has registered."""
    endpoint = well_known(zimun, "oauth-authorization-server")["authorization_endpoint"]
    assert endpoint == f"{zimun.url}/oauth/authorize"
    asked = {"response_type": "code", "client_id": "c_demo", "redirect_uri": "https://a.example/"}
    answer = zimun.session.get(endpoint, params=asked, allow_redirects=False, timeout=20)
    error(answer, 400, "unsupported_response_type")
