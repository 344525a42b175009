"""A gRPC client that uses little processor time: it reads and writes HTTP/2 frames (RFC 9113).

A load generator shares the machine with what it loads, so it must not be the
slower of the two. Requests are literal headers (RFC 7541, section 6.2.2) and one
message; the settings forbid the server a header table (RFC 7541), so that the bytes of
trailers can be searched for grpc-status.
"""

import asyncio
from collections.abc import Callable, Iterable
from struct import Struct
from typing import cast

from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

_HEAD = Struct("!HBBBL")
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_WINDOW = (1 << 31) - 1
_TOP_UP = 1 << 30

UNKNOWN = 2
"""The status of an answer that says none."""

MAX_CALLS = 100
"""How many calls a connection may have at once; Envoy closes one that has more."""

RESET = -1
"""The status of a call whose stream was reset, or whose connection is lost."""

Answered = Callable[[int], None]
"""A callback that gets the grpc-status of a call."""


def header_block(path: str, metadata: Iterable[tuple[str, str]]) -> bytes:
    """The headers of a call, none of which is to be kept in a table."""
    fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "bench"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        *metadata,
    ]
    return b"".join(b"\0" + _string(name) + _string(value) for name, value in fields)


def _string(text: str) -> bytes:
    """A literal without Huffman coding (section 5.2); its length is an integer of 7 bits first."""
    raw = text.encode()
    if len(raw) < 127:
        return bytes((len(raw),)) + raw
    rest, length = len(raw) - 127, b"\x7f"
    while rest >= 128:
        length += bytes((rest % 128 + 128,))
        rest //= 128
    return length + bytes((rest,)) + raw


def _codings(text: str) -> tuple[bytes, bytes]:
    """A literal of less than 127 octets without and with Huffman coding."""
    coded = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH).encode(text.encode())
    return _string(text), bytes((128 | len(coded),)) + coded


_STATUS_NAMES = _codings("grpc-status")
_STATUSES = {coding: status for status in range(17) for coding in _codings(str(status))}


def message(request: bytes) -> bytes:
    """A message with gRPC's prefix: not compressed, and its length."""
    return b"\0" + len(request).to_bytes(4, "big") + request


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    size = len(payload)
    return _HEAD.pack(size >> 8, size & 255, kind, flags, stream) + payload


class Connection(asyncio.Protocol):
    """A connection with any number of calls at once; it is `quiet` while there are none."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._calls: dict[int, Answered] = {}
        self.quiet = asyncio.Event()
        self.quiet.set()
        self._received, self._unacknowledged = b"", 0
        self._next = 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # One of uvloop's is none of asyncio's class, but does the same.
        self._transport = cast("asyncio.Transport", transport)
        settings = b"".join(
            number.to_bytes(2, "big") + value.to_bytes(4, "big")
            for number, value in ((1, 0), (2, 0), (4, _WINDOW))
        )
        window = (_WINDOW - 65_535).to_bytes(4, "big")
        self._transport.write(
            _PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, window)
        )

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        for stream in tuple(self._calls):
            self._end(stream, RESET)

    @property
    def is_free(self) -> bool:
        """Whether it is open and may have another call."""
        if self._transport is None or self._transport.is_closing():
            return False
        return len(self._calls) < MAX_CALLS

    def close(self) -> None:
        """Close the connection; calls under way get RESET."""
        if self._transport:
            self._transport.close()

    def call(self, headers: bytes, body: bytes, answered: Answered) -> None:
        """Send a call of a `header_block` and a `message`."""
        assert self._transport
        if self._transport.is_closing():
            answered(RESET)
            return
        stream, self._next = self._next, self._next + 2
        self._calls[stream] = answered
        self.quiet.clear()
        self._transport.write(
            _frame(_HEADERS, _END_HEADERS, stream, headers)
            + _frame(_DATA, _END_STREAM, stream, body)
        )

    def data_received(self, data: bytes) -> None:
        data = self._received + data
        begin = 0
        while len(data) - begin >= 9:
            high, low, kind, flags, stream = _HEAD.unpack_from(data, begin)
            end = begin + 9 + (high << 8 | low)
            if len(data) < end:
                break
            self._take(kind, flags, stream, data[begin + 9 : end])
            begin = end
        self._received = data[begin:]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _HEADERS and flags & _END_STREAM:
            self._end(stream, _status(payload))
        elif kind == _DATA:
            self._acknowledge(len(payload))
        elif kind == _RST_STREAM:
            self._end(stream, RESET)
        elif kind in (_SETTINGS, _PING) and not flags & _ACK:
            assert self._transport
            self._transport.write(_frame(kind, _ACK, 0, payload if kind == _PING else b""))

    def _acknowledge(self, size: int) -> None:
        """Let the server send on once much of the connection's window is used."""
        self._unacknowledged += size
        if self._unacknowledged >= _TOP_UP:
            assert self._transport
            more = self._unacknowledged.to_bytes(4, "big")
            self._transport.write(_frame(_WINDOW_UPDATE, 0, 0, more))
            self._unacknowledged = 0

    def _end(self, stream: int, status: int) -> None:
        if answered := self._calls.pop(stream, None):
            answered(status)
        if not self._calls:
            self.quiet.set()


def _status(trailers: bytes) -> int:
    """The grpc-status in a block of literal headers, of which Envoy's have Huffman coding."""
    for name in _STATUS_NAMES:
        if (index := trailers.find(name)) >= 0:
            value = index + len(name)
            return _STATUSES[trailers[value : value + 1 + (trailers[value] & 127)]]
    return UNKNOWN


async def connect(port: int, count: int) -> list[Connection]:
    """So many connections to a port of this machine."""
    return [await connect_from(None, port) for _ in range(count)]


async def connect_from(address: str | None, port: int) -> Connection:
    """A connection from an address of this machine; None: the usual one."""
    loop, source = asyncio.get_running_loop(), (address, 0) if address else None
    _, made = await loop.create_connection(Connection, "127.0.0.1", port, local_addr=source)
    return made
