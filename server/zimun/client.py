"""A small client for services that call Zimun over gRPC: tokens, Idempotency-Keys, retries.

    tokens = ClientCredentials("https://book.example.com", client_id, client_secret)
    with connect("zimun.internal:50051", tokens) as channel:
        stub = AppointmentsServiceStub(channel)
        hold = stub.HoldAppointment(HoldAppointmentRequest(...), timeout=5)

It needs the light core of the package alone.
"""

import base64
import json
import threading
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

TOKEN_MARGIN = 30.0
"""Seconds before its expiry at which a token is replaced."""

# The channel retries what did not happen (UNAVAILABLE, and CANCELLED by a server
# that stops); what did happen is answered as it was at first, as every attempt
# carries the same key.
_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.2s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ]
}


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
        self._token, self._good_until = "", 0.0

    def __call__(self) -> str:
        """A token that is good for a while yet. Raises urllib.error.HTTPError where refused."""
        with self._lock:
            if self._clock() >= self._good_until:
                answer = self._ask()
                self._token = str(answer["access_token"])
                lifetime = float(answer["expires_in"])
                self._good_until = self._clock() + max(lifetime - TOKEN_MARGIN, lifetime / 2)
            return self._token

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


def connect(
    target: str,
    tokens: Callable[[], str],
    credentials: grpc.ChannelCredentials | None = None,
) -> grpc.Channel:
    """A channel whose calls carry a token and an Idempotency-Key and are retried while it is safe.

    Give `credentials` for TLS. A key that the caller sets as `idempotency-key`
    metadata is left as it is.
    """
    options = (("grpc.service_config", json.dumps(_SERVICE_CONFIG)),)
    plain = (
        grpc.secure_channel(target, credentials, options)
        if credentials
        else grpc.insecure_channel(target, options)
    )
    return with_headers(plain, tokens)


def with_headers(channel: grpc.Channel, tokens: Callable[[], str]) -> grpc.Channel:
    """The channel with a token and an Idempotency-Key on every call."""
    return grpc.intercept_channel(channel, _Headers(tokens))


def error_info(error: grpc.RpcError) -> ErrorInfo | None:
    """Why Zimun refused a call: the ErrorInfo with its reason; None for an error without one."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        if detail.Is(ErrorInfo.DESCRIPTOR):
            info = ErrorInfo()
            detail.Unpack(info)
            return info
    return None


class _Headers(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, tokens: Callable[[], str]) -> None:
        self._tokens = tokens

    def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.ClientCallDetails, Any], Any],
        client_call_details: grpc.ClientCallDetails,
        request: Any,
    ) -> Any:
        metadata = [*(client_call_details.metadata or ())]
        if not any(key == "idempotency-key" for key, _ in metadata):
            metadata.append(("idempotency-key", str(uuid.uuid4())))
        metadata.append(("authorization", f"Bearer {self._tokens()}"))
        return continuation(_Details(client_call_details, tuple(metadata)), request)


class _Details(grpc.ClientCallDetails):
    """The details of a call with other metadata."""

    def __init__(
        self, details: grpc.ClientCallDetails, metadata: tuple[tuple[str, str | bytes], ...]
    ) -> None:
        self.method = details.method
        self.timeout = details.timeout
        self.metadata = metadata
        self.credentials = details.credentials
        self.wait_for_ready = details.wait_for_ready
        self.compression = details.compression
