"""Estimates of the memory of values, good enough to keep caches within a limit."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

STRING, MAPPING, PAIR, TUPLE, ITEM, OTHER = 56, 64, 100, 56, 8, 32
"""Bytes of each in CPython on 64 bits, without its contents."""

ROW_BYTES = 460
"""About how many bytes a row of a ledger takes in memory."""


def weight(value: object) -> int:
    """The bytes of a value of the catalogue, its contents included."""
    if isinstance(value, str):
        return STRING + len(value) * _bytes_per_character(value)
    if isinstance(value, Mapping):
        return MAPPING + sum(PAIR + weight(key) + weight(item) for key, item in value.items())
    if isinstance(value, tuple):
        return TUPLE + sum(ITEM + weight(item) for item in value)
    if is_dataclass(value):
        return TUPLE + sum(ITEM + weight(getattr(value, field.name)) for field in fields(value))
    return OTHER


def _bytes_per_character(text: str) -> int:
    """How wide CPython keeps all characters of a text, by the widest (PEP 393); latin-1 as 2."""
    if text.isascii():
        return 1
    return 2 if max(text) <= "\uffff" else 4
