"""Channels for generated stubs: a token and an Idempotency-Key on every call, and retries.

tokens = ClientCredentials("https://book.example.com", client_id, client_secret)
with connect("zimun.internal:50051", tokens) as channel:
    stub = AppointmentsServiceStub(channel)
    hold = stub.HoldAppointment(HoldAppointmentRequest(...), timeout=5)
"""

import json
import uuid
from collections.abc import Callable
from typing import Any

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

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


OPTIONS = (("grpc.service_config", json.dumps(_SERVICE_CONFIG)),)
"""Options of a channel that retries."""


def connect(
    target: str,
    tokens: Callable[[], str],
    credentials: grpc.ChannelCredentials | None = None,
) -> grpc.Channel:
    """A channel whose calls carry a token and an Idempotency-Key and are retried while it is safe.

    Give `credentials` for TLS. A key that the caller sets as `idempotency-key`
    metadata is left as it is.
    """
    plain = (
        grpc.secure_channel(target, credentials, OPTIONS)
        if credentials
        else grpc.insecure_channel(target, OPTIONS)
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
