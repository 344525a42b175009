"""Groups that the store refuses or loses: each caller gets the error of what happened."""

import asyncio
from collections.abc import Sequence, Set

import pytest

from zimun.booking import writer
from zimun.booking.store import Append, AppendRejected
from zimun.domain.errors import OutcomeUnknown, Overloaded

from .booking_client import BookingClient
from .engines import Engine
from .sample_catalog import at


def fail_appends(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch, *errors: Exception
) -> list[int]:
    """Raise these errors at the next appends, the last one at all later ones.

    Returns a list that gets the number of events of each append.
    """
    sizes: list[int] = []

    async def append(appends: Sequence[Append]) -> Set[str]:
        sizes.append(sum(len(append.events) for append in appends))
        raise errors[min(len(sizes), len(errors)) - 1]

    monkeypatch.setattr(client.stores.ledgers, "append", append)
    return sizes


async def test_a_constraint_violated_at_every_attempt_is_named_as_the_cause(
    client: BookingClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = engine.tables()
    attempts = fail_appends(client, monkeypatch, AppendRejected("no_overlap"))
    with pytest.raises(Overloaded, match="the store refused every attempt"):
        await client.hold(at(10))
    assert len(attempts) == writer.MAX_REJECTIONS_ALONE + 1
    assert client.stores.writer.counters.conflicts == len(attempts)
    assert engine.tables() == before


async def test_a_group_lost_in_its_commit_and_then_split_has_an_unknown_outcome(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, refused = OutcomeUnknown("lost while it committed"), AppendRejected("no_overlap")
    rejections = [refused] * (writer.MAX_REJECTIONS + 1)
    sizes = fail_appends(client, monkeypatch, lost, *rejections, Overloaded("out of service"))
    holds = (client.hold_bytes(at(hour), key=f"k{hour}") for hour in (10, 11))
    outcomes = await asyncio.gather(*holds, return_exceptions=True)
    assert sizes == [2] * (1 + len(rejections)) + [1, 1], "the group was split into its commands"
    assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown] * 2
