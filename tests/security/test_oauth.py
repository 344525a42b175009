"""Abuse of the token endpoint by a client with good credentials: no token, one shape of refusal."""

import base64
import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import requests

from .attacks import AttackCounter
from .target import ALL_SCOPES, Target

GRANT = b"grant_type=client_credentials"
FORM = "application/x-www-form-urlencoded"

REFUSALS = {400, 401, 405, 413, 415, 431}
"""Status codes of abuse, of RFC 6749 section 5.2 and of HTTP."""

GRANTS = (
    b"",
    b"grant_type=",
    b"grant_type=authorization_code&code=x&redirect_uri=http://localhost/",
    b"grant_type=password&username=a&password=b",
    b"grant_type=refresh_token&refresh_token=x",
    b"grant_type=implicit",
    b"grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=x.y.z",
    b"grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=x",
    b"grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=x",
    b"grant_type=CLIENT_CREDENTIALS",
    b"grant_type=client_credentials%00",
    b"grant_type=client_credentials%20",
    b"grant_type[]=client_credentials",
)

SCOPES = (
    b"*",
    b"org:*",
    b"admin",
    b"openid",
    b"ORG:READ",
    b"org:read,org:write",
    b"org:read%00",
    b"org:read%0Aorg:write",
    b"org:read%20admin",
    b"%20%20org:read",
    b"org:read%C2%A0org:write",
    b"%ff",
    b"org:read%20" * 800,
)

REPEATED = (
    GRANT + b"&" + GRANT,
    GRANT + b"&grant_type=password",
    GRANT + b"&scope=org:read&scope=org:write",
    GRANT + b"&client_id=c_demo&client_id=c_other",
    GRANT + b"&client_id=c_other",
    GRANT + b"&client_id=c_demo&client_secret=x",
    GRANT + b"&" + b"&".join(b"p%d=1" % number for number in range(200)),
)

TYPES = ("", "application/json", "text/plain", "multipart/form-data; boundary=x", f"{FORM}x")


class Abuse(NamedTuple):
    """One request to the token endpoint."""

    kind: str
    body: bytes
    content_type: str = FORM
    verb: str = "POST"


def abuses() -> Iterator[Abuse]:
    yield from (Abuse("grant type", body) for body in GRANTS)
    yield from (Abuse("scope", GRANT + b"&scope=" + scope) for scope in SCOPES)
    yield from (Abuse("repeated parameter", body) for body in REPEATED)
    yield from (Abuse("content type", GRANT, content_type) for content_type in TYPES)
    yield from (Abuse("size", GRANT + b"&x=" + b"x" * size) for size in (20_000, 300_000))
    yield from (Abuse("encoding", GRANT + b"&x=" + tail) for tail in (b"\xff\xfe", b"\xc3("))
    yield from (Abuse("verb", GRANT, verb=verb) for verb in ("PUT", "PATCH", "DELETE"))


@pytest.mark.one_store
@pytest.mark.parametrize(
    "abuse", list(abuses()), ids=lambda abuse: f"{abuse.kind} {abuse.body!r:.40}"
)
def test_abuse_of_the_token_endpoint_gets_no_token(
    target: Target, abuse: Abuse, attacks: AttackCounter
) -> None:
    answer = requests.request(
        abuse.verb,
        f"{target.program.url}/oauth/token",
        data=abuse.body,
        auth=target.program.credentials,
        headers={"Content-Type": abuse.content_type} if abuse.content_type else {},
        timeout=20,
    )
    assert answer.status_code in REFUSALS, (answer.status_code, answer.text)
    assert "access_token" not in answer.text
    assert set(answer.json()) >= {"error"}, answer.text
    assert target.program.credentials[1] not in answer.text
    attacks.count(f"OAuth, {abuse.kind}")


@pytest.mark.one_store
def test_a_client_gets_no_scope_beyond_its_own(target: Target, attacks: AttackCounter) -> None:
    client = target.program.new_client("--scope", "org:read")
    url = f"{target.program.url}/oauth/token"
    form = {"grant_type": "client_credentials"}
    for scope in ("org:write", "org:write appointments:override", "org:read org:read x"):
        answer = requests.post(url, {**form, "scope": scope}, auth=client, timeout=20)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")
        attacks.count("OAuth, scope escalation")
    for more in ({}, {"scope": "org:write org:read"}, {"scope": " ".join(ALL_SCOPES)}):
        granted = requests.post(url, form | more, auth=client, timeout=20).json()
        claims = json.loads(base64.urlsafe_b64decode(granted["access_token"].split(".")[1] + "=="))
        assert granted["scope"] == claims["scope"] == "org:read"
        attacks.count("OAuth, scope escalation")
