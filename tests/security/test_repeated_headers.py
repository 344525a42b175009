"""A repeated header that must be single is refused."""

import json

import pytest

from .attacks import AttackCounter
from .entry_points import EntryPoint
from .methods import METHODS
from .target import Target

HOLD = {"service_id": "s_123", "appointment_time": "2025-12-01T09:00:00Z"}


@pytest.mark.one_store
@pytest.mark.parametrize("way", ["json", "grpc by envoy", "grpc"])
@pytest.mark.parametrize("keys", [("k_1", "k_2"), ("k_1", "k_1"), ("", "k_1")])
def test_two_idempotency_keys_are_refused_and_keep_nothing(
    target: Target,
    entry_points: dict[str, EntryPoint],
    way: str,
    keys: tuple[str, str],
    attacks: AttackCounter,
) -> None:
    bearer = ("authorization", f"Bearer {target.token()}")
    repeated = [("idempotency-key", f"{way}{key}".replace(" ", "")) for key in keys]
    answer = entry_points[way].call(METHODS["HoldAppointment"], HOLD, [bearer, *repeated])
    assert (answer.reason, answer.fields) == ("INVALID_FIELD", ("idempotency-key",))
    attacks.count("header, repeated")
    other = {**HOLD, "appointment_time": "2025-12-01T10:00:00Z"}
    for header in repeated:
        held = entry_points[way].call(METHODS["HoldAppointment"], other, [bearer, header])
        assert held.code == "OK"
        release(entry_points[way], held.text, bearer)


def release(entry_point: EntryPoint, hold: str, bearer: tuple[str, str]) -> None:
    request = {"hold_id": json.loads(hold)["hold_id"]}
    assert entry_point.call(METHODS["ReleaseHold"], request, [bearer]).code == "OK"
