"""Estimates of memory, against what CPython says of each part."""

import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

import pytest

from zimun.domain.memory_size import weight

from .build import CONTACT, every_day, member, organization, service

VALUES: tuple[object, ...] = (
    7,
    "",
    "Grace",
    "Zürich 🧑",
    (),
    ("t_1", "t_2"),
    {},
    {"k": "v", "other": ("a", 1)},
    CONTACT,
    member(weekly_hours=every_day(((540, 720), (780, 1020)))),
    service(staff_ids=tuple(f"t_{n}" for n in range(100)), resource_requirements=(("r_1",),)),
    organization(metadata={f"key {n}": "value" * n for n in range(30)}),
    "x" * 999 + "€",
    organization(metadata={"k": "x" * 999 + "🧑"}),
)


def bytes_of(value: object) -> int:
    """What CPython says, each part counted wherever it is."""
    own = sys.getsizeof(value)
    if isinstance(value, Mapping):
        return own + sum(bytes_of(key) + bytes_of(item) for key, item in value.items())
    if isinstance(value, tuple):
        return own + sum(map(bytes_of, value))
    if is_dataclass(value):
        return own + sum(bytes_of(getattr(value, field.name)) for field in fields(value))
    return own


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_weight_is_about_what_cpython_takes(value: object) -> None:
    assert 0.6 * bytes_of(value) <= weight(value) <= 1.5 * bytes_of(value)


def test_weight_of_a_container_is_more_than_that_of_what_it_has() -> None:
    long, short = "x" * 1000, "x"
    assert weight(long) - weight(short) == 999
    for one, other in (((long,), (short,)), ({"k": long}, {"k": short}), ({long: 1}, {short: 1})):
        assert weight(one) - weight(other) == 999
    assert weight(service(name=long)) - weight(service(name=short)) == 999
