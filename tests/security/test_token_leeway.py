"""The clock skew that is allowed in a token: the same at every entry point."""

import time

import pytest
from joserfc import jwt

from .entry_points import EntryPoint
from .methods import METHODS
from .target import Target

WAYS = ("json", "grpc by envoy", "grpc")


@pytest.mark.one_store
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("claim", "ahead", "is_good"),
    [("nbf", 45, True), ("nbf", 120, False), ("exp", -1, False), ("exp", -90, False)],
)
def test_every_entry_point_allows_a_clock_the_same(
    target: Target,
    entry_points: dict[str, EntryPoint],
    way: str,
    claim: str,
    ahead: int,
    is_good: bool,
) -> None:
    claims = target.claims() | {claim: int(time.time()) + ahead}
    token = jwt.encode(target.header(), claims, target.signing_key)
    headers = [("authorization", f"Bearer {token}")]
    answer = entry_points[way].call(METHODS["ListServices"], {}, headers)
    assert (answer.code == "OK") == is_good, answer
    assert is_good or (answer.code, answer.reason) == ("UNAUTHENTICATED", "TOKEN_INVALID")
