"""Data of another organization is answered like data that does not exist."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from ..support.answers import Json
from .attacks import AttackCounter
from .entry_points import Answer, EntryPoint, Headers
from .forgeries import bearer, sign
from .methods import METHODS, Method
from .target import CANARY, TWIN, VICTIM, Target, encode_part
from .valid_requests import DEMO_IDS, Ids, Place, replaced, valid_request

GENERATED = {
    "id",
    "etag",
    "create_time",
    "update_time",
    "expires_at",
    "hold_id",
    "appointment_id",
}
"""Fields that differ in every answer."""

KINDS = (
    "service",
    "staff",
    "location",
    "resource",
    "override",
    "time_off",
    "hold",
    "appointment",
)


LATER = "2025-12-15T12:00:00Z"

LISTS = [name for name in METHODS if name.startswith("List")]

_OWNERS = {"ListAppointmentChanges": ("appointment",)}
"""The kinds whose ids a list needs besides its page."""


class Question(NamedTuple):
    """A request that names something of the victim, and the same of something unknown."""

    method: Method
    known: Json
    unknown: Json


@pytest.fixture(scope="module")
def unknown(victim: Ids) -> Ids:
    """Ids that no organization has, as long as the victim's."""
    return {kind: f"{found[:2]}{'q' * (len(found) - 2)}" for kind, found in victim.items()}


@pytest.fixture(scope="module")
def attacker(target: Target) -> Headers:
    return (("authorization", f"Bearer {target.token()}"),)


def questions(victim: Ids, unknown: Ids) -> Iterator[Question]:
    """Each method with each id in each place for an id, and with all ids in their own places."""
    for name, method in METHODS.items():
        valid = valid_request(name)
        for place in _places(valid, set(DEMO_IDS.values())):
            for kind in KINDS:
                known, none = (replaced(valid, place, ids[kind]) for ids in (victim, unknown))
                yield Question(method, known, none)
        yield Question(method, valid_request(name, victim), valid_request(name, unknown))


def _places(value: Any, ids: set[str], at: Place = ()) -> Iterator[Place]:
    """Where a request has one of these ids."""
    if isinstance(value, str):
        yield from [at] if value in ids else []
    elif isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from _places(inner, ids, (*at, key))


def comparable(answer: Answer, ids: Ids) -> str:
    """An answer's text with the ids that were asked for, and what is always new, left out."""
    text = json.dumps(_without_generated(json.loads(answer.text)))
    for found in ids.values():
        text = text.replace(found, "ID")
    return text


def _without_generated(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_generated(v) for k, v in value.items() if k not in GENERATED}
    return [_without_generated(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("way", ["json", "grpc"])
def test_the_victims_ids_answer_as_unknown_ids(
    target: Target,
    entry_points: dict[str, EntryPoint],
    way: str,
    victim: Ids,
    unknown: Ids,
    attacker: Headers,
    attacks: AttackCounter,
) -> None:
    before = everything(target, entry_points["grpc"], victim)
    told = []
    for question in questions(victim, unknown):
        known = entry_points[way].call(question.method, question.known, attacker)
        none = entry_points[way].call(question.method, question.unknown, attacker)
        attacks.count("tenant, another's id", "answered as unknown")
        leaked = CANARY in known.text
        if leaked or comparable(known, victim) != comparable(none, unknown):
            told.append((question, known, none))
    assert not told
    assert everything(target, entry_points["grpc"], victim) == before


def everything(target: Target, entry_point: EntryPoint, ids: Ids) -> list[str]:
    """All that the victim can read of its own."""
    headers = (("authorization", f"Bearer {target.token(VICTIM)}"),)
    reading = [name for name in METHODS if name.startswith(("Get", "List"))]
    answers = [
        entry_point.call(METHODS[name], valid_request(name, ids), headers) for name in reading
    ]
    assert all(answer.code == "OK" for answer in answers), answers
    assert any(CANARY in answer.text for answer in answers)
    return [answer.text for answer in answers]


@pytest.mark.parametrize("way", ["json", "grpc"])
def test_the_victims_page_tokens_are_refused(
    target: Target,
    entry_points: dict[str, EntryPoint],
    way: str,
    victim: Ids,
    attacker: Headers,
    attacks: AttackCounter,
) -> None:
    headers = (("authorization", f"Bearer {target.token(VICTIM)}"),)
    for name in LISTS:
        owner = {f"{kind}_id": victim[kind] for kind in _OWNERS.get(name, ())}
        request = {**owner, "page_size": 1}
        listed = entry_points[way].call(METHODS[name], request, headers)
        token = json.loads(listed.text)["next_page_token"]
        assert token, name
        answer = entry_points[way].call(METHODS[name], {**request, "page_token": token}, attacker)
        assert (answer.reason, answer.fields) == ("INVALID_FIELD", ("page_token",)), answer
        attacks.count("tenant, another's page token")


def test_the_victims_idempotency_key_gives_no_other_client_its_response(
    target: Target,
    entry_points: dict[str, EntryPoint],
    victim: Ids,
    twin: Ids,
    attacks: AttackCounter,
) -> None:
    """Not even a client of the same id, which an outside provider may issue twice."""
    key = ("idempotency-key", "k_victim")
    request = {**valid_request("HoldAppointment", victim), "appointment_time": LATER}
    assert request == {**valid_request("HoldAppointment", twin), "appointment_time": LATER}
    claims = {**target.claims(TWIN), "client_id": target.claims(VICTIM)["client_id"]}
    other = bearer(sign(encode_part(target.header()), encode_part(claims), target.signing_key))
    own = bearer(target.token(VICTIM))
    answers = [
        entry_points["grpc"].call(METHODS["HoldAppointment"], request, [*headers, key])
        for headers in (own, other, own)
    ]
    first, stolen, again = (json.loads(answer.text)["hold_id"] for answer in answers)
    assert first == again != stolen
    for name in ("ExtendHold", "ReleaseHold"):
        answer = entry_points["grpc"].call(METHODS[name], {"hold_id": first}, other)
        assert answer.reason == "HOLD_NOT_FOUND"
    attacks.count("tenant, another's idempotency key", "answered its own", 3)
