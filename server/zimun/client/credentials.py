"""Tokens of an API client."""

import base64
import json
import math
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

TOKEN_MARGIN = 30.0
"""Seconds before its expiry at which a token is replaced."""


class ClientCredentials:
    """Bearer tokens by the client credentials grant (RFC 6749 section 4.4), kept while good."""

    def __init__(
        self,
        base_url: str,
        client_id: str,
        client_secret: str,
        scopes: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = base_url.rstrip("/") + "/oauth/token"
        pair = ":".join(urllib.parse.quote_plus(part) for part in (client_id, client_secret))
        self._basic = base64.b64encode(pair.encode()).decode()
        self._scope = " ".join(scopes)
        self._clock = clock
        self._lock = threading.Lock()
        self._token, self._good_until = "", -math.inf

    def __call__(self) -> str:
        """A token that is good for a while yet. Raises urllib.error.HTTPError where refused."""
        with self._lock:
            if self._clock() >= self._good_until:
                answer = self._ask()
                self._token = str(answer["access_token"])
                lifetime = float(answer["expires_in"])
                self._good_until = self._clock() + max(lifetime - TOKEN_MARGIN, lifetime / 2)
            return self._token

    def forget(self, token: str) -> None:
        """Ask for another token next time, as this one was refused."""
        with self._lock:
            if token == self._token:
                self._good_until = -math.inf

    def _ask(self) -> dict[str, Any]:
        form = {"grant_type": "client_credentials"} | (
            {"scope": self._scope} if self._scope else {}
        )
        request = urllib.request.Request(  # noqa: S310 - the URL is the operator's
            self._url,
            urllib.parse.urlencode(form).encode(),
            {"Authorization": f"Basic {self._basic}"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            answer: dict[str, Any] = json.load(response)
        return answer
