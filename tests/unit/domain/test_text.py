"""What texts may contain, against Unicode's own words for the characters."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zimun.domain.text import check_key, check_line, check_lines, is_visible, one_line

REORDERING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Bidirectional classes of characters that reorder others (UAX #9, table 4)."""

SPECIAL = "\t\n\r\x00\x1b\x7f\x85\u2028\u2029\u202e\u2066\u200f\u200d\u00a0\u3164 a"
TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from(SPECIAL), max_size=8)


def refused(text: str, allowed: str) -> set[str]:
    return {
        character
        for character in text
        if character not in allowed
        and (
            unicodedata.category(character) in ("Cc", "Zl", "Zp")
            or unicodedata.bidirectional(character) in REORDERING
        )
    }


@given(TEXTS)
def test_a_line_has_no_control_or_reordering_character_and_is_visible(text: str) -> None:
    violation = check_line(text)
    if forbidden := refused(text, allowed=""):
        assert violation in {f"must not have the character U+{ord(c):04X}" for c in forbidden}
        assert check_key(text) == violation
    else:
        assert violation == ("" if is_visible(text) else "must not be blank")
        assert check_key(text) == ""


@given(TEXTS)
def test_several_lines_have_tabs_and_ends_of_lines_besides(text: str) -> None:
    forbidden = refused(text, allowed="\t\n\r\u2028\u2029")
    expected = {f"must not have the character U+{ord(c):04X}" for c in forbidden} or {""}
    assert check_lines(text) in expected


@pytest.mark.parametrize("text", ["Jörg", "李雷", "🧑‍🤝‍🧑", "ע\u200fב", "नमस्ते", "O'Neil, Jr.", "7"])
def test_names_of_every_script_are_lines(text: str) -> None:
    assert check_line(text) == ""


@pytest.mark.parametrize("text", [" ", "\u00a0\u2003", "\u200b\ufeff", "\u3164", "\u2800"])
def test_what_shows_nothing_is_blank(text: str) -> None:
    assert check_line(text) == "must not be blank"


def test_quoted_line_is_cut_and_escapes_what_no_line_may_have() -> None:
    assert one_line("Grace", 5) == "Grace"
    assert one_line("Grace!", 5) == "Grace… (6 characters)"
    assert one_line("a\nb\u202ec\udcff", 9) == "a\\nb\\u202ec\\udcff"
