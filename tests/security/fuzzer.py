"""Random, mutated and hostile messages for every method, and the ways in which they are sent."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from .hostile_values import INT32, INT64, NANOS, SECONDS, TEXTS
from .methods import METHODS, Method
from .valid_requests import Ids, valid_request

POOL = [f"x_{number}" for number in range(8)]
"""The ids of what is created, so that the data stays bounded."""

VALID_TEXTS = (
    "2025-12-15",
    "2025-12-16",
    "Europe/Berlin",
    "UTC",
    "09:00",
    "17:00",
    "DE-BY",
    "EUR",
    "Dana Lee",
    "dana@example.com",
    "1",
    "name",
    "*",
    "FREQ=DAILY;COUNT=1000",
    "FREQ=WEEKLY;BYDAY=MO,WE;UNTIL=20301231T235959Z",
    "FREQ=MONTHLY;BYDAY=1MO,-1FR;INTERVAL=2;COUNT=20",
    "FREQ=YEARLY;BYMONTH=2,12;BYMONTHDAY=15,29,-1;COUNT=5",
)

MONDAY = 1_765_789_200
"""2025-12-15T09:00:00Z, in seconds."""

MAX_LIST = 300
"""Elements of a long list."""

HOW = ("call", "cancel", "deadline", "no message", "two messages", "metadata")
"""The ways in which a message is sent."""

HOW_OFTEN = (80, 4, 4, 2, 3, 7)


@dataclass(frozen=True)
class Attempt:
    """One message: for which method, and how it is sent."""

    method: Method
    message: bytes
    how: str
    metadata: Sequence[tuple[str, str | bytes]]


class Fuzzer:
    """Makes attempts, the same ones from the same seed."""

    def __init__(self, rng: random.Random, ids: Ids) -> None:
        self._rng = rng
        self._texts = [*ids.values(), *POOL, *VALID_TEXTS]
        self._valid = {
            name: json_format.ParseDict(valid_request(name, ids), method.request())
            for name, method in METHODS.items()
        }
        self._methods = list(METHODS.values())

    def attempt(self) -> Attempt:
        """The next attempt."""
        method = self._rng.choice(self._methods)
        make = self._rng.choice((self._random, self._changed, self._mutated, self._garbage))
        message = make(method)
        [how] = self._rng.choices(HOW, HOW_OFTEN)
        metadata = self._metadata() if how == "metadata" else ()
        return Attempt(method, message, how, metadata)

    def _random(self, method: Method) -> bytes:
        return _bounded(self._message(method.request, self._rng.choice((0.2, 0.6, 0.95))))

    def _changed(self, method: Method) -> bytes:
        """A valid message with another value in one field, at any depth."""
        message = type(self._valid[method.name])()
        message.CopyFrom(self._valid[method.name])
        inner = self._descend(message)
        fields = inner.DESCRIPTOR.fields
        if fields:
            field = self._rng.choice(fields)
            inner.ClearField(field.name)
            self._fill(inner, field)
        return _bounded(message)

    def _descend(self, message: Any) -> Any:
        """The message, or one of those in it."""
        inside = [
            value[0] if field.is_repeated else value
            for field, value in message.ListFields()
            if field.message_type and not field.message_type.GetOptions().map_entry
        ]
        if inside and self._rng.random() < 0.7:
            return self._descend(self._rng.choice(inside))
        return message

    def _mutated(self, method: Method) -> bytes:
        """The bytes of a valid message, edited."""
        data = bytearray(self._valid[method.name].SerializeToString())
        for _ in range(self._rng.randint(1, 6)):
            self._rng.choice(_EDITS)(self._rng, data)
        return bytes(data)

    def _garbage(self, _: Method) -> bytes:
        return _garbage(self._rng)

    def _message(self, kind: type[Message], likely: float, depth: int = 0) -> Message:
        message = kind()
        for field in message.DESCRIPTOR.fields:
            if self._rng.random() < likely and depth < 6:
                self._fill(message, field, likely, depth)
        return message

    def _fill(self, message: Any, field: Any, likely: float = 0.5, depth: int = 0) -> None:
        """Give a field a random value, or a list of them."""
        if field.message_type and field.message_type.GetOptions().map_entry:
            getattr(message, field.name).update({self._text(): self._text() for _ in range(3)})
        elif field.is_repeated:
            number = MAX_LIST if self._rng.random() < 0.01 else self._rng.randint(0, 3)
            values = [self._value(field, likely, depth) for _ in range(number)]
            getattr(message, field.name).extend(values)
        elif field.message_type:
            getattr(message, field.name).CopyFrom(self._value(field, likely, depth))
        else:
            setattr(message, field.name, self._value(field, likely, depth))

    def _value(self, field: Any, likely: float, depth: int) -> Any:
        if field.message_type:
            return self._message(field.message_type._concrete_class, likely, depth + 1)
        if field.enum_type:
            return self._rng.choice([*field.enum_type.values_by_number, -1, 99, 2**31 - 1])
        if field.type == field.TYPE_STRING:
            return self._rng.choice(POOL) if field.name == "id" else self._text()
        if field.type == field.TYPE_BOOL:
            return self._rng.random() < 0.5
        return self._number(field)

    def _number(self, field: Any) -> Any:
        if field.name == "nanos":
            return self._rng.choice((0, 0, 0, *NANOS))
        if field.name == "seconds":
            near = MONDAY + 1800 * self._rng.randrange(400)
            return self._rng.choice((near, near, 1800, 3600, *SECONDS))
        bounds = INT32 if field.type == field.TYPE_INT32 else INT64
        return self._rng.choice((1, 2, self._rng.randrange(-1000, 1000), *bounds))

    def _text(self) -> str:
        if self._rng.random() < 0.6:
            text = self._rng.choice(self._texts)
            return text if self._rng.random() < 0.9 else self._edited(text)
        return self._rng.choice(TEXTS)

    def _edited(self, text: str) -> str:
        """A valid text with a character more, fewer or other."""
        at = self._rng.randrange(len(text))
        character = self._rng.choice("0129-+,;=:TZ_ aé")
        return text[:at] + self._rng.choice(("", character)) + text[at + self._rng.randrange(2) :]

    def _metadata(self) -> Sequence[tuple[str, str | bytes]]:
        """Headers that gRPC clients may send: huge, many, binary, of names that are ours."""
        size = self._rng.choice((10, 1_000, 6_000))
        return self._rng.choice(
            (
                (("idempotency-key", "k" * size),),
                (("idempotency-key", "k"), ("idempotency-key", "l")),
                (("idempotency-key", self._rng.choice(("'", '"', "~" * 255))),),
                (("x-padding", "p" * size),),
                tuple((f"x-{number}", "v") for number in range(60)),
                (("x-trace-bin", self._rng.randbytes(size)),),
                (("authorization", "Bearer x"),),
                (("x-request-id", "r" * size), ("traceparent", "00-" + "f" * size)),
            )
        )


def _bounded(message: Message) -> bytes:
    """The bytes of a message, cut at the largest size that the server accepts."""
    return message.SerializeToString()[: 1 << 20]


def _garbage(rng: random.Random) -> bytes:
    """Bytes that are rarely a message: noise, and input that is costly to decode."""
    return rng.choice(
        (
            lambda: rng.randbytes(rng.randrange(200)),
            lambda: b"\x0a" * rng.randrange(1, 5_000),
            lambda: b"\x0b" * rng.randrange(1, 5_000),
            lambda: b"\xff" * rng.randrange(1, 50),
            lambda: b"\x0a\xff\xff\xff\xff\x0f" + rng.randbytes(5),
            lambda: b"\x0a\x04\xff\xfe\xc3\x28" * rng.randrange(1, 50),
            lambda: b"".join(b"\xfa\xff\x01\x01a" for _ in range(rng.randrange(2_000))),
            lambda: _nested(rng.randrange(1, 2_000)),
        )
    )()


def _nested(depth: int) -> bytes:
    """A message in field 1 of a message in field 1 and so on, as far as one byte of length goes."""
    data = b""
    for _ in range(depth):
        data = b"\x0a" + _varint(len(data)) + data
    return data


def _varint(number: int) -> bytes:
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    return bytes([*data, number])


def _flip(rng: random.Random, data: bytearray) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _cut(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _delete(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    del data[at : at + rng.randint(1, 8)]


def _insert(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.randint(1, 8))


def _repeat(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = data[at : at + rng.randint(1, 64)] * rng.randint(1, 20)


_EDITS: Sequence[Callable[[random.Random, bytearray], None]] = (
    _flip,
    _cut,
    _delete,
    _insert,
    _repeat,
)
