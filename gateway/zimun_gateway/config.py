"""The structures that Envoy's configuration repeats everywhere."""

from typing import Any

Config = dict[str, Any]

ID = "[A-Za-z0-9_-]{1,64}"
"""A regular expression of ids; `zimun.domain.identity.ID` is that of the server."""


def typed(message: str, **fields: Any) -> Config:
    """A google.protobuf.Any of one of Envoy's own messages."""
    return {"@type": f"type.googleapis.com/envoy.{message}", **fields}


def extension(name: str, message: str, **fields: Any) -> Config:
    """A named extension with its configuration."""
    return {"name": name, "typed_config": typed(message, **fields)}


def seconds(value: float) -> str:
    """A google.protobuf.Duration in JSON, which has no exponent."""
    return f"{value:.9f}".rstrip("0").rstrip(".") + "s"


def socket_address(host: str, port: int) -> Config:
    """A TCP address."""
    return {"socket_address": {"address": host, "port_value": port}}


def always() -> Config:
    """The fraction of all requests, which no runtime flag can lower."""
    return {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}


def header(name: str, value: str) -> Config:
    """A header to set, on a request or a response."""
    return {
        "header": {"key": name, "value": value},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
