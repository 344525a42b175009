"""Page tokens: the key after which a page begins, sealed against tampering (AIP-158).

A token holds the key and a keyed hash (HMAC, RFC 2104) over it and over the
list request it belongs to, so that it works for the same caller, method and
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

_SEAL = 16

MAX_PAGE = 4_000_000
"""Bytes of the items of a page, a little below the default limit of gRPC clients (4 MiB)."""

T = TypeVar("T")
M = TypeVar("M", bound=Message)


def messages_within_limit(messages: Iterable[M]) -> Iterator[M]:
    """The first messages, at least one where there is one, that fit into a page."""
    size = 0
    for number, message in enumerate(messages):
        size += message.ByteSize()
        if number and size > MAX_PAGE:
            return
        yield message


class Page(NamedTuple, Generic[M]):
    """The items of a page, and the key after which the next one begins; None on the last."""

    items: list[M]
    next_key: Key | None


async def write_page(
    items: Sequence[T],
    next_key: Key | None,
    write: Callable[[T], M],
    key_of: Callable[[T], Key],
) -> Page[M]:
    """Write items as the messages of a page, which has fewer where it would be too large."""
    messages, pause = [], Pause()
    for message in messages_within_limit(map(write, items)):
        messages.append(message)
        if pause.is_due:
            await pause.take()
    is_cut = len(messages) < len(items)
    return Page(messages, key_of(items[len(messages) - 1]) if is_cut else next_key)


class PageRequest(NamedTuple):
    """The requested page: its size, the scope of its tokens, and the key before it."""

    size: int
    scope: bytes
    after: Key | None


def page_size(requested: int) -> int:
    """How many items a page has; raises InvalidRequest outside 0 to MAX_SIZE."""
    if not 0 <= requested <= MAX_SIZE:
        raise InvalidRequest({"page_size": f"must be 0 to {MAX_SIZE}"})
    return requested or DEFAULT_SIZE


class PageTokens:
    """Writes and reads page tokens with the installation's secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def write(self, key: Key | None, scope: bytes) -> str:
        """The token of the page after `key`; empty where there is none."""
        if key is None:
            return ""
        content = json.dumps(key).encode()
        sealed = self._seal(content, scope) + content
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def read(self, token: str, scope: bytes) -> Key | None:
        """The key that a token of the same scope holds, None for the first page.

        Raises InvalidRequest for any other token.
        """
        if not token:
            return None
        sealed = _decode(token)
        content = sealed[_SEAL:]
        if not hmac.compare_digest(sealed[:_SEAL], self._seal(content, scope)):
            raise InvalidRequest({"page_token": "is not of a list with these filters"})
        key: Any = json.loads(content)
        return key[0], key[1]

    def _seal(self, content: bytes, scope: bytes) -> bytes:
        digest = hmac.new(self._secret, hashlib.sha256(scope).digest() + content, "sha256")
        return digest.digest()[:_SEAL]


def _decode(token: str) -> bytes:
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
