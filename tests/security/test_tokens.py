"""Forged tokens are refused at every entry point."""

import pytest

from ..support.processes import until
from .attacks import AttackCounter, cases, seeded
from .entry_points import Answer, EntryPoint, Headers
from .forgeries import bearer, every_forgery, mutated, sign
from .methods import METHODS, Method
from .target import Target, encode_part, read_signing_keys

TOKEN_INVALID = ("UNAUTHENTICATED", "TOKEN_INVALID")

TOO_LARGE = {
    ("INVALID_ARGUMENT", "REQUEST_REFUSED"),
    ("RESOURCE_EXHAUSTED", ""),
    ("UNAVAILABLE", ""),
}
"""How Envoy and gRPC refuse headers that are larger than they take; HTTP/2 by a GOAWAY."""

MAX_HEADER = 8_000
"""Bytes of a header that are always taken, so that a larger one may be refused for its size."""

ENTRY_PATHS = ("json", "grpc by envoy", "grpc")

pytestmark = pytest.mark.one_store


def try_token(entry_point: EntryPoint, method: Method, headers: Headers) -> Answer:
    return entry_point.call(method, {}, headers)


def is_refused(answer: Answer, headers: Headers) -> bool:
    size = sum(len(value) for _, value in headers)
    told = answer.code, answer.reason
    return told == TOKEN_INVALID or (size > MAX_HEADER and told in TOO_LARGE)


@pytest.mark.parametrize("way", ENTRY_PATHS)
def test_a_good_token_is_taken_at_every_entry_point(
    target: Target, entry_points: dict[str, EntryPoint], way: str
) -> None:
    """Without this the tests below could refuse for another reason."""
    answer = try_token(entry_points[way], METHODS["ListServices"], bearer(target.token()))
    assert answer.code == "OK"


@pytest.mark.parametrize("way", ENTRY_PATHS)
def test_a_forged_token_is_refused_by_every_method(
    target: Target, entry_points: dict[str, EntryPoint], way: str, attacks: AttackCounter
) -> None:
    rng = seeded(f"forgeries {way}")
    opened = []
    for name, headers in every_forgery(target):
        for method in rng.sample(list(METHODS.values()), min(cases(2), len(METHODS))):
            answer = try_token(entry_points[way], method, headers)
            attacks.count("token, forged")
            if not is_refused(answer, headers):
                opened.append((name, method.name, answer.code, answer.reason, answer.text[:200]))
    assert not opened


@pytest.mark.parametrize("way", ENTRY_PATHS)
def test_a_mutated_token_is_refused(
    target: Target, entry_points: dict[str, EntryPoint], way: str, attacks: AttackCounter
) -> None:
    rng, token = seeded(f"mutated tokens {way}"), target.token()
    for _ in range(cases(200)):
        headers = bearer(mutated(token, rng))
        answer = try_token(entry_points[way], METHODS["ListServices"], headers)
        assert is_refused(answer, headers), (headers, answer)
        attacks.count("token, mutated")


def test_a_token_of_a_removed_key_is_refused_by_the_server(
    target: Target, entry_points: dict[str, EntryPoint], attacks: AttackCounter
) -> None:
    """The server reads the keys for an unknown kid, and every five seconds."""
    before = set(read_signing_keys(target.program))
    kid = target.program.cli("keys", "rotate").split()[1]
    [key] = [key for name, key in read_signing_keys(target.program).items() if name not in before]
    target.program.cli("keys", "remove", kid, "--now")
    header = encode_part({**target.header(), "kid": kid})
    headers = bearer(sign(header, encode_part(target.claims()), key))

    def refused() -> bool:
        return is_refused(
            try_token(entry_points["grpc"], METHODS["ListServices"], headers), headers
        )

    until("the removed key to be refused", refused)
    attacks.count("token of a removed key")
