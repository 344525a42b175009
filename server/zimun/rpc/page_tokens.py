"""Page tokens: the key after which a page begins, signed against tampering (AIP-158).

A token holds the key and a signature (HMAC, RFC 2104) over it and over the list
query that it is for, so that it is valid for the same organization, method and
filters, and for nothing else.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from google.protobuf.message import Message

from zimun.booking.pause import Pause
from zimun.domain.errors import InvalidRequest

Key = tuple[int, str]
"""The sort key of a page's last item: an instant and an id."""

DEFAULT_SIZE = 50
MAX_SIZE = 1000

_SIGNATURE_BYTES = 16

MAX_PAGE = 4_000_000
"""Bytes of the items of a page: a little below the default limit of gRPC clients (4 MiB)."""

T = TypeVar("T")
M = TypeVar("M", bound=Message)


def messages_within_limit(messages: Iterable[M]) -> Iterator[M]:
    """The first messages that fit into a page; the first one always."""
    size = 0
    for number, message in enumerate(messages):
        size += message.ByteSize()
        if number and size > MAX_PAGE:
            return
        yield message


class Page(NamedTuple, Generic[M]):
    """The items of a page, and the key after which the next page begins; None on the last page."""

    items: list[M]
    next_key: Key | None


async def write_page(
    items: Sequence[T],
    next_key: Key | None,
    write: Callable[[T], M],
    key_of: Callable[[T], Key],
) -> Page[M]:
    """The page of items as messages, without the last items where it would be too large."""
    messages, pause = [], Pause()
    for message in messages_within_limit(map(write, items)):
        messages.append(message)
        if pause.is_due:
            await pause.take()
    is_cut = len(messages) < len(items)
    return Page(messages, key_of(items[len(messages) - 1]) if is_cut else next_key)


class PageRequest(NamedTuple):
    """The requested page: its size, its list query, and the key after which it begins."""

    size: int
    query: bytes
    after: Key | None


def page_size(requested: int) -> int:
    """The most items of a page; raises InvalidRequest outside 0 to MAX_SIZE."""
    if not 0 <= requested <= MAX_SIZE:
        raise InvalidRequest({"page_size": f"must be 0 to {MAX_SIZE}"})
    return requested or DEFAULT_SIZE


class PageTokens:
    """Writes and reads page tokens with the installation's secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def write(self, key: Key | None, query: bytes) -> str:
        """The token of the page after `key`; empty for None, which follows the last page."""
        if key is None:
            return ""
        content = json.dumps(key).encode()
        signed = self._signature(content, query) + content
        return base64.urlsafe_b64encode(signed).decode().rstrip("=")

    def read(self, token: str, query: bytes) -> Key | None:
        """The key of a token for this list query; None for the first page.

        Raises InvalidRequest for any other token.
        """
        if not token:
            return None
        signed = _decode(token)
        content = signed[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signed[:_SIGNATURE_BYTES], self._signature(content, query)):
            raise InvalidRequest({"page_token": "is not of a list with these filters"})
        key: Any = json.loads(content)
        return key[0], key[1]

    def _signature(self, content: bytes, query: bytes) -> bytes:
        digest = hmac.new(self._secret, hashlib.sha256(query).digest() + content, "sha256")
        return digest.digest()[:_SIGNATURE_BYTES]


def _decode(token: str) -> bytes:
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
