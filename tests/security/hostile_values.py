"""Values that break programs which trust their input: as JSON, and as fields of a message."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message

TEXTS = (
    "",
    " ",
    "\t\r\n",
    "\0",
    "a\0b",
    "\x01\x1b[2J\x7f",
    "\x80\x9f",
    "\u202eabc\u202c",
    "\u2066abc\u2069",
    "\u200b\ufeff",
    "\ufffe\uffff",
    "e\u0301" * 40,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 10,
    "a" * 65,
    "a" * 255,
    "a" * 2_001,
    "\u4e2d" * 5_000,
    "a" * 100_000,
    "@" * 1_000,
    "a@" + "b." * 500 + "c",
    "a" * 300 + "@example.com",
    '"' * 60,
    "\\" * 60,
    "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "/api/v1/services/../staff",
    "'; DROP TABLE ledgers; --",
    "' OR '1'='1",
    "${jndi:ldap://127.0.0.1/a}",
    "{{7*7}}%s%n%x",
    "<script>alert(1)</script>",
    "null",
    "None",
    "NaN",
    "true",
    "0",
    "-1",
    "9" * 400,
    "1e309",
    "0x7fffffff",
    "0000-00-00",
    "0001-01-01",
    "1970-12-31",
    "2026-02-30",
    "2026-2-3",
    "9999-12-31",
    "10000-01-01",
    "24:01",
    "23:59:60",
    "0000-01-01T00:00:00Z",
    "1969-12-31T23:59:59Z",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:60Z",
    "2026-02-20T10:00:00",
    "2026-02-20T10:00:00.Z",
    "2026-02-20T10:00:00+99:99",
    "2026-02-20T10:00:00.1234567891Z",
    "02026-02-20T10:00:00Z",
    "2026-02-20t10:00:00z",
    "0s",
    "-1s",
    "1s1s",
    "+1800s",
    " 1800s",
    "1e3s",
    "0.0000001s",
    "315576000001s",
    "9" * 30 + "s",
    "Etc/../UTC",
    "/etc/passwd",
    "posixrules",
    "UTC\n",
    "\u212a",
    "\u0660\u0661",
    "FREQ=SECONDLY;COUNT=1000",
    "FREQ=DAILY",
    "FREQ=DAILY;COUNT=999999999999999999999",
    "FREQ=DAILY;COUNT=1000;BYHOUR=0,1,2,3;BYSETPOS=1",
    "FREQ=DAILY;UNTIL=99991231T235959Z",
    "FREQ=DAILY;INTERVAL=0;COUNT=2",
    "FREQ=YEARLY;BYMONTH=13,99;COUNT=2",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=2",
    "RRULE:FREQ=DAILY;COUNT=2\nEXDATE:20260220T100000Z",
)
"""Texts that are invalid nearly everywhere, each in another way."""

NUMBERS = (0, -0.0, 0.5, -1, 1e-320, 1e308, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**53 + 1)

HUGE_NUMBERS = (2**63, -(2**63) - 1, 2**64, 10**400)

CONTAINERS: tuple[Any, ...] = (
    None,
    True,
    False,
    [],
    [[]],
    [None],
    [{}],
    ["a", 1],
    ["a"] * 1_001,
    {},
    {"": ""},
    {"a": 1},
    {"a": {"a": {"a": []}}},
    {"@type": "type.googleapis.com/google.protobuf.Any"},
    {"seconds": 1},
    {f"k{number}": "v" for number in range(60)},
    {"k" * 65: "v"},
    {"k": "v" * 1_001},
)


def json_values() -> list[Any]:
    """Every hostile value of JSON; most are of a wrong type wherever they stand."""
    return [*TEXTS, "\ud800", *NUMBERS, *HUGE_NUMBERS, *CONTAINERS]


INT32 = (0, -1, 1_001, 2**31 - 1, -(2**31))
INT64 = (0, -1, 2**63 - 1, -(2**63))
SECONDS = (0, -1, -62_135_596_801, 253_402_300_800, 2**63 - 1, -(2**63), 31_535_999)
NANOS = (0, -1, 1, 999, 999_999_999, 1_000_000_000, 2**31 - 1, -(2**31))


def messages(valid: Message) -> Iterator[tuple[str, Message]]:
    """Copies of a message with one hostile value each, in fields that it has set and in others.

    Each comes with the field's path, `weekly_hours.start_time` for one of a list's elements.
    """
    for field in valid.DESCRIPTOR.fields:
        for value in _values(field):
            yield field.name, _with_field(valid, field, value)
        if field.message_type and not field.message_type.GetOptions().map_entry:
            yield from _inside(valid, field)


def _inside(valid: Message, field: Any) -> Iterator[tuple[str, Message]]:
    inner = getattr(valid, field.name)
    if field.is_repeated and not inner:
        return
    for path, changed in messages(inner[0] if field.is_repeated else inner):
        yield f"{field.name}.{path}", _with_field(valid, field, changed)


def _with_field(valid: Message, field: Any, value: Any) -> Message:
    """A copy of a message with a field that is a value; a list's first element."""
    copy = type(valid)()
    copy.CopyFrom(valid)
    if not field.is_repeated:
        if field.message_type:
            getattr(copy, field.name).CopyFrom(value)
        else:
            setattr(copy, field.name, value)
    elif isinstance(value, dict):
        getattr(copy, field.name).update(value)
    else:
        copy.ClearField(field.name)
        elements = value if isinstance(value, list) else [value]
        getattr(copy, field.name).extend(elements)
    return copy


def _values(field: Any) -> Iterator[Any]:
    if field.message_type and field.message_type.GetOptions().map_entry:
        yield from ({"": ""}, {"k" * 65: ""}, {"k": "v" * 1_001}, {"\0": "\u202e"})
        yield {f"k{number}": "v" for number in range(51)}
    elif field.type == field.TYPE_STRING:
        yield from TEXTS
        if field.is_repeated:
            yield [*TEXTS[:10]]
            yield ["a"] * 10_000
    elif field.enum_type:
        yield from (-1, 99, 2**31 - 1, -(2**31))
    elif field.type == field.TYPE_INT32:
        yield from NANOS if field.name == "nanos" else INT32
    elif field.type == field.TYPE_INT64:
        yield from SECONDS if field.name == "seconds" else INT64
