"""A token is accepted by the methods whose scope it has, and by no others."""

from collections.abc import Iterator
from itertools import chain, combinations
from typing import Any

import pytest

from zimun.v1 import options_pb2

from .attacks import AttackCounter
from .entry_points import Answer, EntryPoint
from .forgeries import bearer, sign
from .methods import METHODS, Method
from .target import ALL_SCOPES, SCOPES, Target, encode_part
from .valid_requests import DEMO_IDS, valid_request

pytestmark = pytest.mark.one_store

NO_IDS = dict.fromkeys(DEMO_IDS, "x_none")
"""Ids of nothing, so that no request changes anything."""

SCOPE_MISSING = ("PERMISSION_DENIED", "SCOPE_MISSING")

MALFORMED_SCOPES: tuple[Any, ...] = (
    "*",
    "org:*",
    "org",
    "all",
    "ORG:READ ORG:WRITE APPOINTMENTS:WRITE",
    "org:read,org:write,appointments:write",
    "org:read;org:write",
    "org:readorg:write",
    "org:rea\0d",
    "org:read\u200b",
    {"org:write": True},
    [["org:read", "org:write"]],
    True,
    5,
    None,
)
"""Values of the claim `scope` that grant nothing."""


def every_combination() -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(SCOPES, size) for size in range(len(SCOPES) + 1))


def fields_with_a_scope() -> Iterator[tuple[Method, str, str]]:
    option: Any = options_pb2.field_scope
    for method in METHODS.values():
        for field in method.request.DESCRIPTOR.fields:
            if scope := field.GetOptions().Extensions[option]:
                yield method, field.name, scope


def is_open(answer: Answer) -> bool:
    """Whether a request was taken; an empty one may well be malformed."""
    assert answer.code in ("OK", "INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED"), answer
    return (answer.code, answer.reason) != SCOPE_MISSING


@pytest.mark.parametrize("way", ["json", "grpc"])
def test_a_method_is_open_to_its_scope_alone(
    target: Target, entry_points: dict[str, EntryPoint], way: str, attacks: AttackCounter
) -> None:
    for scopes in every_combination():
        headers = bearer(target.token(scopes=scopes))
        for method in METHODS.values():
            answer = entry_points[way].call(method, {}, headers)
            expected = method.scope in scopes
            assert is_open(answer) == expected, (method.name, scopes, answer)
            attacks.count("scope, combination", "answered" if expected else "refused")


@pytest.mark.parametrize("way", ["json", "grpc"])
def test_a_field_with_a_scope_is_open_to_that_scope_alone(
    target: Target, entry_points: dict[str, EntryPoint], way: str, attacks: AttackCounter
) -> None:
    scoped = [*fields_with_a_scope()]
    assert len(scoped) >= 4
    for method, field, scope in scoped:
        request = valid_request(method.name, NO_IDS)
        for scopes in (ALL_SCOPES, [one for one in ALL_SCOPES if one != scope]):
            headers = bearer(target.token(scopes=scopes))
            answer = entry_points[way].call(method, request, headers)
            assert is_open(answer) == (scope in scopes), (method.name, scopes, answer)
            without = {name: value for name, value in request.items() if name != field}
            assert is_open(entry_points[way].call(method, without, headers)), method.name
            attacks.count("scope, field", "answered" if scope in scopes else "refused")


@pytest.mark.parametrize("way", ["json", "grpc"])
@pytest.mark.parametrize("claim", ["scope", "scp", "scopes", "permissions"])
def test_a_malformed_scope_opens_nothing(
    target: Target,
    entry_points: dict[str, EntryPoint],
    way: str,
    claim: str,
    attacks: AttackCounter,
) -> None:
    for value in MALFORMED_SCOPES:
        claims = {**target.claims(), "scope": None, claim: value}
        present = {name: given for name, given in claims.items() if given is not None}
        token = sign(encode_part(target.header()), encode_part(present), target.signing_key)
        for name in ("ListServices", "GetAvailability", "CreateService", "HoldAppointment"):
            answer = entry_points[way].call(METHODS[name], {}, bearer(token))
            assert (answer.code, answer.reason) == SCOPE_MISSING, (value, answer)
            attacks.count("scope, malformed")
