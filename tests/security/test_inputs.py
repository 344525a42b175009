"""Hostile values in every field of every request: an error that names the field, no failure."""

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import json_format

from .attacks import AttackCounter, cases, seeded
from .entry_points import Answer, GrpcEntryPoint, Headers, JsonEntryPoint, read_json
from .forgeries import bearer
from .hostile_values import TEXTS, json_values, messages
from .methods import METHODS, HttpRequest, Method
from .target import TESTER, Target
from .valid_requests import Ids, Place, replaced, valid_request

CODES = {
    "OK",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "FAILED_PRECONDITION",
    "ABORTED",
    "ALREADY_EXISTS",
}
"""Codes that a request may be answered with, whatever its fields."""

MAX_QUOTED = 10_000
"""Bytes of a value that Envoy's answer may quote and still be rewritten to name the field."""

MAX_URL = 7_000
"""Characters of a URL that Envoy always takes."""

NAMED_BY_ANOTHER = {
    ("GetAvailability", "days_ahead"): "date",
    ("GetAvailability", "start_date"): "date",
    ("GetAvailability", "end_date"): "date",
}
"""Fields of which one alone may be given, by the name under which that is said."""

JSON_METHODS = [method for method in METHODS.values() if method.body_field]


@pytest.fixture(scope="module")
def own(target: Target) -> Headers:
    return bearer(target.token(TESTER))


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """The path of every value in a request, but for the request itself."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        yield (*at, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*at, key))


def check(method: Method, path: str, answer: Answer) -> str:
    """What is wrong with an answer to a hostile value of the field at a path, or nothing."""
    if answer.code not in CODES:
        return "a failure"
    if answer.code != "INVALID_ARGUMENT" or f"{path}: " in answer.text:
        return ""
    if f"{{{path}}}" in method.url_template and answer.reason == "REQUEST_REFUSED":
        return ""  # A path with such a segment is refused as a whole.
    named = [re.sub(r"\[[^\]]*\]", "", field) for field in answer.fields]
    expected = path.removeprefix(f"{method.body_field}.")
    known = (expected, NAMED_BY_ANOTHER.get((method.name, path), expected))
    related = (f.startswith(k) or k.startswith(f"{f}") for f in named if f for k in known)
    return "" if any(related) or path == method.body_field else "the field is not named"


def is_nameless(value: object) -> bool:
    """Whether Envoy refuses a value in its own words, which may not name the field.

    That is what RFC 8259 lets a parser refuse, half a surrogate pair and numbers beyond a double,
    and what is too long for the answer that quotes it to be rewritten.
    """
    if isinstance(value, str):
        return value == "\ud800" or len(value.encode()) > MAX_QUOTED
    return isinstance(value, int) and abs(value) > 10**300


@pytest.mark.one_store
def test_a_hostile_json_value_is_refused_by_the_name_of_its_field(
    target: Target,
    entry_points: dict[str, JsonEntryPoint],
    tester: Ids,
    own: Headers,
    attacks: AttackCounter,
) -> None:
    rng, wrong = seeded("json values"), []
    for method in JSON_METHODS:
        valid = valid_request(method.name, tester)
        for place in places(valid):
            path = ".".join(key for key in place if isinstance(key, str))
            for value in some(json_values(), rng):
                request = method.to_http(replaced(valid, place, value))
                if len(request.url) > MAX_URL:
                    continue
                answer = read_json(*entry_points["json"].send(request, own))
                attacks.count("input, JSON value", outcome(answer))
                fault = check(method, path, answer)
                if fault and not (is_nameless(value) and answer.code == "INVALID_ARGUMENT"):
                    wrong.append((method.name, path, f"{value!r:.60}", fault, answer.text[:300]))
    assert not wrong


@pytest.mark.one_store
def test_a_hostile_parameter_is_refused_by_its_name(
    target: Target,
    entry_points: dict[str, JsonEntryPoint],
    tester: Ids,
    own: Headers,
    attacks: AttackCounter,
) -> None:
    rng, wrong = seeded("parameters"), []
    for method in METHODS.values():
        valid = {} if method.body_field else valid_request(method.name, tester)
        for name in valid:
            for text in some(TEXTS, rng):
                request = method.to_http({**valid, name: text})
                if len(request.url) > MAX_URL or (
                    "\0" in text and f"{{{name}}}" in method.url_template
                ):
                    continue
                answer = read_json(*entry_points["json"].send(request, own))
                attacks.count("input, parameter", outcome(answer))
                if fault := check(method, name, answer):
                    wrong.append((method.name, name, f"{text!r:.60}", fault, answer.text[:300]))
    assert not wrong


def test_a_hostile_message_is_refused_by_the_name_of_its_field(
    target: Target,
    entry_points: dict[str, GrpcEntryPoint],
    tester: Ids,
    own: Headers,
    attacks: AttackCounter,
) -> None:
    rng, wrong = seeded("messages"), []
    for method in METHODS.values():
        valid = json_format.ParseDict(valid_request(method.name, tester), method.request())
        for path, message in some(list(messages(valid)), rng, 40):
            answer = entry_points["grpc"].send(method, message.SerializeToString(), own)
            attacks.count("input, message", outcome(answer))
            if fault := check(method, path, answer):
                wrong.append((method.name, path, f"{message!s:.60}", fault, answer.text[:300]))
    assert not wrong


@pytest.mark.one_store
def test_a_body_that_is_no_json_of_its_message_is_refused(
    target: Target,
    entry_points: dict[str, JsonEntryPoint],
    tester: Ids,
    own: Headers,
    attacks: AttackCounter,
) -> None:
    for method in JSON_METHODS:
        valid = method.to_http(valid_request(method.name, tester))
        for body in no_messages(json.dumps(valid.body)):
            answer = read_json(
                *entry_points["json"].send(HttpRequest(valid.verb, valid.url, body), own)
            )
            assert answer.code == "INVALID_ARGUMENT", (method.name, body[:60], answer)
            attacks.count("input, body")


def no_messages(text: str) -> Iterator[bytes]:
    """Malformed variants of a JSON object."""
    unknown = '"burnt": 1, '
    yield from (b"[]", b"5", b"true", b'"a"', b"[[", b"{", b"}", b'{"a"}', b"\xff\xfe{\0}\0")
    yield text[:-1].encode()
    yield (text + text).encode()
    yield text.replace("{", "{" + unknown, 1).encode()
    yield text.replace("{", '{"": 1, ', 1).encode()
    yield text.replace(":", ":\0", 1).encode()
    yield text.replace(": ", ": NaN, ", 1).encode()
    yield text.replace(": ", ": Infinity, ", 1).encode()
    yield b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    yield b'{"a": ' * 5_000 + b"1" + b"}" * 5_000


def some(values: Any, rng: random.Random, number: int = 6) -> list[Any]:
    """Some of the values in CI; all of them in the long run."""
    return rng.sample(values, min(cases(number), len(values)))


def outcome(answer: Answer) -> str:
    return "answered" if answer.code == "OK" else "refused"
