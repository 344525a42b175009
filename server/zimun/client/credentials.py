"""Tokens of an API client."""

import base64
import json
import math
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException

from .errors import Unavailable, error_of_tokens, malformed_token, no_token_in_time

TOKEN_TIMEOUT = 10.0
"""Seconds that a request for a token may take, its repetitions included."""

WAITS = (0.2, 0.4, 0.8)
"""Seconds before each repetition of a request for a token."""

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
        self._kept = ("", -math.inf)

    def __call__(self, timeout: float = TOKEN_TIMEOUT) -> str:
        """A token that is good for a while yet.

        Threads that call at the same time share it. Raises a ClientError where there is none
        after `timeout` seconds, at most 10.
        """
        return self.current() or self._renew(time.monotonic() + min(timeout, TOKEN_TIMEOUT))

    def current(self) -> str | None:
        """The token that is kept, if it is good for a while yet; never waits."""
        token, good_until = self._kept
        return token if self._clock() < good_until else None

    def forget(self, token: str) -> None:
        """Ask for another token next time, as this one was refused; never waits."""
        # A newer token that another thread keeps just now may go, too: it costs one request.
        if token == self._kept[0]:
            self._kept = ("", -math.inf)

    def _renew(self, deadline: float) -> str:
        if not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise no_token_in_time()
        try:
            return self.current() or self._keep(*self._repeat(deadline))
        finally:
            self._lock.release()

    def _keep(self, token: str, lifetime: float) -> str:
        self._kept = (token, self._clock() + max(lifetime - TOKEN_MARGIN, lifetime / 2))
        return token

    def _repeat(self, deadline: float) -> tuple[str, float]:
        """Ask for a token, again after each of WAITS while the token endpoint is unavailable."""
        for wait in WAITS:
            try:
                return self._ask(deadline - time.monotonic())
            except Unavailable:
                if time.monotonic() + wait >= deadline:
                    raise
            time.sleep(wait)
        return self._ask(deadline - time.monotonic())

    def _ask(self, timeout: float) -> tuple[str, float]:
        """A new token and the seconds that it lives; `timeout` is that of each wait."""
        if timeout <= 0:
            raise no_token_in_time()
        try:
            with urllib.request.urlopen(self._request(), timeout=timeout) as response:  # noqa: S310
                body: bytes = response.read()
        except (OSError, HTTPException) as failed:
            raise error_of_tokens(failed) from failed
        return _token_of(body)

    def _request(self) -> urllib.request.Request:
        form = {"grant_type": "client_credentials"} | (
            {"scope": self._scope} if self._scope else {}
        )
        return urllib.request.Request(  # noqa: S310 - the URL is the operator's
            self._url,
            urllib.parse.urlencode(form).encode(),
            {"Authorization": f"Basic {self._basic}"},
        )


def _token_of(body: bytes) -> tuple[str, float]:
    """The token of a response and the seconds that it lives."""
    try:
        answer = json.loads(body)
        token, lifetime = answer["access_token"], float(answer["expires_in"])
    except (ValueError, KeyError, TypeError) as failed:
        raise malformed_token() from failed
    if not isinstance(token, str) or not token:
        raise malformed_token()
    return token, lifetime
