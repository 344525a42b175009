"""Strict checks of JSON-RPC 2.0 messages, which the package `mcp` would accept and misread."""

import json
import re
from typing import Any

PARSE_ERROR, INVALID_REQUEST = -32700, -32600

_MAX_DEPTH = 32
"""Levels of arrays and objects; the arguments of no tool have more than four."""


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""The escape of a surrogate, which is invalid without the other of its pair (RFC 8259, 8.2)."""


class Malformed(Exception):
    """The body is not a valid message; `code` is an error code of JSON-RPC."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    def as_json(self) -> dict[str, Any]:
        """The error response to a request whose id is not known."""
        error = {"code": self.code, "message": str(self)}
        return {"jsonrpc": "2.0", "id": None, "error": error}


def read_message(body: bytes) -> dict[str, Any]:
    """The request or notification of a body; raises Malformed unless it is one."""
    message = _parse(body)
    if not isinstance(message, dict):
        raise Malformed(
            INVALID_REQUEST, "the body must be one JSON-RPC message; there are no batches"
        )
    if message.get("jsonrpc") != "2.0" or not isinstance(message.get("method"), str):
        raise Malformed(INVALID_REQUEST, 'the message must have "jsonrpc": "2.0" and a method')
    if "id" in message and type(message["id"]) not in (str, int):
        raise Malformed(INVALID_REQUEST, "the id must be a text or a whole number")
    if not isinstance(message.get("params", {}), dict):
        raise Malformed(INVALID_REQUEST, "params must be an object")
    if _is_deeper(message, _MAX_DEPTH):
        raise Malformed(INVALID_REQUEST, f"there are more than {_MAX_DEPTH} levels")
    return message


def _parse(body: bytes) -> Any:
    try:
        text = body.decode("utf-8")
        message = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
        if _SURROGATE.search(text):
            json.dumps(message, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise Malformed(PARSE_ERROR, "the body is not JSON (RFC 8259)") from error
    return message


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("two members of one name")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    parts = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(part, levels - 1) for part in parts)
