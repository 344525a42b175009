"""The target of attacks: `zimun up` with Envoy and server, and tokens of its organizations."""

import base64
import json
import re
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from joserfc import jwt
from joserfc.jwk import ECKey

from ..support.postgres import shared
from ..support.program import Zimun

ATTACKER = "o_demo"
"""The organization that attacks: the demo, with valid tokens."""

VICTIM = "o_victim"
"""The organization that is attacked; what it has carries CANARY."""

TWIN = "o_twin"
"""An organization whose entries have the same ids as the victim's."""

TESTER = "o_tester"
"""An organization whose own clients send hostile requests, which may well change it."""

CANARY = "kestrel"
"""A word in every name, note and address of the victim: no other caller may ever read it."""

SCOPES = (
    "org:read",
    "org:write",
    "availability:read",
    "appointments:read",
    "appointments:write",
)
"""The scopes of methods."""

ALL_SCOPES = (*SCOPES, "appointments:override")
"""Those of fields, too."""


class Target:
    """A running program, and tokens for it."""

    def __init__(self, program: Zimun) -> None:
        self.program = program
        [self.signing_key] = read_signing_keys(program).values()

    def claims(self, org_id: str = ATTACKER, scopes: Iterable[str] = ALL_SCOPES) -> dict[str, Any]:
        """The claims of a good token."""
        now = int(time.time())
        client_id = f"c_{org_id.removeprefix('o_')}"
        return {
            "iss": f"http://localhost:{self.program.port}",
            "aud": "zimun",
            "sub": client_id,
            "client_id": client_id,
            "org_id": org_id,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + 3600,
            "jti": "j_1",
        }

    def header(self) -> dict[str, Any]:
        """The header of a good token."""
        return {"typ": "at+jwt", "alg": "ES256", "kid": self.signing_key.thumbprint()}

    def token(self, org_id: str = ATTACKER, scopes: Iterable[str] = ALL_SCOPES) -> str:
        """A token as the token endpoint would issue it, without asking there."""
        return jwt.encode(self.header(), self.claims(org_id, scopes), self.signing_key)


def read_signing_keys(program: Zimun) -> dict[str, ECKey]:
    """The keys that a program signs tokens with, by kid, oldest first, from its database."""
    if url := program.env.get("ZIMUN_DATABASE_URL"):
        server, _ = shared()
        query = "SELECT array_agg(pem ORDER BY create_time) FROM signing_keys"
        pems = server.value(url.rpartition("/")[2], query)
    else:
        query = "SELECT pem FROM signing_keys ORDER BY create_time"
        with closing(sqlite3.connect(program.data_dir / "zimun.db")) as database:
            pems = [pem for (pem,) in database.execute(query)]
    keys = map(_import, pems)
    return {key.thumbprint(): key for key in keys}


def _import(pem: bytes) -> ECKey:
    unencrypted = serialization.load_pem_private_key(pem, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return ECKey.import_key(unencrypted)


def memory(pid: int) -> int:
    """The resident memory of a process, in bytes; see proc(5)."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    assert found, status
    return int(found[1]) * 1024


def encode_part(value: object) -> str:
    """One part of a JWT: JSON in base64url without padding."""
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
