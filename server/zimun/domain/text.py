"""What a text of one line or of several lines may contain.

No control characters (Cc), which forge headers of mails and lines of logs, and none of the
embeddings, overrides and isolates that reorder what is beside them (UAX #9, 2). Marks, joiners and
everything else that scripts need are allowed.
"""

import re
import unicodedata

_REORDERING = "\u202a-\u202e\u2066-\u2069"

_NOT_IN_LINES = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_REORDERING}]")
"""Tabs and the ends of lines are allowed."""

_NOT_IN_A_LINE = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029{_REORDERING}\ud800-\udfff]")
"""Surrogates are what Python has for bytes that are not UTF-8 (PEP 383)."""

_BLANK_SYMBOLS = "\u115f\u1160\u2800\u3164\uffa0"
"""Fillers and an empty Braille pattern: they count as letters and symbols, and show nothing."""


def check_line(text: str) -> str:
    """What is wrong with a text of one line, which must show something; empty for nothing."""
    if match := _NOT_IN_A_LINE.search(text):
        return _refused(match)
    return "" if is_visible(text) else "must not be blank"


def check_lines(text: str) -> str:
    """What is wrong with a text of several lines, which may be blank; empty for nothing."""
    match = _NOT_IN_LINES.search(text)
    return _refused(match) if match else ""


def check_key(text: str) -> str:
    """What is wrong with a key, which is a line that may be blank; empty for nothing."""
    match = _NOT_IN_A_LINE.search(text)
    return _refused(match) if match else ""


def is_visible(text: str) -> bool:
    """Whether a text has a letter, number, punctuation mark or symbol that shows."""
    return any(
        unicodedata.category(character)[0] in "LNPS" and character not in _BLANK_SYMBOLS
        for character in text
    )


def one_line(text: str, length: int) -> str:
    """A text of anyone as a line can quote it: cut, and with what no line may have escaped."""
    cut = text if len(text) <= length else f"{text[:length]}… ({len(text)} characters)"
    return _NOT_IN_A_LINE.sub(lambda match: match[0].encode("unicode_escape").decode(), cut)


def _refused(match: re.Match[str]) -> str:
    return f"must not have the character U+{ord(match.group()):04X}"
