"""Timestamps, durations, numbers, booleans and UTF-8: the functions of `lua/formats.lua`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..support.profiles import examples
from .lua_scripts import run_scripts

LUA = run_scripts("FORMATS", "is_utf8")

TIMESTAMPS = {
    "2026-02-20T10:00:00Z": True,
    "0000-00-00T00:00:00Z": True,  # which days there are, the transcoder knows
    "2026-02-20T23:59:59Z": True,
    "2026-02-20T10:00:00.1Z": True,
    "2026-02-20T10:00:00.123456789Z": True,
    "2026-02-20T10:00:00+00:00": True,
    "2026-02-20T10:00:00-23:59": True,
    "2026-02-20T10:00:00.5+05:30": True,
    "": False,
    "2026-02-20": False,
    "2026-02-20T10:00:00": False,
    "2026-02-20T10:00Z": False,
    "2026-02-20T24:00:00Z": False,
    "2026-02-20T10:60:00Z": False,
    "2026-02-20T10:00:60Z": False,
    "2026-02-20T10:00:00.Z": False,
    "2026-02-20T10:00:00.1234567890Z": False,
    "2026-02-20T10:00:00,5Z": False,
    "2026-02-20T10:00:00+24:00": False,
    "2026-02-20T10:00:00+01:60": False,
    "2026-02-20T10:00:00+0100": False,
    "2026-02-20T10:00:00+1:00": False,
    "2026-02-20T10:00:00Z+01:00": False,
    "2026-02-20T10:00:00ZZ": False,
    "2026-02-20t10:00:00z": False,
    "2026-02-20 10:00:00Z": False,
    "2026-2-20T10:00:00Z": False,
    "02026-02-20T10:00:00Z": False,
    "-2026-02-20T10:00:00Z": False,
    " 2026-02-20T10:00:00Z": False,
    "2026-02-20T10:00:00Z\n": False,
    "٢٠٢٦-02-20T10:00:00Z": False,
}

WHOLE_NUMBERS = {
    **dict.fromkeys(("0", "-0", "7", "-7", "10", "9" * 30), True),
    **dict.fromkeys(
        ("", "-", "+1", "01", "-01", "00", "1.0", "1e3", "0x1", " 1", "1 ", "1_0"), False
    ),
}

DURATIONS = {
    **dict.fromkeys(("0s", "-0s", "1800s", "-1800s", "1.5s", "-0.5s", "0.123456789s"), True),
    **dict.fromkeys(("", "s", "-s", "1800", "1800 s", " 1s", "1s ", "1ss", "1S", "1m"), False),
    **dict.fromkeys(("1.s", ".5s", "1.5.5s", "1.-5s", "1e3s", "+1s", "01s", "-01s"), False),
    "0.1234567890s": False,
}

BOOLEANS = {
    **dict.fromkeys(("true", "false"), True),
    **dict.fromkeys(("", "t", "f", "yes", "no", "1", "0", "TRUE", "True", " true", "true "), False),
}

ALL = {
    "timestamp": TIMESTAMPS,
    "duration": DURATIONS,
    "int32": WHOLE_NUMBERS,
    "int64": WHOLE_NUMBERS,
    "bool": BOOLEANS,
}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [(name, *row) for name, table in ALL.items() for row in table.items()],
)
def test_a_text_is_of_a_format_or_not(name: str, text: str, expected: bool) -> None:
    assert LUA.FORMATS[name](text) is expected


BOUNDARIES = (
    0,
    0x7F,
    0x80,
    0x7FF,
    0x800,
    0xFFF,
    0xD7FF,
    0xE000,
    0xFFFF,
    0x10000,
    0x3FFFF,
    0x10FFFF,
)


@pytest.mark.parametrize("code", BOUNDARIES)
def test_the_first_and_last_characters_of_each_length_are_utf8(code: int) -> None:
    assert LUA.is_utf8(f"a{chr(code)}b".encode())


@pytest.mark.parametrize(
    "data",
    [
        *(b"\x80", b"\xbf", b"\xfe", b"\xff", b"a\xc3", b"\xc3(", b"\xe2\x82", b"\xf0\x9f\x98"),
        *(b"\xc0\x80", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf"),  # overlong
        *(b"\xed\xa0\x80", b"\xed\xbf\xbf"),  # surrogates
        *(b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80"),  # beyond U+10FFFF
    ],
)
def test_what_is_not_utf8_is_seen_anywhere_in_a_text(data: bytes) -> None:
    for text in (data, b"ab" + data, data + "\u00e9".encode()):
        assert not LUA.is_utf8(text)


@examples(50)
@given(
    st.lists(st.sampled_from([*b"a\x7f\x80\x8f\x9f\xa0\xbf\xc2\xe0\xed\xef\xf0\xf4"]), max_size=6)
)
def test_utf8_is_what_python_reads_as_utf8(data: list[int]) -> None:
    try:
        bytes(data).decode()
    except UnicodeDecodeError:
        assert not LUA.is_utf8(bytes(data))
    else:
        assert LUA.is_utf8(bytes(data))
